"""Two machines with a database under `deploy/postgres-node`, as in `deploy/compose.several.yaml`, and somebody who writes."""

import asyncio
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import asyncpg
from nodes import DEPLOY, Node
from processes import fetch, free_environment
from striking import kill_processes
from till import until

from dev import founding
from kit import hosts

MOST_S = 60
_UNANSWERED = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)
_SYNCHRONOUS = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'quorum' AND state = 'streaming'"


class Twin(Node):
    """One of the two. What `restart: unless-stopped` does in the Compose, `run` does here when it is told to."""

    def __init__(self, folder: Path, name: str, words: dict[str, str]) -> None:
        super().__init__(folder)
        self.name, self.data = name, self.home / "data"
        self.sockets = Path(tempfile.mkdtemp(prefix="pair-", dir="/tmp"))  # a socket's path must be short
        if self.runner.ids is not None:
            shutil.chown(self.sockets, *self.runner.ids)
        self._words = words
        self._environment: dict[str, str] = {}

    def beside(self, peer: "Twin") -> None:
        environment = free_environment()
        self._environment = {
            **environment,
            "PATH": f"{self.runner.programs}:{environment['PATH']}",
            "PGDATA": str(self.data),
            "SOCKETS": str(self.sockets),
            "NODE": self.name,
            "PORT": str(self.port),
            "PEER": peer.name,
            "PEER_HOST": "127.0.0.1",
            "PEER_PORT": str(peer.port),
            "POSTGRES_PASSWORD": self._words["postgres"],
            "SHOP_OWNER_PASSWORD": self._words["shop_owner"],
            "SHOP_APP_PASSWORD": self._words["shop_app"],
            "SHOP_REPLICATION_PASSWORD": self._words["shop_replication"],
        }

    def do(self, *argv: str) -> tuple[int, str]:
        """One of its commands to the end: its exit code, and what it said."""
        done = subprocess.run(
            [*self.runner.prefix, str(DEPLOY / "postgres-node"), *argv],
            cwd=self.home,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
            **self.options,
        )
        return done.returncode, done.stderr

    def must(self, *argv: str) -> None:
        code, said = self.do(*argv)
        assert code == 0, said

    def run(self) -> None:
        self.start(DEPLOY / "postgres-node", "-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=16MB",
                   environment=self._environment)  # fmt: skip

    def stop(self) -> None:
        """As `docker compose stop`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def kill(self) -> None:
        """The machine loses its power."""
        postmaster = self.postmaster()
        if postmaster is not None:
            kill_processes(postmaster)
        super().kill()
        if postmaster is not None:  # while its number lives, even dead, PostgreSQL does not start again
            until("PostgreSQL is gone", lambda: not Path(f"/proc/{postmaster}").exists())

    def postmaster(self) -> int | None:
        """Its number, while there is one. Nobody else's."""
        with suppress(FileNotFoundError, ProcessLookupError):
            number = int((self.data / "postmaster.pid").read_text().splitlines()[0])
            if str(self.data).encode() in Path(f"/proc/{number}/cmdline").read_bytes():
                return number
        return None

    def url(self, role: str = "postgres", database: str = "shop") -> str:
        return f"postgresql://{role}:{self._words[role]}@127.0.0.1:{self.port}/{database}"

    def fetch(self, query: str, *values: Any) -> list[Any]:
        return fetch(self.url(), query, *values)

    def is_(self) -> str:
        """What it is: primary, standby or, when it cannot be asked, silent."""
        try:
            standby = self.fetch("SELECT pg_is_in_recovery()")[0][0]
        except _UNANSWERED:
            return "silent"
        return "standby" if standby else "primary"

    def is_followed(self) -> bool:
        """It answers nothing that the other one has not."""
        try:
            return self.is_() == "primary" and bool(self.fetch(_SYNCHRONOUS))
        except _UNANSWERED:
            return False

    def await_followed(self) -> None:
        until(f"{self.name} is followed: {self.log()[-2000:]}", self.is_followed, MOST_S)

    def await_word(self, text: str, begin: int = 0) -> None:
        """It says so, after the first `begin` characters of its log."""
        until(f"{self.name} says {text!r}: {self.log()[-2000:]}", lambda: text in self.log()[begin:], MOST_S)

    def stays(self, what: str, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.is_() == what, self.log()[-2000:]
            time.sleep(0.1)


class Writer:
    """Writes numbers through the shop's own way to find the primary, and remembers which were answered."""

    def __init__(self, pair: "Pair") -> None:
        owners = [twin.url("shop_owner") for twin in (pair.a, pair.b)]
        addresses = ",".join(url.rpartition("@")[2].partition("/")[0] for url in owners)
        self._url = f"{owners[0].rpartition('@')[0]}@{addresses}/shop?target_session_attrs=primary"
        self._over = threading.Event()
        self.answered: list[int] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._write()))

    async def _write(self) -> None:
        number = 0
        while not self._over.is_set():
            try:
                connection = await hosts.connect(self._url, timeout=2)
                try:
                    while not self._over.is_set():
                        number += 1
                        await connection.execute("INSERT INTO written VALUES ($1)", number, timeout=4)
                        self.answered.append(number)
                        await asyncio.sleep(0.005)
                finally:
                    connection.terminate()
            except (*_UNANSWERED, asyncpg.InternalClientError):  # as asyncpg says of one that broke off half-way
                await asyncio.sleep(0.05)

    def await_answers(self, more: int = 20) -> None:
        had = len(self.answered)
        until("what is written is answered", lambda: len(self.answered) >= had + more, MOST_S)

    def await_silence(self) -> None:
        """Whatever was under way has been answered or will not be."""

        def silent() -> bool:
            had = len(self.answered)
            time.sleep(1)
            return len(self.answered) == had

        until("nothing is answered", silent)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(30)


class Pair:
    """The two, founded on a, running, and each as far as the other."""

    def __init__(self, a: Twin, b: Twin) -> None:
        self.a, self.b = a, b

    def verdict(self, primary: Twin, writer: Writer) -> None:
        """All that was answered is on both."""
        standby = self.b if primary is self.a else self.a
        primary.await_followed()
        end = primary.fetch("SELECT pg_current_wal_lsn()")[0][0]
        behind = "SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn"
        until("the standby has replayed", lambda: standby.fetch(behind, end)[0][0])
        for twin in (primary, standby):
            kept = {row["n"] for row in twin.fetch("SELECT n FROM written")}
            assert set(writer.answered) <= kept, sorted(set(writer.answered) - kept)


@contextmanager
def pair(folder: Path) -> Iterator[Pair]:
    words = {role: secrets.token_hex(12) for role in (*founding.ROLES, "shop_replication")}
    with ExitStack() as stack:
        a, b = (stack.enter_context(Twin(folder / name, name, words)) for name in ("a", "b"))
        for twin, peer in ((a, b), (b, a)):
            stack.callback(shutil.rmtree, twin.sockets, ignore_errors=True)
            twin.beside(peer)
        a.must("found")
        b.run()
        a.run()
        a.await_followed()
        fetch(a.url("shop_owner"), "CREATE TABLE written (n int PRIMARY KEY)")
        yield Pair(a, b)
