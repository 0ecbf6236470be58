"""Real processes: `python -m dev.run` as a person starts it, or its parts one by one so that each may be killed."""

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import httpx
from peer_wire import free_environment
from till import until

from shop import invariants

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


class Whole:
    """`python -m dev.run`: everything, with what the environment says."""

    def __init__(self, data: Path, **settings: str) -> None:
        self.data = data
        ports = {"SHOP_PORT": str(free_port()), "SANDBOX_PORT": str(free_port())}
        self.url = f"http://127.0.0.1:{ports['SHOP_PORT']}"
        self.sandbox = f"http://127.0.0.1:{ports['SANDBOX_PORT']}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dev.run", "--with-parent"],
            cwd=ROOT,
            env={**free_environment(), **ports, "SHOP_DATA_DIR": str(data), **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        until("the shop", lambda: (data / "run.json").exists() or self.process.poll() is not None, 60)
        assert self.process.poll() is None, self.process.communicate()[0].decode()

    def operator(self) -> tuple[str, str]:
        login, password = (self.data / "operator.txt").read_text().split()
        return login, password

    def code(self, user: str) -> str:
        answer = httpx.post(f"{self.sandbox}/_sandbox/codes", json={"kind": "login", "user": user}, trust_env=False)
        return str(answer.json()["code"])

    def database(self) -> str:
        lines = dict(line.split("=", 1) for line in (self.data / "database.env").read_text().splitlines())
        return lines["DATABASE_OWNER_URL"]

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=30)


class Part:
    """One `python -m shop serve` or `work`, in a group of its own, so that a kill takes it whole.

    It ends with these tests, also when they are stopped and can end nothing any more.
    """

    def __init__(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        self.command, self.environment, self.log = command, environment, log
        self.start()

    def start(self, **more: str) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.command],
                cwd=ROOT,
                env={**free_environment(), "SHOP_WITH_PARENT": "1", **self.environment, **more},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """SIGKILL, to it and to the processes it made: nothing of it runs on."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()


def fetch(url: str, query: str, *values: Any) -> list[Any]:
    async def ask() -> list[Any]:
        connection = await asyncpg.connect(url)
        try:
            return list(await connection.fetch(query, *values))
        finally:
            await connection.close()

    return asyncio.run(ask())


def broken(url: str) -> dict[str, list[str]]:
    """The invariants that do not hold."""

    async def ask() -> dict[str, list[str]]:
        connection = await asyncpg.connect(url)
        try:
            return await invariants.broken(connection)
        finally:
            await connection.close()

    return asyncio.run(ask())


def name(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(4)}"
