"""Carries notices to the merchant and writes down what came back."""

import asyncio
import sqlite3
import time
from functools import partial

import httpx

from sandbox.notices import letters, outbox
from sandbox.notices.letters import Variant
from sandbox.world import World

PATIENCE_S = 5
HEARD = {200, 204}
KEPT_BYTES = 200
AT_ONCE = 64
"""Fewer than the client's connections, so that waiting for one never uses up the merchant's five seconds."""


class Postman:
    """Sends what is due, each notice by one attempt at a time."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._under_way: dict[str, asyncio.Task[None]] = {}
        # No proxy of the environment stands between WeChat and the merchant; redirects are not followed.
        self._client = httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S, follow_redirects=False)

    def send_due(self) -> None:
        """Start an attempt for every due notice that is not under way."""
        for notice in outbox.due(self._world):
            if len(self._under_way) < AT_ONCE and notice["id"] not in self._under_way:
                task = asyncio.create_task(self._send(notice))
                self._under_way[notice["id"]] = task
                task.add_done_callback(partial(self._arrived, notice["id"]))

    def idle_until(self) -> float | None:
        """The business time of the next attempt; notices under way report by themselves."""
        if len(self._under_way) >= AT_ONCE:
            return None
        return outbox.next_due(self._world, self._under_way.keys())

    async def deliver(self, notice: sqlite3.Row, variant: Variant | None = None) -> int | None:
        """One attempt now, whatever the delivery mode; answers the status, or ``None`` when there was none.

        A ``variant`` leaves the ladder as it is; without one, success ends the notice.
        """
        status = await self._attempt(notice, variant)
        fresh = outbox.find(self._world, notice["id"])
        if variant is None and status in HEARD and fresh is not None:
            outbox.heard(self._world, fresh)
        return status

    async def close(self) -> None:
        """Drop what is under way: it is still due at the next start."""
        for task in list(self._under_way.values()):
            task.cancel()
        await self._client.aclose()

    async def _send(self, notice: sqlite3.Row) -> None:
        status = await self._attempt(notice, None)
        fresh = outbox.find(self._world, notice["id"])
        if fresh is None or fresh["next_at"] is None:  # delivered by hand meanwhile
            return
        settle = outbox.heard if status in HEARD else outbox.unheard
        settle(self._world, fresh)

    def _arrived(self, notice_id: str, _: asyncio.Task[None]) -> None:
        del self._under_way[notice_id]
        self._world.changed.set()

    async def _attempt(self, notice: sqlite3.Row, variant: Variant | None) -> int | None:
        before = self._world.db.number("SELECT count(*) FROM attempts WHERE notice_id = ?", notice["id"])
        letter = letters.write(self._world, notice, before, variant)
        at, started = self._world.clock.now(), time.monotonic()
        status, answer, error = None, "", None
        try:
            async with asyncio.timeout(PATIENCE_S):
                status, answer = await self._post(notice["url"], letter)
        except TimeoutError:
            error = f"no answer within {PATIENCE_S} seconds"
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as failure:
            error = f"{type(failure).__name__}: {failure}"[:KEPT_BYTES]
        facts = {"notice_id": notice["id"], "at": at, "variant": variant, "status": status, "answer": answer}
        took_ms = int((time.monotonic() - started) * 1000)
        self._world.db.insert("attempts", {**facts, "error": error, "took_ms": took_ms})
        return status

    async def _post(self, url: str, letter: letters.Letter) -> tuple[int, str]:
        """The status and the first bytes of the answer; the rest is not waited for."""
        async with self._client.stream("POST", url, content=letter.body, headers=letter.headers) as response:
            kept = b""
            async for part in response.aiter_bytes(KEPT_BYTES):
                kept += part
                if len(kept) >= KEPT_BYTES:
                    break
        return response.status_code, kept[:KEPT_BYTES].decode("utf-8", "replace")
