"""Which bills are wanted, and whose turn it is: rows with a time, taken with SKIP LOCKED by as many workers as there are."""

from datetime import date, datetime, timedelta

from sqlalchemy import Date, cast, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from kit.errors import Unprocessable
from payments.models import Payment
from payments.reconciliation import beijing
from payments.reconciliation.models import Bill, BillDay, BillKind, BillState, DayState
from payments.wechatpay.merchant import Merchant

CATCH_UP = timedelta(days=20)
"""So far back days are caught up by themselves after a time without workers; older ones when somebody asks."""
LEASE = timedelta(minutes=15)
"""Whoever takes a bill or a day has it for so long; then it is another one's."""
ALL = tuple(BillKind)
ACCOUNT_UNMATCHED = (
    "not matched: the account, for the fund flow that a partner can read is of its own and not of the sub-merchant's"
)
"""Said of each day of a sub-merchant: only the trade bill is compared."""
_OVERSEAS = {
    "en": "not matched: no description of the columns of a statement overseas is known, so none is read",
    "zh": "未核对：没有公开资料说明境外商户对账单的列，因此不读取",
}


class DayOutOfReach(Unprocessable):
    """WeChat Pay has bills from {oldest} to {newest}."""

    zh = "微信支付账单可获取的日期为 {oldest} 至 {newest}"

    def sentence(self, language: str) -> str:
        """Without days to name, none is in reach: the merchant is overseas."""
        return super().sentence(language) if self.facts else _OVERSEAS["zh" if language == "zh" else "en"]


def kinds_of(merchant: Merchant) -> tuple[BillKind, ...]:
    """Which bills tell of this merchant's money and can be read.

    The fund flow is of whoever signs: a partner's own account, where the sub-merchant's money never moves. The call for
    the sub-merchant's answers sealed parts in a form that is not described; nor are the columns of overseas statements.
    """
    if merchant.region == "global":
        return ()
    return (BillKind.TRADE,) if merchant.is_partner else ALL


async def want(session: AsyncSession, now: datetime, kinds: tuple[BillKind, ...] = ALL) -> None:
    """Write down the days since our first attempt to be paid whose bills can be had and were never asked for."""
    first = await session.scalar(select(Payment.created_at).order_by(Payment.id).limit(1))
    newest = beijing.newest(now)
    if first is None or beijing.day_of(first) > newest:
        return
    await _add(session, max(beijing.day_of(first), newest - CATCH_UP), newest, now, kinds)


async def ask_for(
    session: AsyncSession, day: date, now: datetime, *, due: datetime, kinds: tuple[BillKind, ...] = ALL
) -> None:
    """Have `day` reconciled anew, its missing bills asked for again; the worker takes it from `due` on.

    Raises `DayOutOfReach` (422) for a day that was never had and cannot be had any more, or not yet; for every
    day where no kind of bill can be read.
    """
    if not kinds:
        raise DayOutOfReach
    newest, oldest = beijing.newest(now), beijing.oldest(now)
    if await session.get(BillDay, day) is None:
        if not oldest <= day <= newest:
            raise DayOutOfReach(oldest=oldest.isoformat(), newest=newest.isoformat())
        await _add(session, day, day, now, kinds)
    again = {"state": BillState.WANTED, "check_at": due, "attempts": 0, "broken": 0}
    unsettled = Bill.state.in_([BillState.WANTED, BillState.FAILED, BillState.EMPTY])
    if day >= oldest:  # of an older day there is nothing to be had any more: what is known of it stays
        await session.execute(update(Bill).where(Bill.day == day, Bill.kind.in_(kinds), unsettled).values(again))
    await session.execute(update(BillDay).where(BillDay.day == day).values(check_at=due))


async def _add(session: AsyncSession, first: date, last: date, now: datetime, kinds: tuple[BillKind, ...]) -> None:
    days = func.generate_series(cast(literal(first), Date), cast(literal(last), Date), text("interval '1 day'"))
    series = select(cast(days.column_valued("day"), Date))
    added = insert(BillDay).from_select(
        ["day", "state", "figures"], series.add_columns(literal(DayState.OPEN), text("'{}'"))
    )
    for day in await session.scalars(added.on_conflict_do_nothing().returning(BillDay.day)):
        for kind in kinds:
            session.add(Bill(day=day, kind=kind, state=BillState.WANTED, check_at=now))
    await session.flush()


async def bills_of(session: AsyncSession, day: date, kinds: tuple[BillKind, ...]) -> list[Bill]:
    """The bills of a day that count; one of another kind is of a time when the merchant was another."""
    return list(await session.scalars(select(Bill).where(Bill.day == day, Bill.kind.in_(kinds))))


async def missing(session: AsyncSession, day: date, kinds: tuple[BillKind, ...]) -> list[BillKind]:
    """What is still wanted of a day, the trade bill first."""
    wanted = {bill.kind for bill in await bills_of(session, day, kinds) if bill.state == BillState.WANTED}
    return [kind for kind in kinds if kind in wanted]


async def claim_bill(
    session: AsyncSession, now: datetime, kinds: tuple[BillKind, ...] = ALL
) -> tuple[date, BillKind] | None:
    """The next bill to be had, oldest first; ours for `LEASE`."""
    statement = (
        select(Bill)
        .where(Bill.state == BillState.WANTED, Bill.kind.in_(kinds), Bill.check_at <= now)
        .order_by(Bill.day, Bill.kind)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    bill = await session.scalar(statement)
    if bill is None:
        return None
    bill.check_at = now + LEASE
    return bill.day, BillKind(bill.kind)


async def claim_day(session: AsyncSession, now: datetime, kinds: tuple[BillKind, ...] = ALL) -> date | None:
    """The next day to be matched: its bills are settled and its time has come; ours for `LEASE`."""
    wanted = (Bill.state == BillState.WANTED) & Bill.kind.in_(kinds)
    waiting = select(Bill.day).where(Bill.day == BillDay.day, wanted)
    statement = (
        select(BillDay)
        .where(BillDay.check_at <= now, ~waiting.exists())
        .order_by(BillDay.day)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    day = await session.scalar(statement)
    if day is None:
        return None
    day.check_at = now + LEASE
    return day.day


async def hold(session: AsyncSession, day: date, turn: datetime | None, now: datetime) -> datetime | None:
    """Lengthen the lease of a `day` that is ours until `turn`; returns until when it is ours now.

    Somebody who has asked for it meanwhile is not forgotten: then nothing is lengthened.
    """
    mine = update(BillDay).where(BillDay.day == day, BillDay.check_at.is_not_distinct_from(turn))
    lease = now + LEASE
    held = await session.scalar(mine.values(check_at=lease).returning(BillDay.day))
    return lease if held else turn


async def settled(session: AsyncSession, bill: Bill, state: BillState, now: datetime) -> None:
    """`bill` has come to an end, so its day may be matched; and yesterday's leftovers, which this bill may explain."""
    bill.state, bill.last_error = state, bill.last_error if state is BillState.FAILED else None
    await session.flush()
    differing = (BillDay.day == bill.day - timedelta(days=1)) & (BillDay.state == DayState.DIFFERS)
    await session.execute(update(BillDay).where((BillDay.day == bill.day) | differing).values(check_at=now))
