"""Customs declaration of a payment for goods from abroad: promised here, pursued at WeChat until customs has decided."""

from datetime import datetime, timedelta

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from kit import jobs
from kit.clock import Clock
from kit.database import Database
from kit.errors import Conflict, NotFound, Unprocessable, invalid
from payments import cases
from payments.models import Payment, PaymentState
from payments.payouts import outcomes, pursuit
from payments.payouts.customs_models import AGAIN, MOVES, OPEN, Call, Customs, Declaration, DeclarationState
from payments.trades import instant
from payments.wechatpay.customs import CustomsAnswer, CustomsAsk
from payments.wechatpay.gateway import Gateway, Refused, Unknown

JOB = "payments.customs"
FAILED = frozenset({DeclarationState.FAIL, DeclarationState.EXCEPT})


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


async def pursue(db: Database, gateway: Gateway, clock: Clock, declaration_id: str) -> None:
    """Bring one declaration on: ask for it if it was tried before, send it if WeChat has none of it.

    Raises `Refused` for what passes, and `Unknown`: to be tried again.
    """
    async with db.begin() as session:
        row = await session.get(Declaration, int(declaration_id), with_for_update=True)
        if row is None or row.state not in OPEN:
            return
        payment = await session.get_one(Payment, row.payment_id)
        tried = row.attempts > 0
        row.attempts += 1
    try:
        answer = await _bring(gateway, payment, row, tried=tried)
    except (Refused, Unknown) as error:
        await pursuit.remember(db, clock, Declaration, row.id, error)
        if outcomes.passes(error):
            raise
        await _refused(db, clock, row.id)
    else:
        async with db.begin() as session:
            await learn(session, row.id, answer, clock.now())


async def _bring(gateway: Gateway, payment: Payment, row: Declaration, *, tried: bool) -> CustomsAnswer:
    """What WeChat has of it; sent where it has nothing, or nothing new of what is told once more."""
    ask = _ask(payment, row)
    send = {
        Call.DECLARE: gateway.customs.declare,
        Call.AMEND: gateway.customs.amend,
        Call.REDECLARE: gateway.customs.redeclare,
    }[Call(row.call)]
    if tried:
        known = await gateway.customs.query(ask.out_trade_no, ask.customs, ask.sub_order_no)
        if known is not None and (row.state != DeclarationState.REQUESTED or _has_heard(known, row)):
            return known
    return await send(ask)


def _has_heard(known: CustomsAnswer, row: Declaration) -> bool:
    """Is this about our last telling? When in doubt it is told again, which is harmless."""
    modified_at = instant(known.modify_time)
    if row.call == Call.DECLARE:
        return True
    return modified_at is not None and row.modified_at is not None and modified_at > row.modified_at


def _ask(payment: Payment, row: Declaration) -> CustomsAsk:
    assert payment.transaction_id is not None
    return CustomsAsk(
        out_trade_no=payment.out_trade_no,
        transaction_id=payment.transaction_id,
        customs=row.customs,
        merchant_customs_no=row.merchant_customs_no,
        currency=payment.currency,
        duty_fen=row.duty_fen,
        sub_order_no=row.sub_order_no or None,
        order_fen=row.order_fen,
        transport_fen=row.transport_fen,
        product_fen=row.product_fen,
    )


async def learn(session: AsyncSession, declaration_id: int, answer: CustomsAnswer, at: datetime) -> str:
    """Take over a declaration's state from a signed answer. Never backwards; returns what came of it."""
    row = await session.get_one(Declaration, declaration_id, with_for_update=True, populate_existing=True)
    payment = await session.get_one(Payment, row.payment_id)
    reference = f"customs:{row.id}"
    target = next((state for state in DeclarationState if state.upper() == answer.state), None)
    if target is None or answer.transaction_id not in (None, payment.transaction_id):
        facts = {"state": answer.state, "transaction_id": answer.transaction_id}
        await cases.note(session, "customs_mismatch", reference, at=at, payment_id=payment.id, facts=facts)
        return "customs_mismatch"
    known = DeclarationState(row.state)
    row.modified_at = instant(answer.modify_time) or row.modified_at
    if target is known or target not in MOVES[known] or known not in OPEN:
        return "known"
    row.verify_department = answer.verify_department or row.verify_department
    row.verify_department_trade_id = answer.verify_department_trade_id or row.verify_department_trade_id
    row.explanation = answer.explanation
    row.move(target, at)
    if target in FAILED:
        facts = {"explanation": answer.explanation, "turn": row.turns}
        await cases.note(
            session, f"customs_{target}", f"{reference}#{row.turns}", at=at, payment_id=payment.id, facts=facts
        )
    return target.value


async def _refused(db: Database, clock: Clock, declaration_id: int) -> None:
    async with db.begin() as session:
        row = await session.get_one(Declaration, declaration_id, with_for_update=True)
        if row.state == DeclarationState.REQUESTED:
            row.move(DeclarationState.REFUSED, clock.now())
            facts = {"last_error": row.last_error, "turn": row.turns}
            reference = f"customs:{row.id}#{row.turns}"
            await cases.note(
                session, "customs_refused", reference, at=clock.now(), payment_id=row.payment_id, facts=facts
            )


async def due(session: AsyncSession, now: datetime) -> list[str]:
    """Declarations under way whose time has come, for `pursue`."""
    return [str(found) for found in await pursuit.due(session, Declaration, Declaration.id, OPEN, now)]
