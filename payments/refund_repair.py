"""Refunds that need a hand: set going again, sent to another account, asked about, or found in the merchant portal.

Each verb takes `db`: it talks to WeChat between its own short transactions.
"""

import msgspec
import structlog
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from kit import jobs
from kit.clock import Clock
from kit.database import Database
from kit.errors import Conflict
from payments import asking, cases, refunds
from payments.asking import WeChatPayUnknown
from payments.models import Payment, PaymentState, Refund, RefundOrigin, RefundState
from payments.ports import Payee
from payments.refunds import OwnRefund, promising, rules
from payments.trades import RefundTrade
from payments.wechatpay.gateway import Gateway, Refused, Unknown

log = structlog.get_logger()

_OWED = "refund_to_merchant"


class RefundAgain(Conflict):
    """What this refund was for is free again; ask for a new refund there."""

    zh = "该退款对应的售后已失效，请重新发起退款"


class NothingToRetry(Conflict):
    """This refund is {state}; there is nothing to set going again."""

    zh = "该退款当前状态为 {state}，无需重试"


class RefundBegunAgain(Conflict):
    """Refund {out_refund_no} was begun after this one for the same cause; look at that one."""

    zh = "同一事由已有新的退款 {out_refund_no}，请处理该笔"


class NotAbnormal(Conflict):
    """This refund is {state}; only an abnormal one can be sent to another account."""

    zh = "该退款当前状态为 {state}，不是异常退款"


class AbnormalRefused(Conflict):
    """WeChat Pay refuses to send it there ({reason})."""

    zh = "微信支付拒绝了该处理方式（{reason}）"


class BankCard(msgspec.Struct, frozen=True):
    """Where the payer wants it. Sealed to WeChat on the wire, and kept nowhere."""

    bank_type: str
    account: str
    holder: str

    def __repr__(self) -> str:
        return "BankCard(…)"


async def retry(db: Database, gateway: Gateway, payee: Payee, clock: Clock, out_refund_no: str, *, by: str) -> str:
    """Set a refund going again whose hindrance is gone. Returns the number under which it goes on.

    One that waits is brought to WeChat now. A refused one keeps its number if WeChat never had it, which is asked first;
    a closed number is dead, and the next turn of the same cause begins. Where the payee was told that it failed (an
    after-sale), that has freed its claim, so it is asked for anew there.

    Raises `RefundNotFound` (404), `NothingToRetry`, `RefundAgain`, `RefundBegunAgain`, those of `refunds.request` (409),
    `RefundTooMuch` (422), `WeChatPayUnknown` (503).
    """
    async with db.begin() as session:
        payment, refund = await refunds.get(session, out_refund_no)
        if refund.state == RefundState.REQUESTED:
            refund.check_at = clock.now() + promising.FIRST_CHECK
            await jobs.enqueue(session, refunds.JOB, out_refund_no)
            return out_refund_no
        await _check_retry(session, payment, refund)
    trade = await query(gateway, out_refund_no)
    async with db.begin() as session:
        payment, refund = await refunds.get(session, out_refund_no)
        await _check_retry(session, payment, refund)
        by = (
            "system" if refund.origin == RefundOrigin.SYSTEM else by
        )  # its own money that must not stay: nobody approves
        if trade is not None and trade.state != "CLOSED":
            await refunds.learn(session, payee, trade, clock.now())
        elif trade is not None or refund.state == RefundState.CLOSED:
            return (await refunds.begin_again(session, payment, refund, by=by, at=clock.now())).out_refund_no
        else:
            await _promise_again(session, payment, refund, clock, by=by)
    return out_refund_no


async def _check_retry(session: AsyncSession, payment: Payment, refund: Refund) -> None:
    if refund.state not in (RefundState.CLOSED, RefundState.REFUSED):
        raise NothingToRetry(state=refund.state)
    if payment.applied:
        raise RefundAgain
    cause, _turn = promising.turn_of(refund)
    statement = (
        select(Refund.out_refund_no)
        .where(
            Refund.payment_id == payment.id,
            or_(Refund.cause == cause, Refund.cause.startswith(f"{cause}#", autoescape=True)),
        )
        .order_by(Refund.id.desc())
    )
    latest = await session.scalar(statement.limit(1))
    if latest != refund.out_refund_no:
        raise RefundBegunAgain(out_refund_no=latest)


async def _promise_again(session: AsyncSession, payment: Payment, refund: Refund, clock: Clock, *, by: str) -> None:
    """WeChat never had it: the same number, claimed anew."""
    await rules.check(session, payment, refund.amount_fen, by=by, at=clock.now())
    refund.move(RefundState.REQUESTED)
    refund.attempts, refund.last_error = 1, None  # asked for before it is sent again
    refund.check_at = clock.now() + promising.FIRST_CHECK
    await promising.claim(session, payment, refund, clock.now())
    await jobs.enqueue(session, refunds.JOB, refund.out_refund_no)


async def apply_abnormal(
    db: Database,
    gateway: Gateway,
    payee: Payee,
    clock: Clock,
    out_refund_no: str,
    card: BankCard | None,
    *,
    by: str,
    again: bool = False,
) -> None:
    """Send an abnormal refund to a card of the payer's, or (`None`) to the merchant's own, who then owes it by hand.

    That somebody owes it is written down before WeChat hears of it: an answer may be lost, and the refund succeed.

    `again`: this very wish may have been done before. `POST …/{refund_id}/apply-abnormal-refund`. A card is where the money
    goes: of a refund that needed a second person, whoever asked for it does not choose one.

    Raises `RefundNotFound` (404), `OwnRefund` (403), `NotAbnormal`, `AbnormalRefused` (409), `WeChatPayUnknown` (503: it may
    have been done, so ask before it is done again).
    """
    async with db.begin() as session:
        payment, refund = await refunds.get(session, out_refund_no)
        if again and refund.state in (RefundState.PROCESSING, RefundState.SUCCEEDED):
            return
        if refund.state != RefundState.ABNORMAL or refund.refund_id is None:
            raise NotAbnormal(state=refund.state)
        if card is not None and refund.decided_by is not None and refund.requested_by == by:
            raise OwnRefund
        owed = card is None and await _owe(session, payment, refund, clock)
    try:
        trade = await _apply(gateway, refund, card)
    except Refused as error:
        if owed:
            async with db.begin() as session:
                await cases.over(session, _OWED, out_refund_no, "refused", clock.now())
        raise AbnormalRefused(reason=error.code) from None  # its message may repeat what we sent
    except Unknown:
        raise WeChatPayUnknown from None
    async with db.begin() as session:
        await refunds.learn(session, payee, trade, clock.now())  # locks the payment, before the case
        if card is not None:  # an earlier wish for the merchant's own card, whose answer was lost, did not come through
            await cases.over(session, _OWED, out_refund_no, "sent_to_payer", clock.now())


async def _owe(session: AsyncSession, payment: Payment, refund: Refund, clock: Clock) -> bool:
    """The money comes to the merchant, and a person owes it to the buyer. False: that is known already."""
    facts = {"amount_fen": refund.amount_fen, "payable": refund.payable}
    return await cases.note(
        session, _OWED, refund.out_refund_no, at=clock.now(), payment_id=payment.id, facts=facts, again=True
    )


async def _apply(gateway: Gateway, refund: Refund, card: BankCard | None) -> RefundTrade:
    assert refund.refund_id is not None
    if card is None:
        return await gateway.apply_abnormal(
            refund_id=refund.refund_id, out_refund_no=refund.out_refund_no, kind="MERCHANT_BANK_CARD"
        )
    return await gateway.apply_abnormal(
        refund_id=refund.refund_id,
        out_refund_no=refund.out_refund_no,
        kind="USER_BANK_CARD",
        bank_type=card.bank_type,
        bank_account=card.account,
        real_name=card.holder,
    )


async def follow(db: Database, gateway: Gateway, payee: Payee, clock: Clock, out_refund_no: str) -> None:
    """The job, and what staff ask for: hear from WeChat of any refund, its payment first if its own news is late.

    One that was made in the merchant portal is written down. Raises `WeChatPayUnknown` (503), to be tried again.
    """
    trade = await query(gateway, out_refund_no)
    if trade is None:
        log.warning("WeChat Pay knows no such refund", refund=out_refund_no)
        return
    if trade.out_trade_no and await _is_late(db, trade.out_trade_no):
        await asking.ask(db, gateway, payee, clock, trade.out_trade_no)
    async with db.begin() as session:
        came_of_it = await refunds.learn(session, payee, trade, clock.now())
    if came_of_it == "payment_first":
        raise WeChatPayUnknown


async def _is_late(db: Database, out_trade_no: str) -> bool:
    async with db.begin() as session:
        state = await session.scalar(select(Payment.state).where(Payment.out_trade_no == out_trade_no))
    return state is not None and state != PaymentState.RECEIVED


async def query(gateway: Gateway, out_refund_no: str) -> RefundTrade | None:
    """What WeChat has of it. Raises `WeChatPayUnknown` (503)."""
    try:
        return await gateway.query_refund(out_refund_no)
    except (Refused, Unknown) as error:
        log.warning("refund query", refund=out_refund_no, answer=str(error))
        raise WeChatPayUnknown from error
