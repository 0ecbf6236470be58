"""What the database says when something changes, so that processes may keep it in memory.

Context: several processes on several machines keep the same rows. Decision: triggers NOTIFY after the commit, each
process LISTENs on a direct connection and proves several times a second that it still hears. Consequence: memory holds
for long while news comes, and for a second when it does not: nothing is believed longer than `TRUST_S` after it may have
changed. Alternative: asking for versions with each request, which is the round trip that memory saves.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import asyncpg
import structlog

from kit import hosts

log = structlog.get_logger()

TRUST_S: Final = 0.9
"""How long the last proof of hearing counts, and how old what was read without one may be."""
_PROVE_EVERY_S = 0.2
_PROOF_TIMEOUT_S = 0.6
_AGAIN_S = 0.5
_BROKEN = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""How a connection ends; the last is what asyncpg raises after the server's farewell, if it came unasked."""

Hear = Callable[[str | None], None]
"""Takes what was said (a row's key), or `None`: anything may have been said meanwhile."""


class News:
    """`on` before `listen`. Without a database nothing holds for longer than `TRUST_S`."""

    def __init__(self, url: str) -> None:
        """`url` must lead to the database itself: LISTEN does not go through a transaction pooler."""
        self._url = url
        self._hearers: defaultdict[str, list[Hear]] = defaultdict(list)
        self._proved_at = float("-inf")

    def on(self, channel: str, hear: Hear) -> None:
        """Have `hear` called, without waiting, for whatever is said on `channel`."""
        self._hearers[channel].append(hear)

    def holds(self, read_at: float) -> bool:
        """Whether what was read at `read_at` (`time.monotonic`), and of which nothing was heard since, is still so."""
        now = time.monotonic()
        return now - self._proved_at < TRUST_S or now - read_at < TRUST_S

    async def listen(self) -> None:
        """Listen until cancelled; whatever goes wrong, again: nobody would notice that nobody listens."""
        while True:
            try:
                await self._listen()
            except _BROKEN as error:
                log.warning("no news from the database", error=type(error).__name__)
            except Exception:
                log.exception("no news from the database")
            self._proved_at = float("-inf")
            await asyncio.sleep(_AGAIN_S)

    async def _listen(self) -> None:
        connection = await hosts.connect(self._url, server_settings={"application_name": "shop-news"})
        try:
            for channel in self._hearers:
                await connection.add_listener(channel, self._heard)
            self._say_all()  # what was said while nobody listened
            while True:
                sent_at = time.monotonic()
                await connection.execute("SELECT 1", timeout=_PROOF_TIMEOUT_S)
                self._proved_at = sent_at  # whatever was said before it was sent has come before its answer
                await asyncio.sleep(_PROVE_EVERY_S)
        finally:
            with suppress(Exception):
                connection.terminate()

    def _heard(self, _connection: Any, _pid: int, channel: str, payload: str) -> None:
        for hear in self._hearers[channel]:
            hear(payload)

    def _say_all(self) -> None:
        for hearers in self._hearers.values():
            for hear in hearers:
                hear(None)
