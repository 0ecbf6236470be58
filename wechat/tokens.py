"""The access token of one account, fetched once for all processes (`POST /cgi-bin/stable_token`).

Kept in a table and fetched under a lease in its row: a transaction never stays open over the call, and a process that
dies while fetching blocks the others for `_LEASE` at most. A session-level advisory lock would leak behind a pooler.
"""

import asyncio
import time
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import or_, select, update
from sqlalchemy.dialects.postgresql import insert

from kit.clock import Clock
from kit.database import Database
from wechat import answers, wire
from wechat.answers import Refusal, WeChatUnavailable
from wechat.models import AccessToken
from wechat.wire import Wire

_PATH: Final = "/cgi-bin/stable_token"
_EARLY: Final = timedelta(seconds=300)
"""In the last five minutes the platform hands out the next token already, and both work."""
_LEASE: Final = timedelta(seconds=30)
_WAIT_S: Final = 9.0
_LOOK_AGAIN_S: Final = 0.05
_LONGEST: Final = 2048
_LONGEST_LIFE_S: Final = 24 * 3600


class Tokens:
    """The shared token of the account `app_id`."""

    def __init__(self, wire: Wire, db: Database, clock: Clock, *, app_id: str, app_secret: str) -> None:
        self._wire = wire
        self._db = db
        self._clock = clock
        self._app_id = app_id
        self._app_secret = app_secret

    async def current(self, *, refused: str | None = None) -> str:
        """A token that is not `refused`, from the table or fetched now. Raises `WeChatUnavailable` (503)."""
        patience = time.monotonic() + _WAIT_S
        while time.monotonic() < patience:
            row, ours = await self._look(refused)
            if ours:
                return await self._fetch(row.generation, refused)
            if row.token is not None and row.token != refused and row.expires_at > self._clock.now():
                return str(row.token)
            await asyncio.sleep(_LOOK_AGAIN_S)
        raise WeChatUnavailable

    async def _look(self, refused: str | None) -> tuple[Any, bool]:
        """The row, and whether it is ours to fetch a new token."""
        now = self._clock.now()
        columns = (AccessToken.token, AccessToken.expires_at, AccessToken.generation)
        found = select(*columns).where(AccessToken.appid == self._app_id)
        async with self._db.begin() as session:
            row = (await session.execute(found)).one_or_none()
            if row is not None and row.token not in (None, refused) and row.expires_at - now >= _EARLY:
                return row, False
            claim = (
                insert(AccessToken)
                .values(appid=self._app_id, claimed_until=now + _LEASE)
                .on_conflict_do_update(
                    index_elements=["appid"],
                    set_={"claimed_until": now + _LEASE},
                    # Someone may have stored a newer one since we looked: then there is nothing left to fetch.
                    where=or_(AccessToken.claimed_until.is_(None), AccessToken.claimed_until <= now)
                    & (AccessToken.generation == (row.generation if row else 0)),
                )
                .returning(*columns)
            )
            claimed = (await session.execute(claim)).one_or_none()
            if claimed is not None:
                return claimed, True
            return (await session.execute(found)).one(), False

    async def _fetch(self, generation: int, refused: str | None) -> str:
        try:
            token, lives = await self._ask(force=False)
            if token == refused:  # WeChat still holds it for the newest: make it let go (20 times a day at most)
                token, lives = await self._ask(force=True)
        except BaseException:
            await self._store(generation, {"claimed_until": None})
            raise
        now = self._clock.now()
        fresh = {"token": token, "expires_at": now + lives, "fetched_at": now, "generation": generation + 1}
        await self._store(generation, {**fresh, "claimed_until": None})
        return token

    async def _ask(self, *, force: bool) -> tuple[str, timedelta]:
        body = {
            "grant_type": "client_credential",
            "appid": self._app_id,
            "secret": self._app_secret,
            "force_refresh": force,
        }
        answer = await self._wire.ask("POST", _PATH, body=body)
        if isinstance(answer, Refusal):  # here 40001 says that the AppSecret is wrong
            raise wire.misconfigured(_PATH, answer)
        try:
            seconds = min(max(int(answer["expires_in"]), 0), _LONGEST_LIFE_S)
        except (KeyError, TypeError, ValueError):
            raise WeChatUnavailable from None
        return answers.text(answer, "access_token", longest=_LONGEST), timedelta(seconds=seconds)

    async def _store(self, generation: int, values: dict[str, Any]) -> None:
        mine = (AccessToken.appid == self._app_id) & (AccessToken.generation == generation)
        async with self._db.begin() as session:
            await session.execute(update(AccessToken).where(mine).values(**values))
