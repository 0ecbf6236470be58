"""Repairing what is merely late or lost: WeChat is asked, and its answer settles it like any other news."""

import asyncio
from datetime import date, datetime

import structlog
from sqlalchemy import select, update

from kit.clock import Clock
from kit.database import Database
from payments import asking, refunds
from payments.models import Payment
from payments.ports import Payee
from payments.reconciliation import wanting
from payments.reconciliation.models import BillDifference
from payments.wechatpay.gateway import Gateway

log = structlog.get_logger()

PAYMENTS = ("bill_unknown_payment", "bill_missing_payment")
"""A payment we never heard of, and one that the bill does not have."""
REFUNDS = ("bill_unknown_refund", "bill_missing_refund", "bill_refund_state_mismatch")
_PAGE = 200
_AT_ONCE = 4


async def repair(
    db: Database, gateway: Gateway, payee: Payee, clock: Clock, day: date, run: int, turn: datetime | None
) -> tuple[int, datetime | None]:
    """Ask WeChat about every difference of this run that an answer may mend; returns how many, and the day's turn then."""
    asked, last = 0, 0
    while True:
        async with db.begin() as session:
            turn = await wanting.hold(session, day, turn, clock.now())
            known = select(Payment.id).where(Payment.out_trade_no == BillDifference.out_trade_no)
            statement = (
                select(BillDifference)
                .where(BillDifference.day == day, BillDifference.run == run, BillDifference.id > last)
                .where(BillDifference.kind.in_(REFUNDS) | (BillDifference.kind.in_(PAYMENTS) & known.exists()))
                .order_by(BillDifference.id)
                .limit(_PAGE)
            )
            page = list(await session.scalars(statement))
        if not page:
            return asked, turn
        for start in range(0, len(page), _AT_ONCE):
            some = page[start : start + _AT_ONCE]
            answers = await asyncio.gather(*(_ask(db, gateway, payee, clock, found) for found in some))
            await _remember(db, clock, dict(zip((found.id for found in some), answers, strict=True)))
        asked, last = asked + len(page), page[-1].id


async def _ask(db: Database, gateway: Gateway, payee: Payee, clock: Clock, found: BillDifference) -> str:
    """One question; whatever goes wrong with it, the others are asked as well."""
    try:
        if found.kind in REFUNDS:
            await refunds.ask(db, gateway, payee, clock, found.out_refund_no or "")
            return "asked"
        return await asking.ask(db, gateway, payee, clock, found.out_trade_no or "")
    except asking.WeChatPayUnknown:
        return "unknown"
    except Exception:
        log.exception("not repaired", kind=found.kind, reference=found.reference)
        return "failed"


async def _remember(db: Database, clock: Clock, answers: dict[int, str]) -> None:
    async with db.begin() as session:
        for which, answer in answers.items():
            values = {"asked_at": clock.now(), "answer": answer}
            await session.execute(update(BillDifference).where(BillDifference.id == which).values(values))
