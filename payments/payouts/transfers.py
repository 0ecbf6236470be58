"""Transfers to a user (商家转账): promised in the caller's transaction, within what the shop and WeChat allow.

The real name, from 2,000 yuan on, is sealed to WeChat's key at the edge and kept in that form only until WeChat has taken
the transfer: so the worker can repeat a call whose answer was lost, and neither the database, its backups nor we can
read it. Asking staff for it again at each repeat would need them there; our own key would be one more to lose.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone

import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from kit import jobs
from kit.errors import Conflict, Forbidden, NotFound, Unprocessable, invalid
from kit.numbers import new_no
from payments import cases, ledger, policy
from payments.ledger import Account
from payments.payouts import pursuit, rules, scenes
from payments.payouts.models import (
    NAME_BELOW_FEN,
    NAME_FROM_FEN,
    OPEN,
    USES_ITS_CAUSE,
    WITHOUT_MONEY,
    Transfer,
    TransferDay,
    TransferState,
)
from payments.wechatpay.sealing import SealedText

JOB = "payments.transfer"
_BEIJING = timezone(timedelta(hours=8))
_REMARK_BYTES = 32
_ORDINARY_ENDS = frozenset({"OVERDUE_CLOSE", "MCH_CANCEL", "MERCHANT_REJECT"})
"""Ends that nobody has to look at: the user let it lapse, or we took it back."""
_CANCELLABLE = frozenset(
    {TransferState.REQUESTED, TransferState.ACCEPTED, TransferState.PROCESSING, TransferState.WAIT_USER_CONFIRM}
)


class TransferNotFound(NotFound):
    """There is no such transfer."""

    zh = "未找到该转账"


class CauseUsed(Conflict):
    """Transfer {out_bill_no} was promised for the same cause."""

    zh = "该事由已有转账 {out_bill_no}"


class DailyCapReached(Unprocessable):
    """This user may be promised only {left_fen} fen more today."""

    zh = "该用户今日可转账额度不足，剩余 {left_fen} 分"


class SecondPersonNeeded(Forbidden):
    """Whoever asked for this payout may not approve it."""

    zh = "发起人不能审批自己的转账"


class NotToApprove(Conflict):
    """This transfer waits for no approval; it is {state}."""

    zh = "该转账无需审批，当前状态：{state}"


class NotCancellable(Conflict):
    """This transfer can no longer be cancelled; it is {state}."""

    zh = "该转账已不可撤销，当前状态：{state}"


class Wish(msgspec.Struct, frozen=True):
    """What is to be paid, to whom and why. `name` is the real name, sealed."""

    cause: str
    payee: str
    appid: str
    openid: str
    amount_fen: int
    remark: str
    scene_id: str
    report: Mapping[str, str]
    name: SealedText | None = None


def check(amount_fen: int, remark: str, scene_id: str, report: Mapping[str, str], *, named: bool) -> None:
    """WeChat's own rules for a transfer. Raises `InvalidInput` (400)."""
    scenes.check(scene_id, report)
    if amount_fen >= NAME_FROM_FEN and not named:
        raise invalid("realName", f"is required from {NAME_FROM_FEN} fen")
    if amount_fen < NAME_BELOW_FEN and named:
        raise invalid("realName", f"is not allowed below {NAME_BELOW_FEN} fen")
    if len(remark.encode()) > _REMARK_BYTES:
        raise invalid("remark", f"must have at most {_REMARK_BYTES} bytes of UTF-8")


async def request(session: AsyncSession, mchid: str, wish: Wish, *, by: str, at: datetime) -> Transfer:
    """Promise it; above the policy's limit a second person must agree before it goes to WeChat. What one user was
    promised that day and nobody else agreed to counts as one sum, so that many small transfers are no way around it.

    Raises `InvalidInput` (400), `CauseUsed` (409), `DailyCapReached` (422).
    """
    check(wish.amount_fen, wish.remark, wish.scene_id, wish.report, named=wish.name is not None)
    limit_fen = (await policy.current(session)).payout_approval_above_fen
    values = {
        "out_bill_no": new_no("T"),
        "cause": wish.cause,
        "payee": wish.payee,
        "mchid": mchid,
        "appid": wish.appid,
        "openid": wish.openid,
        "amount_fen": wish.amount_fen,
        "remark": wish.remark,
        "scene_id": wish.scene_id,
        "report": dict(wish.report),
        "named": wish.name is not None,
        "sealed_name": wish.name.text if wish.name else None,
        "sealed_for": wish.name.serial if wish.name else None,
        "state": TransferState.REQUESTED,
        "check_at": at + timedelta(seconds=20),
        "requested_by": by,
        "requested_at": at,
    }
    statement = insert(Transfer).values(values)
    statement = statement.on_conflict_do_nothing(index_elements=["cause"], index_where=USES_ITS_CAUSE)
    transfer = (await session.execute(statement.returning(Transfer))).scalar_one_or_none()
    if transfer is None:
        other = select(Transfer.out_bill_no).where(Transfer.cause == wish.cause, USES_ITS_CAUSE)
        raise CauseUsed(out_bill_no=await session.scalar(other))
    await _count(session, transfer)  # holds the user's day, so the sum stays as it is
    if limit_fen is not None and await _alone_fen(session, transfer) > limit_fen:
        transfer.state = TransferState.TO_APPROVE
        await session.flush()
    else:
        await _promise(session, transfer, at)
    return transfer


async def _alone_fen(session: AsyncSession, transfer: Transfer) -> int:
    """What this user was promised today without a second person, this transfer with it."""
    midnight = transfer.requested_at.astimezone(_BEIJING).replace(hour=0, minute=0, second=0, microsecond=0)
    statement = select(func.coalesce(func.sum(Transfer.amount_fen), 0)).where(
        Transfer.appid == transfer.appid,
        Transfer.openid == transfer.openid,
        Transfer.requested_at >= midnight,
        Transfer.approved_by.is_(None),
        Transfer.state.not_in(WITHOUT_MONEY),
    )
    return int((await session.execute(statement)).scalar_one())


async def _promise(session: AsyncSession, transfer: Transfer, at: datetime) -> None:
    await _book(session, "transfer", Account.PAYOUTS, Account.PAYOUTS_PAYABLE, transfer, at)
    await jobs.enqueue(session, JOB, transfer.out_bill_no)


async def _count(session: AsyncSession, transfer: Transfer) -> None:
    """Claim the amount on the user's day, which the database bounds."""
    cap_fen = (await rules.current(session)).daily_cap_fen
    after = TransferDay.promised_fen + transfer.amount_fen
    values = {**_day(transfer), "promised_fen": transfer.amount_fen, "cap_fen": cap_fen}
    claim = (
        insert(TransferDay)
        .values(values)
        .on_conflict_do_update(
            index_elements=["appid", "openid", "day"],
            set_={"promised_fen": after, "cap_fen": func.greatest(cap_fen, TransferDay.promised_fen)},
            where=after <= cap_fen,
        )
    )
    if transfer.amount_fen > cap_fen:
        raise DailyCapReached(left_fen=cap_fen)
    if (await session.execute(claim.returning(TransferDay.day))).first() is None:
        used = await session.scalar(select(TransferDay.promised_fen).filter_by(**_day(transfer)))
        raise DailyCapReached(left_fen=max(0, cap_fen - (used or 0)))


def _day(transfer: Transfer) -> dict[str, object]:
    return {
        "appid": transfer.appid,
        "openid": transfer.openid,
        "day": transfer.requested_at.astimezone(_BEIJING).date(),
    }


async def approve(session: AsyncSession, out_bill_no: str, *, by: str, at: datetime) -> Transfer:
    """A second person agrees: now it is promised.

    Raises `TransferNotFound` (404), `NotToApprove` (409), `SecondPersonNeeded` (403).
    """
    transfer = await get(session, out_bill_no, lock=True)
    if transfer.state != TransferState.TO_APPROVE:
        raise NotToApprove(state=transfer.state)
    if transfer.requested_by == by:
        raise SecondPersonNeeded
    transfer.approved_by, transfer.approved_at = by, at
    transfer.move(TransferState.REQUESTED, at)
    await _promise(session, transfer, at)
    return transfer


async def cancel(session: AsyncSession, out_bill_no: str, *, by: str, at: datetime) -> Transfer:
    """Take it back. What was never sent ends here and now; otherwise WeChat is asked, and the user may be faster.

    Raises `TransferNotFound` (404), `NotCancellable` (409).
    """
    transfer = await get(session, out_bill_no, lock=True)
    if transfer.state == TransferState.TO_APPROVE or (
        transfer.state == TransferState.REQUESTED and transfer.attempts == 0
    ):
        await end(session, transfer, TransferState.CANCELLED, at)
    elif transfer.state in _CANCELLABLE:
        transfer.cancel_wanted_by = by
        transfer.stir(at)
        await jobs.enqueue(session, JOB, transfer.out_bill_no)
    elif transfer.state not in {TransferState.CANCELING, TransferState.CANCELLED}:
        raise NotCancellable(state=transfer.state)
    return transfer


async def end(session: AsyncSession, transfer: Transfer, to: TransferState, at: datetime) -> None:
    """It ends, and the ledger says how. Raises `IllegalMove` (409)."""
    promised = transfer.state != TransferState.TO_APPROVE
    transfer.move(to, at)
    if to == TransferState.SUCCESS:
        await _book(session, "transferred", Account.PAYOUTS_PAYABLE, Account.WECHAT, transfer, at)
        return
    if promised:
        await _book(session, "transfer_ended", Account.PAYOUTS_PAYABLE, Account.PAYOUTS, transfer, at)
    day = update(TransferDay).filter_by(**_day(transfer))
    await session.execute(day.values(promised_fen=TransferDay.promised_fen - transfer.amount_fen))
    if to != TransferState.CANCELLED and transfer.fail_reason not in _ORDINARY_ENDS:
        facts = {"fail_reason": transfer.fail_reason, "last_error": transfer.last_error}
        await cases.note(session, f"transfer_{to}", transfer.out_bill_no, at=at, facts=facts)


async def _book(
    session: AsyncSession, what: str, debit: Account, credit: Account, transfer: Transfer, at: datetime
) -> None:
    cause = f"{what}:{transfer.out_bill_no}"
    await ledger.post(session, cause, debit, credit, transfer.amount_fen, payable="", at=at)


async def find(session: AsyncSession, out_bill_no: str) -> Transfer | None:
    """Locked."""
    statement = select(Transfer).where(Transfer.out_bill_no == out_bill_no).with_for_update()
    return (await session.execute(statement.execution_options(populate_existing=True))).scalar_one_or_none()


async def get(session: AsyncSession, out_bill_no: str, *, lock: bool = False) -> Transfer:
    """Raises `TransferNotFound` (404)."""
    statement = select(Transfer).where(Transfer.out_bill_no == out_bill_no)
    if lock:
        statement = statement.with_for_update()
    transfer = (await session.execute(statement)).scalar_one_or_none()
    if transfer is None:
        raise TransferNotFound
    return transfer


async def due(session: AsyncSession, now: datetime) -> list[str]:
    """Transfers whose time has come, for `transferring.pursue`."""
    return await pursuit.due(session, Transfer, Transfer.out_bill_no, OPEN, now)


async def forget_days(session: AsyncSession, now: datetime) -> None:
    """Drop the counts of days long over."""
    old = (now - timedelta(days=40)).astimezone(_BEIJING).date()
    await session.execute(TransferDay.__table__.delete().where(TransferDay.day < old))  # type: ignore[attr-defined]
