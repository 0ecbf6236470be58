"""The inbox of what WeChat Pay tells us: verified, written down, then handled in a transaction of its own.

If handling fails the notice is still there, the answer is 500, WeChat repeats, and our own sweep retries.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec
import structlog
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from kit.clock import Clock
from kit.database import Database
from kit.errors import Problem
from payments import cases
from payments.dispatch import HANDLERS, Contradictory
from payments.models import Notice
from payments.ports import Payee
from payments.wechatpay import notification
from payments.wechatpay.keyring import CannotOpen, Keyring
from payments.wechatpay.notification import Envelope, NotReadable

log = structlog.get_logger()

KEEP = timedelta(days=90)
_REST_S = 30
_LONGEST_REST = 2**7
"""A notice that cannot be handled is tried again after 30 s, 60 s, … up to an hour from its arrival."""


class ApiV3KeyWrong(Problem):
    """A genuine notification does not open with our APIv3 key."""

    zh = "APIv3 密钥不正确"


async def receive(
    db: Database,
    keyring: Keyring,
    payee: Payee,
    clock: Clock,
    headers: Mapping[str, str],
    raw: bytes,
    wall_clock_s: float,
) -> None:
    """Take one notification. Returns only when it is stored and handled; then, and only then, answer 2xx.

    Raises `NotGenuine` (401), `NotReadable` (400), `ApiV3KeyWrong` (500).
    """
    envelope = notification.verify(headers, raw, keyring, wall_clock_s)
    plain = unseal(keyring, envelope)
    now = clock.now()
    async with db.begin() as session:
        statement = insert(Notice).values(
            id=envelope.id,
            event_type=envelope.event_type,
            original_type=envelope.resource.original_type,
            body=raw,
            received_at=now,
        )
        await session.execute(statement.on_conflict_do_nothing())
    async with db.begin() as session:
        await handle(session, payee, envelope, plain, now)


def unseal(keyring: Keyring, envelope: Envelope) -> bytes:
    """The plain resource. Raises `ApiV3KeyWrong`: never a 2xx, so that WeChat repeats while the key is mended."""
    try:
        return keyring.open(envelope.resource)
    except CannotOpen as error:
        log.critical("apiv3 key wrong", notice=envelope.id)
        raise ApiV3KeyWrong from error
    except ValueError as error:
        raise NotReadable from error


async def handle(session: AsyncSession, payee: Payee, envelope: Envelope, plain: bytes, at: datetime) -> None:
    """Apply one stored notice once; the row's lock makes duplicates wait and then do nothing."""
    statement = select(Notice).where(Notice.id == envelope.id).with_for_update()
    notice = (await session.execute(statement)).scalar_one()
    if notice.handled_at is not None:
        return
    notice.attempts += 1
    notice.outcome = await _dispatch(session, payee, envelope, plain, at)
    notice.handled_at = at
    log.info("notice", notice=envelope.id, event_type=envelope.event_type, outcome=notice.outcome)


async def _dispatch(session: AsyncSession, payee: Payee, envelope: Envelope, plain: bytes, at: datetime) -> str:
    """Through the table of handlers; what none of them knows, or what contradicts itself, is a case for a person."""
    kind = (envelope.resource.original_type or envelope.event_type.partition(".")[0].lower(), envelope.event_type)
    handler = HANDLERS.get(kind)
    try:
        if handler is not None:
            return await handler(session, payee, plain, at)
    except (Contradictory, msgspec.MsgspecError, UnicodeDecodeError) as error:
        log.warning("notice unreadable inside", notice=envelope.id, error=type(error).__name__)
    facts = {"original_type": kind[0], "event_type": kind[1]}
    await cases.note(session, "strange_notice", envelope.id, at=at, facts=facts)
    return "strange_notice"


async def due(session: AsyncSession, now: datetime, limit: int = 50) -> list[bytes]:
    """Bodies of notices that were stored but not handled, each when it has rested."""
    rest_s = _REST_S * func.least(func.power(2, Notice.attempts), _LONGEST_REST)
    statement = (
        select(Notice.body)
        .where(Notice.handled_at.is_(None), Notice.received_at + func.make_interval(0, 0, 0, 0, 0, 0, rest_s) < now)
        .order_by(Notice.received_at)
        .limit(limit)
    )
    return list(await session.scalars(statement))


async def retry(db: Database, keyring: Keyring, payee: Payee, clock: Clock, body: bytes) -> None:
    """Handle a stored notice again; it was verified when it was stored. Failing once more, it rests longer."""
    envelope = msgspec.json.decode(body, type=Envelope)
    try:
        plain = unseal(keyring, envelope)
        async with db.begin() as session:
            await handle(session, payee, envelope, plain, clock.now())
    except Exception as error:
        failed = update(Notice).where(Notice.id == envelope.id, Notice.handled_at.is_(None))
        async with db.begin() as session:
            values = {"attempts": Notice.attempts + 1, "last_error": type(error).__name__}
            await session.execute(failed.values(values))
        raise


async def expire(session: AsyncSession, now: datetime) -> None:
    """Drop handled notices older than `KEEP`: they hold, encrypted, who paid."""
    await session.execute(delete(Notice).where(Notice.handled_at < now - KEEP))
