"""A shop that really runs: its own Postgres, simulated WeChat and server process."""

import asyncio
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self, TypeVar

import asyncpg
import httpx
from world import ROOT, World

from dev import ports
from dev.postgres import Cluster
from kit.clock import SystemClock
from kit.database import Database
from shop import schema
from shop.admin import sessions, staff
from shop.admin.roles import Role

T = TypeVar("T")


class Started:
    """`http` speaks to it; `log` is where it writes."""

    def __init__(self, folder: Path, *, log_level: str = "warning") -> None:
        self.log = folder / "server.log"
        self.database_log = folder / "postgres.log"
        self.cluster = Cluster(folder / "pg", settings={"fsync": "off"}, log=self.database_log)
        self.cluster.start()
        asyncio.run(schema.migrate(self.cluster.owner_url(), "shop_app"))
        self.world = World(folder / "sandbox")
        self.port = ports.any_free()
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SHOP_", "WECHAT_"))},
            **self.world.env,
            "DATABASE_URL": self.cluster.app_url(),
            "SHOP_PORT": str(self.port),
            "SHOP_DATA_DIR": str(folder),
            "LOG_LEVEL": log_level,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
        }
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "debug_server"]
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        self.http = httpx.Client(base_url=self.url, timeout=20, trust_env=False)
        self._await()

    def _await(self) -> None:
        until = time.monotonic() + 120  # a machine may be busy
        while time.monotonic() < until:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if self.http.get("/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the shop does not answer")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.http.close()
        self.process.terminate()
        self.process.wait(20)
        self.world.stop()
        self.cluster.stop()

    def ask(self, method: str, path: str, token: str = "", body: Any = None, **headers: str) -> httpx.Response:
        """One request; a key of its own where one is needed."""
        headers = {"idempotency-key": secrets.token_hex(8), **headers}
        if token:
            headers["authorization"] = f"Bearer {token}"
        return self.http.request(method, path, json=body, headers=headers)

    def done(self, method: str, path: str, token: str, body: Any = None) -> Any:
        """The answer of a request that must succeed."""
        answer = self.ask(method, path, token, body)
        assert answer.is_success, (path, answer.text)
        return answer.json() if answer.content else None

    def member(self, user: str) -> str:
        """Signs in by `wx.login`; the token."""
        body = {"code": self.world.code(user)}
        return str(self.done("POST", "/api/v1/sign-in", "", body)["accessToken"])

    def sql(self, statement: str, *values: Any) -> list[Any]:
        """By the owner's role."""

        async def run() -> list[Any]:
            connection = await asyncpg.connect(self.cluster.owner_url())
            try:
                return list(await connection.fetch(statement, *values))
            finally:
                await connection.close()

        return asyncio.run(run())

    def verb(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Something done straight in the database, in a transaction of its own."""

        async def run() -> T:
            db = Database(self.cluster.app_url(), pool_size=1, name="test")
            try:
                async with db.begin() as session:
                    return await work(session)
            finally:
                await db.close()

        return asyncio.run(run())

    def operator(self, role: Role, password_hash: str = "none") -> tuple[str, str]:
        """A new member of staff: id, and the token of a session of theirs."""
        now = SystemClock().now()

        async def work(session: Any) -> tuple[str, str]:
            login = f"op{secrets.token_hex(6)}"
            who = await staff.add(
                session, login=login, name="Op", password_hash=password_hash, role=role, by="test", now=now
            )
            return str(who.id), await sessions.open_one(session, who.id, now)

        return self.verb(work)
