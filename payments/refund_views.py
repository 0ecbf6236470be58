"""Refunds as staff see them: what is known, what happened, and what can be done."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from payments.ledger import Posting
from payments.models import Payment, PaymentException, Refund, RefundState
from payments.refunds import RefundNotFound


class RefundRow(msgspec.Struct, rename="camel", kw_only=True):
    """`amountFen` is of the order's total; `payerRefundFen` of it goes to the payer and the rest into coupons.

    `actions`: what the reader may do now, as names of routes (`approve`, `reject`, `retry`, `applyAbnormal`, `refresh`);
    `refundAgain` means a new refund at the order. `waitingFor`: `gap`, `not_enough`, `shares`.
    """

    out_refund_no: str
    payable: str
    cause: str
    origin: str
    amount_fen: int
    payer_refund_fen: int | None
    discount_refund_fen: int | None
    settlement_refund_fen: int | None
    user_received_account: str | None
    reason: str
    state: str
    waiting_for: str | None
    waiting_since: datetime | None
    refund_id: str | None
    last_error: str | None
    attempts: int
    sent_at: datetime | None
    check_at: datetime
    """When it is looked at next, unless it has ended."""
    requested_by: str
    requested_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    succeeded_at: datetime | None
    actions: list[str]


class RefundCase(msgspec.Struct, rename="camel"):
    id: str
    kind: str
    facts: dict[str, Any]
    created_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None


class RefundPosting(msgspec.Struct, rename="camel"):
    cause: str
    debit: str
    credit: str
    amount_fen: int
    at: datetime


class RefundTurn(msgspec.Struct, rename="camel"):
    """Another refund of the same payment."""

    out_refund_no: str
    cause: str
    amount_fen: int
    state: str
    requested_at: datetime


class RefundDetail(RefundRow, kw_only=True, rename="camel"):
    out_trade_no: str
    transaction_id: str | None
    received_fen: int | None
    refunded_fen: int
    """What of the payment is promised or given back, this refund included."""
    others: list[RefundTurn]
    cases: list[RefundCase]
    postings: list[RefundPosting]


_OWN = tuple(field for field in RefundRow.__struct_fields__ if field != "actions")


def actions(refund: Refund, payment: Payment, reader: str) -> list[str]:
    """What may be done about it. Whoever asked for a refund does not decide on it."""
    state = RefundState(refund.state)
    if state is RefundState.WAITING:
        return [] if refund.requested_by == reader else ["approve", "reject"]
    if state is RefundState.REQUESTED:
        return ["retry"]
    if state in (RefundState.CLOSED, RefundState.REFUSED):
        return ["refundAgain"] if payment.applied else ["retry"]
    if state is RefundState.ABNORMAL:
        return ["applyAbnormal", "refresh"]
    return ["refresh"] if state is RefundState.PROCESSING else []


def row(refund: Refund, payment: Payment, reader: str) -> RefundRow:
    facts = {name: getattr(refund, name) for name in _OWN}
    return RefundRow(**facts, actions=actions(refund, payment, reader))


async def get(session: AsyncSession, out_refund_no: str, reader: str) -> RefundDetail:
    """One refund with its history. Raises `RefundNotFound` (404)."""
    statement = select(Refund, Payment).join(Payment, Payment.id == Refund.payment_id)
    found = (await session.execute(statement.where(Refund.out_refund_no == out_refund_no))).one_or_none()
    if found is None:
        raise RefundNotFound
    refund, payment = found
    others = select(Refund).where(Refund.payment_id == payment.id, Refund.id != refund.id).order_by(Refund.id)
    about = or_(PaymentException.reference == out_refund_no, PaymentException.refund_id == refund.id)
    cases = select(PaymentException).where(about).order_by(PaymentException.id)
    return RefundDetail(
        **{
            field: getattr(shown, field)
            for shown in [row(refund, payment, reader)]
            for field in shown.__struct_fields__
        },
        out_trade_no=payment.out_trade_no,
        transaction_id=payment.transaction_id,
        received_fen=payment.received_fen,
        refunded_fen=payment.refunded_fen,
        others=[msgspec.convert(other, RefundTurn, from_attributes=True) for other in await session.scalars(others)],
        cases=[_case(case) for case in await session.scalars(cases)],
        postings=await _postings(session, refund),
    )


def _case(case: PaymentException) -> RefundCase:
    own = (case.facts, case.created_at, case.resolved_at, case.resolved_by, case.resolution)
    return RefundCase(str(case.id), case.kind, *own)


async def _postings(session: AsyncSession, refund: Refund) -> list[RefundPosting]:
    """Its movements in the ledger; each further promise of the same number has a cause of its own."""
    number, last = refund.out_refund_no, refund.promises
    names = [number, *(f"{number}:{turn}" for turn in range(2, last + 1))]
    causes = [f"refunded:{number}", *(f"{kind}:{name}" for kind in ("refund", "refund_ended") for name in names)]
    statement = select(Posting).where(Posting.cause.in_(causes)).order_by(Posting.id)
    return [msgspec.convert(entry, RefundPosting, from_attributes=True) for entry in await session.scalars(statement)]
