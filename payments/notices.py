"""What WeChat Pay tells us: verified and written down (`inbox`), then handled in a transaction of its own.

If handling fails the notice is still there, the answer is 500, WeChat repeats, and our own sweep retries. That includes
a notice that is genuine but does not open: our APIv3 key is wrong, and once it is mended nothing is lost.
"""

from datetime import datetime, timedelta

import msgspec
import structlog
from sqlalchemy import func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import ReturningUpdate

from kit import expiry
from kit.clock import Clock
from kit.database import Database, Instant
from kit.errors import Problem
from payments import cases, combined, settlement
from payments.dispatch import HANDLERS, PAYMENT, Contradictory
from payments.models import Notice, PaymentException
from payments.ports import Payee
from payments.wechatpay.keyring import CannotOpen, Keyring
from payments.wechatpay.notification import Envelope

log = structlog.get_logger()

KEEP = timedelta(days=90)
REST = timedelta(seconds=30)
_DOUBLINGS = 7
"""A notice that cannot be handled is tried again after 30 s, 1 min, … then every 64 min, and is a case by then."""
_ALARM_LOCK = 0x5EA1ED
_OPEN_ALARM = select(PaymentException.id).where(
    PaymentException.kind == "apiv3_key_wrong", PaymentException.resolved_at.is_(None)
)


class ApiV3KeyWrong(Problem):
    """A genuine notification does not open with our APIv3 key."""

    zh = "APIv3 密钥不正确"


async def take(db: Database, keyring: Keyring, payee: Payee, envelope: Envelope, at: datetime) -> None:
    """Handle a notice that is stored. Raises `ApiV3KeyWrong` (500): it cannot be, yet, and somebody is told."""
    try:
        await _take(db, keyring, payee, envelope, at)
    except ApiV3KeyWrong:
        await _alarm(db, envelope, at)
        raise


async def _take(db: Database, keyring: Keyring, payee: Payee, envelope: Envelope, at: datetime) -> None:
    """Open and handle a notice that is stored. Raises `ApiV3KeyWrong`."""
    try:
        plain = keyring.open(envelope.resource)
    except CannotOpen as error:
        raise ApiV3KeyWrong from error
    except ValueError:  # signed, and yet sealed in a way nobody knows: a repeat would not change it
        plain = None
    parts = combined.parts(plain or b"") if kind_of(envelope) == PAYMENT else []
    for trade in parts:  # each in a transaction of its own: its goods are locked last
        async with db.begin() as session:
            await settlement.settle(session, payee, trade, at)
    async with db.begin() as session:
        await handle(session, payee, envelope, plain, at)


async def _alarm(db: Database, envelope: Envelope, at: datetime) -> None:
    """Our APIv3 key is wrong: one open case, whatever the number of notices; each of them waits for the right key."""
    log.critical("apiv3 key wrong", notice=envelope.id)
    async with db.begin() as session:
        await session.execute(select(func.pg_advisory_xact_lock(_ALARM_LOCK)))
        if await session.scalar(_OPEN_ALARM.limit(1)) is None:
            await cases.note(session, "apiv3_key_wrong", envelope.id, at=at)
        await session.execute(_failed(envelope, ApiV3KeyWrong.__name__, at))


def _failed(envelope: Envelope, error: str, at: datetime) -> ReturningUpdate[int]:
    """Count the failure, and rest longer; returns how many there were."""
    rest = REST * func.power(2, func.least(Notice.attempts, _DOUBLINGS))
    # In words that the index of open ones does not know: with a wrong key all of them are open (`underway`).
    statement = update(Notice).where(Notice.id == envelope.id, func.num_nulls(Notice.handled_at) == 1)
    values = {"attempts": Notice.attempts + 1, "last_error": error, "retry_at": literal(at, Instant) + rest}
    return statement.values(values).returning(Notice.attempts)


async def handle(session: AsyncSession, payee: Payee, envelope: Envelope, plain: bytes | None, at: datetime) -> None:
    """Apply one stored notice once; the row's lock makes duplicates wait and then do nothing.

    `plain` is `None` for a resource that is sealed in a way nobody knows.
    """
    statement = select(Notice.handled_at, Notice.last_error).where(Notice.id == envelope.id).with_for_update()
    handled_at, last_error = (await session.execute(statement)).one()
    if handled_at is not None:
        return
    if last_error == ApiV3KeyWrong.__name__:
        await _key_is_mended(session, at)
    outcome = await _dispatch(session, payee, envelope, plain, at)
    values = {"attempts": Notice.attempts + 1, "outcome": outcome, "handled_at": at}
    await session.execute(update(Notice).where(Notice.id == envelope.id).values(values))
    log.info("notice", notice=envelope.id, event_type=envelope.event_type, outcome=outcome)


async def _key_is_mended(session: AsyncSession, at: datetime) -> None:
    """A notice that did not open before does now: the alarm is over by itself."""
    values = {"resolved_at": at, "resolved_by": "system", "resolution": "opened"}
    open_ones = PaymentException.kind == "apiv3_key_wrong", PaymentException.resolved_at.is_(None)
    await session.execute(update(PaymentException).where(*open_ones).values(values))


async def _dispatch(session: AsyncSession, payee: Payee, envelope: Envelope, plain: bytes | None, at: datetime) -> str:
    """Through the table of handlers; what none of them knows, or what contradicts itself, is a case for a person."""
    kind = kind_of(envelope)
    facts = {"original_type": kind[0], "event_type": kind[1]}
    handler = HANDLERS.get(kind)
    if plain is None:
        facts["algorithm"] = envelope.resource.algorithm[:64]
    elif handler is not None:
        try:
            return await handler(session, payee, plain, at)
        except (Contradictory, msgspec.MsgspecError, UnicodeDecodeError) as error:
            facts["error"] = type(error).__name__
    await cases.note(session, "strange_notice", envelope.id, at=at, facts=facts)
    return "strange_notice"


def kind_of(envelope: Envelope) -> tuple[str, str]:
    """`original_type` and `event_type`."""
    return envelope.resource.original_type or envelope.event_type.partition(".")[0].lower(), envelope.event_type


async def due(session: AsyncSession, now: datetime, limit: int = 50) -> list[bytes]:
    """Bodies of notices that were stored but not handled, each when it has rested."""
    statement = select(Notice.body).where(Notice.handled_at.is_(None), Notice.retry_at < now)
    return list(await session.scalars(statement.order_by(Notice.retry_at).limit(limit)))


async def retry(db: Database, keyring: Keyring, payee: Payee, clock: Clock, body: bytes) -> None:
    """Handle a stored notice again; it was verified when it was stored. Failing once more, it rests longer."""
    envelope = msgspec.json.decode(body, type=Envelope)
    try:
        await _take(db, keyring, payee, envelope, clock.now())
    except Exception as error:
        name, at = type(error).__name__, clock.now()
        async with db.begin() as session:
            attempts = await session.scalar(_failed(envelope, name, at))
            if attempts is not None and attempts > _DOUBLINGS:
                await cases.note(session, "stuck_notice", envelope.id, at=at, facts={"error": name})
        raise


async def expire(session: AsyncSession, now: datetime) -> bool:
    """Drop handled notices older than `KEEP`, so many at a time: they hold, encrypted, who paid. Is there more?"""
    return await expiry.drop(session, Notice.handled_at, now - KEEP)
