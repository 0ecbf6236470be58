"""Customs declaration of a payment for goods from abroad: promised here, pursued at WeChat until customs has decided."""

from datetime import datetime, timedelta

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from kit import jobs
from kit.errors import Conflict, NotFound, Unprocessable, invalid
from payments.models import Payment, PaymentState
from payments.payouts import pursuit
from payments.payouts.customs_models import AGAIN, OPEN, Call, Customs, Declaration, DeclarationState

JOB = "payments.customs"


class DeclarationNotFound(NotFound):
    """There is no such customs declaration."""

    zh = "未找到该报关单"


class NotDeclarable(Conflict):
    """Only a payment that is in and stays can be declared."""

    zh = "仅已入账的支付可以报关"


class DeclaredAlready(Conflict):
    """This was declared there already: declaration {id}, {state}."""

    zh = "已向该海关申报：{id}，状态 {state}"


class DeclaredTooMuch(Unprocessable):
    """Only {left_fen} fen of this payment are left to declare."""

    zh = "超出可申报金额，剩余 {left_fen} 分"


class NotDeclaredAgain(Conflict):
    """Only what customs has decided on is told once more; this is {state}."""

    zh = "申报尚未结束，不能重新申报，当前状态：{state}"


class SubOrder(msgspec.Struct, frozen=True):
    """One part of a payment that is declared in parts; `order_fen` = freight + goods."""

    no: str
    transport_fen: int
    product_fen: int


class Wish(msgspec.Struct, frozen=True):
    customs: Customs
    merchant_customs_no: str
    duty_fen: int | None = None
    sub_order: SubOrder | None = None


class Amendment(msgspec.Struct, frozen=True):
    """What is told otherwise; `None`: as before."""

    merchant_customs_no: str | None = None
    duty_fen: int | None = None


async def request(session: AsyncSession, payment: Payment, wish: Wish, *, by: str, at: datetime) -> Declaration:
    """Promise the declaration. The caller holds the payment's lock.

    Raises `InvalidInput` (400), `NotDeclarable`, `DeclaredAlready` (409), `DeclaredTooMuch` (422).
    """
    if payment.state != PaymentState.RECEIVED or not payment.applied or payment.external:
        raise NotDeclarable
    part = wish.sub_order
    if part is not None:
        await _check_part(session, payment, wish.customs, part)
    else:
        await _check_no_part(session, payment, wish.customs)
    values = {
        "payment_id": payment.id,
        "customs": wish.customs,
        "merchant_customs_no": wish.merchant_customs_no,
        "duty_fen": wish.duty_fen,
        "sub_order_no": part.no if part else "",
        "order_fen": part.transport_fen + part.product_fen if part else None,
        "transport_fen": part.transport_fen if part else None,
        "product_fen": part.product_fen if part else None,
        "state": DeclarationState.REQUESTED,
        "call": Call.DECLARE,
        "check_at": at + timedelta(seconds=20),
        "requested_by": by,
        "requested_at": at,
    }
    statement = insert(Declaration).values(values).on_conflict_do_nothing().returning(Declaration)
    made = (await session.execute(statement)).scalar_one_or_none()
    if made is None:
        same = select(Declaration).filter_by(
            payment_id=payment.id, customs=wish.customs, sub_order_no=values["sub_order_no"]
        )
        other = (await session.execute(same)).scalar_one()
        raise DeclaredAlready(id=str(other.id), state=other.state)
    await jobs.enqueue(session, JOB, str(made.id))
    return made


async def _check_part(session: AsyncSession, payment: Payment, customs: Customs, part: SubOrder) -> None:
    if part.transport_fen + part.product_fen <= 0:
        raise invalid("subOrder", "must have an amount")
    others = select(Declaration).where(Declaration.payment_id == payment.id, Declaration.customs == customs)
    rows = list(await session.scalars(others))
    if any(not row.sub_order_no for row in rows):
        whole = next(row for row in rows if not row.sub_order_no)
        raise DeclaredAlready(id=str(whole.id), state=whole.state)
    declared_fen = sum(row.order_fen or 0 for row in rows if row.sub_order_no != part.no)
    left_fen = (payment.received_fen or 0) - declared_fen
    if part.transport_fen + part.product_fen > left_fen:
        raise DeclaredTooMuch(left_fen=left_fen)


async def _check_no_part(session: AsyncSession, payment: Payment, customs: Customs) -> None:
    """The whole is not told beside its parts: customs would be told more than was paid."""
    parts = select(Declaration).where(Declaration.payment_id == payment.id, Declaration.customs == customs)
    part = await session.scalar(parts.where(Declaration.sub_order_no != "").limit(1))
    if part is not None:
        raise DeclaredAlready(id=str(part.id), state=part.state)


async def again(session: AsyncSession, declaration_id: int, wish: Amendment, *, by: str, at: datetime) -> Declaration:
    """Tell customs once more: with other values after FAIL, else the same. Refused before: declared anew.

    Raises `DeclarationNotFound` (404), `NotDeclaredAgain` (409), `InvalidInput` (400).
    """
    row = await session.get(Declaration, declaration_id, with_for_update=True)
    if row is None:
        raise DeclarationNotFound
    call = AGAIN.get(DeclarationState(row.state))
    if call is None:
        raise NotDeclaredAgain(state=row.state)
    if call == Call.REDECLARE and wish != Amendment():
        raise invalid("merchantCustomsNo", "and dutyFen may change only after a failure")
    row.merchant_customs_no = wish.merchant_customs_no or row.merchant_customs_no
    row.duty_fen = row.duty_fen if wish.duty_fen is None else wish.duty_fen
    row.move(DeclarationState.REQUESTED, at)
    row.call, row.turns, row.attempts = call, row.turns + 1, 0
    row.requested_by, row.requested_at = by, at
    await jobs.enqueue(session, JOB, str(row.id))
    return row


async def due(session: AsyncSession, now: datetime) -> list[str]:
    """Declarations under way whose time has come, for `customs_pursuit.pursue`."""
    return [str(found) for found in await pursuit.due(session, Declaration, Declaration.id, OPEN, now)]
