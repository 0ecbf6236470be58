"""Asking for money: the intent first, then WeChat, then what it said.

One payable, many attempts, one live at a time (a partial unique index). An attempt is reused while it is unchanged;
otherwise (another amount, channel, payer or app, or a token that is used up) it is closed, the close is confirmed, and a
new one opened. A create that is repeated for the same number says the same bytes: everything it says stands in the row.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

import msgspec
import structlog
from sqlalchemy import ARRAY, BigInteger, Text, select
from sqlalchemy.ext.asyncio import AsyncSession

from kit import idempotency, jobs
from kit.clock import Clock
from kit.database import Database, Instant
from kit.errors import Conflict, Unavailable
from kit.idempotency import Answer, Intent
from kit.numbers import new_no
from kit.statement import Statement
from payments import asking, attempts, underway
from payments.models import LIVE_SQL, Payment, PaymentState
from payments.payouts import rules
from payments.ports import Payee
from payments.settlement import CLOSE_JOB
from payments.wechatpay.charging import ChargeAsk
from payments.wechatpay.gateway import Gateway, Refused, Unknown

T = TypeVar("T")
log = structlog.get_logger()

_TOKEN_LIVES = {
    "jsapi": timedelta(minutes=110),
    "app": timedelta(minutes=110),
    "native": timedelta(minutes=110),
    "h5": timedelta(minutes=4),
}
"""WeChat keeps a `prepay_id` and a `code_url` for two hours, an `h5_url` for five minutes; a little is left to the payer."""
_ANOTHER_NUMBER = frozenset(
    {"ORDERPAID", "ORDERCLOSED", "OUTTRADENOUSED", "INVALIDREQUEST", "ORDERREVERSED", "TRADEERROR"}
)
"""Refusals that may mean: this number is used up. WeChat is asked what became of it."""


class Channel(StrEnum):
    """Where the payer is."""

    JSAPI = "jsapi"
    """In a Mini Program, or in a page of a service account."""
    APP = "app"
    H5 = "h5"
    """In a browser on a phone, outside WeChat."""
    NATIVE = "native"
    """Anywhere: a QR code is scanned."""
    CODE = "code"
    """At the counter; see `counter`."""


class NotPayable(Conflict):
    """This can no longer be paid."""

    zh = "当前不可支付"


class PaymentRefused(Unavailable):
    """WeChat Pay refuses to open this payment; the shop has been told."""

    zh = "微信支付暂不可用，商家已收到提醒"
    retry_after_s = 60


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """By whom is to be paid, where, and what they read."""

    description: str
    channel: Channel = Channel.JSAPI
    appid: str | None = None
    """The app in which it is paid; the merchant's own when it is not said."""
    openid: str | None = None
    """The payer, of that app (JSAPI)."""
    client_ip: str | None = None
    h5_type: str | None = None


class Bill(Sheet, frozen=True, kw_only=True):
    """What is to be paid besides, how much, until when."""

    payable: str
    amount_fen: int
    expires_at: datetime


async def begin(session: AsyncSession, gateway: Gateway, bill: Bill, at: datetime) -> Payment:
    """The live attempt for `bill.payable`, or a new one, as an intent. The caller holds the payable's own lock.

    The attempt returned may not fit the bill any more (`fits`): close it then, and begin again.
    """
    live = await underway.attempts(session, [bill.payable])
    return live[0] if live else (await add(session, gateway, [bill], at))[0]


async def add(
    session: AsyncSession, gateway: Gateway, bills: Sequence[Bill], at: datetime, *, combine_no: str | None = None
) -> list[Payment]:
    """New attempts, as intents. The caller holds the payables' locks, and none of them has a live attempt."""
    sharing = (await rules.current(session)).share_orders
    payments = [
        Payment(
            **_intent(gateway, bill, at),
            payable=bill.payable,
            amount_fen=bill.amount_fen,
            expires_at=bill.expires_at,
            combine_no=combine_no,
            profit_sharing=sharing and bill.channel != Channel.CODE,  # what is taken at the counter is not frozen
        )
        for bill in bills
    ]
    session.add_all(payments)
    await session.flush()
    return payments


class Begun(NamedTuple):
    """What came of a wish to be paid, committed."""

    claimed: bool
    """The wish's key is ours now."""
    payment: Payment | None
    """A new attempt, as an intent; a row of no session. `None`: nothing is due, there is a live attempt, or the key was not
    ours."""


async def begin_due(
    connection: Any, statement: Statement, gateway: Gateway, sheet: Sheet, wish: Intent, at: datetime, **due: Any
) -> Begun:
    """Claim the wish's key, and begin an attempt of what `due` finds.

    `statement` is `BEGIN_CLAIM`, `due AS (…)` and `BEGIN_DUE`, by whoever owns the payables: it locks one that may be paid
    now, if there is a `claimed`, and gives its `payable`, `amount_fen` and `expires_at`. `due` are its parameters. Not for
    the counter, where nothing is frozen for profit sharing.
    """
    parameters = {**idempotency.claiming(wish, at), **_intent(gateway, sheet, at), **due}
    found = dict((await statement.fetch(connection, **parameters))[0])
    claimed = found.pop("claimed")
    return Begun(claimed, Payment(**found) if found["id"] is not None else None)


def _intent(gateway: Gateway, sheet: Sheet, at: datetime) -> dict[str, Any]:
    """What a new attempt says, but for what it is for and how much."""
    return {
        "out_trade_no": new_no("P"),
        "channel": sheet.channel,
        "mchid": gateway.mchid,
        "sub_mchid": gateway.merchant.sub_mchid,
        "appid": sheet.appid or gateway.appid,
        "openid": sheet.openid,
        "currency": gateway.currency,
        "description": sheet.description,
        "state": PaymentState.OPENING,
        "client_ip": sheet.client_ip,
        "h5_type": sheet.h5_type,
        "check_at": at + timedelta(seconds=5),
        "created_at": at,
    }


_INTENT_TYPES: Any = {
    "out_trade_no": Text, "channel": Text, "mchid": Text, "sub_mchid": Text, "appid": Text, "openid": Text,
    "currency": Text, "description": Text, "state": Text, "client_ip": Text, "h5_type": Text, "check_at": Instant,
    "created_at": Instant,
}  # fmt: skip
BEGIN_TYPES: Any = {**_INTENT_TYPES, **idempotency.CLAIM_TYPES}
"""The parameters of `BEGIN_CLAIM` and `BEGIN_DUE`."""
BEGIN_CLAIM = f"WITH claimed AS ({idempotency.CLAIM_SQL})"
BEGIN_DUE = f"""
    , begun AS (
        INSERT INTO payment ({", ".join(_INTENT_TYPES)}, payable, amount_fen, expires_at, profit_sharing)
        SELECT :{", :".join(_INTENT_TYPES)}, payable, amount_fen, expires_at,
            coalesce((SELECT share_orders FROM payout_policy), false)
        FROM due
        WHERE NOT EXISTS (SELECT FROM payment p WHERE p.payable = due.payable AND p.state || '' IN ({LIVE_SQL}))
        ON CONFLICT (payable) WHERE state IN ({LIVE_SQL}) DO NOTHING
        RETURNING {", ".join(column.name for column in Payment.__table__.columns)}
    )
    SELECT EXISTS (SELECT FROM claimed) AS claimed, begun.* FROM (SELECT) always LEFT JOIN begun ON true
"""  # noqa: S608  (our own constants)
"""See `begin_due`. The index of live attempts decides, whenever the statement began. One that is seen is not tried against
it: that would wait, with the payable locked, for whoever is settling the attempt and wants the payable next. It is looked
for in words that no index of live ones knows (`underway`)."""


def fits(payment: Payment, bill: Bill, gateway: Gateway, at: datetime, *, combined: bool = False) -> bool:
    """May this live attempt still be used for this bill? A payment in a browser is for the network it was opened from (H5:
    WeChat compares `payer_client_ip` with the address from which its page is opened)."""
    life = _TOKEN_LIVES.get(payment.channel, timedelta(0))
    fresh = payment.token_at is None or at - payment.token_at < life
    asked = (payment.amount_fen, payment.channel, payment.appid, payment.openid, payment.expires_at)
    wanted = (bill.amount_fen, bill.channel, bill.appid or gateway.appid, bill.openid, bill.expires_at)
    seen = (payment.client_ip, payment.h5_type) == (bill.client_ip, bill.h5_type)
    return fresh and asked == wanted and seen and combined == (payment.combine_no is not None)


async def open_token(
    db: Database,
    gateway: Gateway,
    payee: Payee,
    clock: Clock,
    payment: Payment,
    told: Callable[[Payment, str], Answer[T]],
) -> Answer[T] | None:
    """Have the attempt at WeChat, and what is `told` of it and its token. `None`: this number is used up, begin another.

    Raises `WeChatPayUnknown` (503), `NotPayable` (409), `PaymentRefused` (503).
    """
    if payment.state == PaymentState.OPEN and payment.token is not None:
        return told(payment, payment.token)
    try:
        token = await gateway.create(asked(payment))
    except Unknown as error:
        raise asking.WeChatPayUnknown from error
    except Refused as error:
        await refused(db, gateway, payee, clock, payment, error)
        return None
    answer = told(payment, token)
    if not await opened(db, clock, [payment.id], token, answer):
        raise NotPayable
    return answer


def asked(payment: Payment) -> ChargeAsk:
    """What WeChat is told of an attempt, the same every time."""
    return ChargeAsk(
        channel=payment.channel,
        out_trade_no=payment.out_trade_no,
        description=payment.description,
        amount_fen=payment.amount_fen,
        expires_at=payment.expires_at,
        openid=payment.openid,
        appid=payment.appid,
        client_ip=payment.client_ip,
        h5_type=payment.h5_type,
        profit_sharing=payment.profit_sharing,
    )


async def opened(
    db: Database, clock: Clock, payment_ids: Sequence[int], token: str, answer: Answer[Any] | None = None
) -> bool:
    """Keep the token, with every part of one sheet, and the answer. False when one was closed or paid while we spoke to
    WeChat; then nothing is kept."""
    found = {"ids": list(payment_ids), "token": token, "now": clock.now()}
    async with db.bare() as connection:
        if answer is None:
            rows = await _OPENED.fetch(connection, **found)
        elif rows := await _OPENED_AND_KEPT.fetch(connection, **found, **answer.parameters()):
            answer.kept = rows[0]["kept"]
        if rows:
            return True
    # Closed by us while WeChat was creating it: it must be closed there as well.
    async with db.begin() as session:
        statement = select(Payment.out_trade_no).where(Payment.id.in_(payment_ids)).order_by(attempts.LOCKED_BY)
        await jobs.enqueue(session, CLOSE_JOB, (await session.scalars(statement.limit(1))).one())
    return False


_OPENED_TYPES: Any = {"ids": ARRAY(BigInteger), "token": Text, "now": Instant}
_OPENING = """
    WITH locked AS (
        SELECT id, state FROM payment WHERE id = ANY(:ids) ORDER BY out_trade_no COLLATE "C" FOR NO KEY UPDATE
    ), opened AS (
        UPDATE payment p SET state = 'open', token = :token, token_at = :now FROM locked
        WHERE p.id = locked.id AND NOT EXISTS (SELECT FROM locked WHERE state NOT IN ('opening', 'open'))
        RETURNING p.id
    )
"""
"""All of them or none; who is in the middle of closing one is waited for. One statement: the buyer waits for it."""
_OPENED = Statement(f"{_OPENING} SELECT id FROM opened", **_OPENED_TYPES)  # noqa: S608  (our own constant)
_OPENED_AND_KEPT = Statement(
    f"""
    {_OPENING}, kept AS ({idempotency.KEEP_SQL} AND EXISTS (SELECT FROM opened) RETURNING 1)
    SELECT EXISTS (SELECT FROM kept) AS kept FROM opened
    """,  # noqa: S608  (our own constants)
    **_OPENED_TYPES,
    **idempotency.KEEP_TYPES,
)


async def refused(db: Database, gateway: Gateway, payee: Payee, clock: Clock, payment: Payment, error: Refused) -> None:
    """Find out what became of the number. Returns when another number may be tried."""
    log.error("payment refused", payment=payment.out_trade_no, answer=str(error))
    state = await asking.close(db, gateway, payee, clock, payment.out_trade_no)
    if state == PaymentState.RECEIVED:
        raise NotPayable
    if error.code not in _ANOTHER_NUMBER:
        raise PaymentRefused
