"""Asked twice, answered once, and the same.

A key belongs to an actor and an operation. Two shapes:

`once`    the whole operation is one transaction. A second request with the same key waits on the unique index until the
          first has ended (at most `lock_timeout`), then gets the first answer; when the first was refused its key is
          gone with its rollback, so refusals are not kept.
`through` the operation talks to the world in between. The key is committed before, the answer after. When the process
          dies half way, the key is taken over after `TAKEOVER_S` and the operation runs again; when it ended without
          knowing what came of it (a 5xx), at once. The first to finish has the answer that all get. Where its first
          and last statements are its own, they may claim the key (`CLAIM_SQL`) and keep the answer (`KEEP_SQL`).
"""

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

import asyncpg
import msgspec
from sqlalchemy import Index, LargeBinary, Text, delete, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from kit import expiry
from kit.database import Database, DatabaseUnavailable, Instant, Table, raw
from kit.errors import Conflict, Problem, Unavailable, Unprocessable
from kit.statement import Statement

T = TypeVar("T")
KEEP = timedelta(hours=73)
TAKEOVER_S = 30


class KeyReused(Unprocessable):
    """This Idempotency-Key was used with other content; use a new key."""

    zh = "该幂等键已用于其他内容，请更换"


class StillRunning(Conflict):
    """The first request with this Idempotency-Key is still running; ask again shortly."""

    zh = "相同的请求正在处理中，请稍后重试"
    retry_after_s = 1


class IdempotencyKey(Table):
    __tablename__ = "idempotency_key"
    __table_args__ = (Index(None, "started_at"),)

    actor: Mapped[str] = mapped_column(primary_key=True)
    operation: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    content: Mapped[bytes]
    """SHA-256 of the canonical body: key order and white space do not count."""
    answer: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    started_at: Mapped[datetime]


class Intent(msgspec.Struct, frozen=True):
    """What a client means to do exactly once."""

    actor: str
    operation: str
    key: str
    content: bytes


def intent(actor: str, operation: str, key: str, body: Any) -> Intent:
    """`body` is any msgspec value; its canonical JSON (sorted keys) is hashed."""
    canonical = msgspec.json.encode(body, order="sorted")
    return Intent(actor, operation, key, hashlib.sha256(canonical).digest())


class Answer(Generic[T]):
    """What is answered to a wish, before it is kept. `kept`: by the operation's own last statement, so that `through` need
    not."""

    def __init__(self, wish: Intent, value: T) -> None:
        self._wish = wish
        self.value = value
        self.kept = False

    def parameters(self) -> dict[str, Any]:
        """Those of `KEEP_SQL`."""
        kept = {"answer": msgspec.json.encode(self.value).decode(), "content": self._wish.content}
        return {**kept, **_names(self._wish)}


def _where(wish: Intent) -> tuple[Any, ...]:
    return (
        IdempotencyKey.actor == wish.actor,
        IdempotencyKey.operation == wish.operation,
        IdempotencyKey.key == wish.key,
    )


async def _earlier(session: AsyncSession, wish: Intent) -> IdempotencyKey | None:
    row = (await session.execute(select(IdempotencyKey).where(*_where(wish)).with_for_update())).scalar_one_or_none()
    if row is not None and row.content != wish.content:
        raise KeyReused
    return row


async def once(
    session: AsyncSession, wish: Intent, now: datetime, work: Callable[[], Awaitable[T]], kind: type[T]
) -> T:
    """Run `work` in the caller's transaction and keep its answer, or return the answer kept before.

    Raises `KeyReused` (422) for other content under the same key, `StillRunning` (409).
    """
    if not await _claim(await raw(session), wish, now):
        row = await _earlier(session, wish)
        if row is None or row.answer is None:
            raise StillRunning
        return msgspec.convert(row.answer, kind)
    answer = await work()
    await session.flush()  # what goes past the session comes after what waits in it
    await _keep(await raw(session), Answer(wish, answer))
    return answer


async def through(
    db: Database,
    wish: Intent,
    now: datetime,
    work: Callable[[bool], Awaitable[T | Answer[T]]],
    kind: type[T],
    *,
    claimed: bool | None = None,
) -> T:
    """Run `work`, which talks to the world between its own transactions, and keep its answer; or return the one kept.

    `work` is told whether it may have run before, half way or to an end nobody saw: it must be written so that it may.
    `claimed` is what a `CLAIM_SQL` at `now` found, where the operation's first statement has made it already.

    Raises `KeyReused` (422), or `StillRunning` (409) while the first request may still be at work.
    """
    if claimed is None:
        async with db.bare() as connection:
            claimed = await _claim(connection, wish, now)
    if not claimed:
        async with db.begin() as session:
            kept = await _kept_or_taken_over(session, wish, now)
        if kept is not None:
            return msgspec.convert(kept, kind)
    try:
        found = await work(not claimed)
    except BaseException as error:
        refused = isinstance(error, Problem) and not isinstance(error, Unavailable)
        with suppress(DatabaseUnavailable):  # then it is taken over in a while
            await _let_go(db, wish, now, refused=refused)
        raise
    answer = found if isinstance(found, Answer) else Answer(wish, found)
    if answer.kept:
        return answer.value
    async with db.bare() as connection:
        if await _keep(connection, answer):
            return answer.value
    async with db.begin() as session:
        same = IdempotencyKey.content == wish.content
        kept = await session.scalar(select(IdempotencyKey.answer).where(*_where(wish), same))
    return answer.value if kept is None else msgspec.convert(kept, kind)


_NAMES: Any = {"actor": Text, "operation": Text, "key": Text}
CLAIM_SQL = """
    INSERT INTO idempotency_key (actor, operation, key, content, started_at)
    VALUES (:actor, :operation, :key, :content, :claimed_at) ON CONFLICT DO NOTHING RETURNING 1
"""
"""A row: the key is ours now. Its parameters are those of `claiming`, their types `CLAIM_TYPES`."""
CLAIM_TYPES: Any = {**_NAMES, "content": LargeBinary, "claimed_at": Instant}
KEEP_SQL = """
    UPDATE idempotency_key SET answer = CAST(:answer AS jsonb)
    WHERE actor = :actor AND operation = :operation AND key = :key AND content = :content AND answer IS NULL
"""
"""No row: another one's answer is kept already, or the key was freed and means something else now. Its parameters are those
of an `Answer`, their types `KEEP_TYPES`."""
KEEP_TYPES: Any = {**_NAMES, "content": LargeBinary, "answer": Text}
# By a bare connection each is a transaction of its own: what `through` does first and last, one round trip each.
_CLAIM = Statement(CLAIM_SQL, **CLAIM_TYPES)
_KEEP = Statement(f"{KEEP_SQL} RETURNING 1", **KEEP_TYPES)


def claiming(wish: Intent, now: datetime) -> dict[str, Any]:
    """The parameters of `CLAIM_SQL`."""
    return {"content": wish.content, "claimed_at": now, **_names(wish)}


async def _claim(connection: Any, wish: Intent, now: datetime) -> bool:
    """True when the key is ours now. Raises `StillRunning` (409)."""
    try:
        return bool(await _CLAIM.fetch(connection, **claiming(wish, now)))
    except asyncpg.LockNotAvailableError as error:  # the first one is still at it
        raise StillRunning from error


async def _keep(connection: Any, answer: Answer[Any]) -> bool:
    """False when another one's answer is kept already."""
    return bool(await _KEEP.fetch(connection, **answer.parameters()))


def _names(wish: Intent) -> dict[str, str]:
    return {"actor": wish.actor, "operation": wish.operation, "key": wish.key}


async def _let_go(db: Database, wish: Intent, now: datetime, *, refused: bool) -> None:
    """A refusal frees the key; with an unknown outcome it stays claimed for the same content, and may be tried at once.

    Only our own claim: somebody may have taken it over.
    """
    ours = (*_where(wish), IdempotencyKey.answer.is_(None), IdempotencyKey.started_at == now)
    async with db.begin() as session:
        if refused:
            await session.execute(delete(IdempotencyKey).where(*ours))
        else:
            stale = now - timedelta(seconds=TAKEOVER_S)
            await session.execute(update(IdempotencyKey).where(*ours).values(started_at=stale))


async def _kept_or_taken_over(session: AsyncSession, wish: Intent, now: datetime) -> Any | None:
    row = await _earlier(session, wish)
    if row is None:
        raise StillRunning
    if row.answer is not None:
        return row.answer
    if now - row.started_at < timedelta(seconds=TAKEOVER_S):
        raise StillRunning
    row.started_at = now
    return None


async def sweep(session: AsyncSession, now: datetime) -> bool:
    """Drop keys older than `KEEP`, so many at a time. Is there more?"""
    return await expiry.drop(session, IdempotencyKey.started_at, now - KEEP)
