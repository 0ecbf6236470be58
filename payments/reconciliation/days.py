"""One day, matched three ways and booked; and the worker's turn, which has every day dealt with in the end.

Whatever dies half way: differences, postings and cases are each written once, the day's lease ends, and the next worker
begins the match again from the rows that are kept.
"""

from datetime import date, datetime, timedelta

import msgspec
import structlog
from sqlalchemy import update

from kit.clock import Clock
from kit.database import Database, DatabaseUnavailable
from payments.ports import Payee
from payments.reconciliation import beijing, booking, download, figures, keeping, matching, noting, repairing, wanting
from payments.reconciliation.keeping import Say, silent
from payments.reconciliation.models import BillDay, BillKind, BillState, DayState
from payments.wechatpay.gateway import Gateway

log = structlog.get_logger()

_LOOKED_AT_AGAIN = timedelta(days=31)
"""So long a day that differs is matched anew every morning."""


async def turn(db: Database, gateway: Gateway, payee: Payee, clock: Clock) -> None:
    """The worker's: want what is missing, fetch what is due, match what is in."""
    kinds = wanting.kinds_of(gateway.merchant)
    if not kinds:
        return
    async with db.begin() as session:
        await wanting.want(session, clock.now(), kinds)
    while True:
        async with db.begin() as session:
            claimed = await wanting.claim_bill(session, clock.now(), kinds)
        if claimed is None:
            break
        state = await download.fetch(db, gateway, clock, *claimed)
        log.info("bill", day=claimed[0].isoformat(), kind=claimed[1], state=state)
    while True:
        async with db.begin() as session:
            day = await wanting.claim_day(session, clock.now(), kinds)
        if day is None:
            return
        await _match_or_leave(db, gateway, payee, clock, day)


async def _match_or_leave(db: Database, gateway: Gateway, payee: Payee, clock: Clock, day: date) -> None:
    """A day that cannot be matched says why, waits for its next turn, and holds up no other."""
    try:
        state = await match(db, gateway, payee, clock, day)
    except DatabaseUnavailable:
        raise
    except Exception as error:
        log.exception("bill day", day=day.isoformat())
        async with db.begin() as session:
            values = {"last_error": type(error).__name__}
            await session.execute(update(BillDay).where(BillDay.day == day).values(values))
    else:
        log.info("bill day", day=day.isoformat(), state=state)


async def reconcile(
    db: Database, gateway: Gateway, payee: Payee, clock: Clock, day: date, say: Say = silent
) -> DayState:
    """Now, whatever its turn: get the day's bills, if they are not there, and match. Raises `DayOutOfReach` (422)."""
    kinds = wanting.kinds_of(gateway.merchant)
    async with db.begin() as session:
        now = clock.now()
        await wanting.ask_for(session, day, now, due=now + wanting.LEASE, kinds=kinds)
        missing = await wanting.missing(session, day, kinds)
    for kind in missing:
        say(f"{day} {kind}: asking WeChat Pay")
        state = await download.fetch(db, gateway, clock, day, kind, say)
        say(f"{day} {kind}: {state}")
    async with db.begin() as session:
        missing = await wanting.missing(session, day, kinds)
    if missing:
        return DayState.OPEN
    return await match(db, gateway, payee, clock, day, say)


async def match(db: Database, gateway: Gateway, payee: Payee, clock: Clock, day: date, say: Say = silent) -> DayState:
    """Match, ask WeChat about what may be late or lost, match again, book, and open the cases of what is left."""
    kinds = wanting.kinds_of(gateway.merchant)
    say(f"{day}: matching")
    async with db.begin() as session:
        await keeping.patient(session)
        await keeping.look(session)
    async with db.begin() as session:
        await keeping.patient(session)
        found = await session.get_one(BillDay, day, with_for_update=True)
        found.run += 1
        run, turn = found.run, found.check_at
        await matching.match_trade(session, day, run, clock.now())
    asked, turn = await repairing.repair(db, gateway, payee, clock, day, run, turn)
    if asked:
        say(f"{day}: asked WeChat Pay {asked} times")
    state = await _close(db, clock, day, say, kinds)
    async with db.begin() as session:
        noted = await noting.note_some(session, day, clock.now())
    while noted:
        async with db.begin() as session:
            noted = await noting.note_some(session, day, clock.now())
    async with db.begin() as session:
        await noting.resolve_gone(session, day, clock.now())
        for bill in await wanting.bills_of(session, day, kinds):
            if bill.state in {BillState.VERIFIED, BillState.EMPTY}:
                await noting.resolve_had(session, day, bill.kind, BillState(bill.state), clock.now())
        found = await session.get_one(BillDay, day, with_for_update=True)
        if found.check_at == turn:  # or somebody wants it anew, and the last look may have been too early for that
            found.check_at = _next_look(day, state, clock.now())
    return state


async def _close(db: Database, clock: Clock, day: date, say: Say, kinds: tuple[BillKind, ...]) -> DayState:
    """The last match, the bookings, the figures and the state: one transaction."""
    now = clock.now()
    async with db.begin() as session:
        await keeping.patient(session)
        found = await session.get_one(BillDay, day, with_for_update=True)
        found.run += 1
        say(f"{day}: booking")
        traded = await matching.match_trade(session, day, found.run, now)
        await booking.book(session, day)
        with_account = BillKind.FUND_FLOW in kinds
        flow = await matching.match_flow(session, day, found.run, now) if with_account else None
        await matching.forget_gone(
            session, day, found.run, now, trade=traded, flow=flow is not None or not with_account
        )
        report = await figures.collect(session, day, flow)
        found.figures = msgspec.to_builtins(report)
        bills = await wanting.bills_of(session, day, kinds)
        failed = any(bill.state == BillState.FAILED for bill in bills)
        differs = failed or report.open or report.waiting
        found.state = DayState.DIFFERS if differs else DayState.AGREED
        found.matched_at = now
        found.last_error = None if with_account else wanting.ACCOUNT_UNMATCHED
        return DayState(found.state)


def _next_look(day: date, state: DayState, now: datetime) -> datetime | None:
    """A day that differs is looked at again every morning, after the bills have come."""
    today = beijing.day_of(now)
    if state is DayState.AGREED or day < today - _LOOKED_AT_AGAIN:
        return None
    return beijing.available_at(today) + timedelta(hours=1)
