"""A declaration at WeChat: told, asked for, and what customs made of it taken over."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from kit.clock import Clock
from kit.database import Database
from payments import cases
from payments.models import Payment
from payments.payouts import outcomes, pursuit
from payments.payouts.customs_models import HEARD, MOVES, OPEN, Call, Declaration, DeclarationState
from payments.trades import instant
from payments.wechatpay.customs import CustomsAnswer, CustomsAsk
from payments.wechatpay.gateway import Gateway, Refused, Unknown, asked

_FAILED = frozenset({DeclarationState.FAIL, DeclarationState.EXCEPT})


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
        known = await asked(gateway.customs.query(ask.out_trade_no, ask.customs, ask.sub_order_no))
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
    target = next((state for state in HEARD if state.upper() == answer.state), None)
    if target is None or answer.transaction_id not in (None, payment.transaction_id):
        facts: dict[str, object] = {"state": answer.state, "transaction_id": answer.transaction_id}
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
    if target in _FAILED:
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
