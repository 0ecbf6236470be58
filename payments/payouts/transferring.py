"""A transfer at WeChat: sent, asked for, taken back, and what WeChat says of it taken over."""

from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from kit.clock import Clock
from kit.database import Database
from payments import cases
from payments.payouts import outcomes, pursuit, transfers
from payments.payouts.models import ENDED, MOVES, OPEN, Transfer, TransferState
from payments.trades import instant
from payments.wechatpay.gateway import Gateway, Refused, Unknown, asked
from payments.wechatpay.sealing import SealedText
from payments.wechatpay.transfers import TransferBill

log = structlog.get_logger()

_CONFIRM_WITHIN = timedelta(hours=24)
_STATES = {state.upper(): state for state in TransferState if state not in {"to_approve", "requested", "refused"}}
_BEFORE_CONFIRM = frozenset({TransferState.ACCEPTED, TransferState.PROCESSING, TransferState.WAIT_USER_CONFIRM})


async def pursue(db: Database, gateway: Gateway, clock: Clock, out_bill_no: str) -> None:
    """Bring one transfer on: ask for it if it was tried before, send it if WeChat has none of it, cancel if wanted.

    Raises `Refused` for what passes, and `Unknown`: to be tried again, under the same number.
    """
    async with db.begin() as session:
        transfer = await transfers.find(session, out_bill_no)
        if transfer is None or transfer.state not in OPEN:
            return
        tried = transfer.attempts > 0
        transfer.attempts += 1
    try:
        bill = await _bring(gateway, transfer, tried=tried)
        state = await _take_over(db, clock, bill)
        if state in _BEFORE_CONFIRM and await _is_unwanted(db, out_bill_no):
            await _take_over(db, clock, await gateway.transfers.cancel(out_bill_no))
    except Unknown as error:
        await pursuit.remember(db, clock, Transfer, transfer.id, error)
        raise
    except Refused as error:
        await pursuit.remember(db, clock, Transfer, transfer.id, error)
        if await _refused(db, clock, out_bill_no, error):
            return
        raise


async def _bring(gateway: Gateway, transfer: Transfer, *, tried: bool) -> TransferBill:
    """What WeChat has under this number; sent (again, with the same number and values) where that helps.

    Any refusal is doubted: what counts is whether the query finds it (WeChat Pay v3, 商家转账).
    """
    bill = await asked(gateway.transfers.query(transfer.out_bill_no)) if tried else None
    if bill is not None and not _helps_to_repeat(bill, transfer):
        return bill
    try:
        return await gateway.transfers.create(
            out_bill_no=transfer.out_bill_no,
            appid=transfer.appid,
            scene_id=transfer.scene_id,
            openid=transfer.openid,
            amount_fen=transfer.amount_fen,
            remark=transfer.remark,
            report=transfer.report,
            user_name=_name(transfer),
        )
    except Refused:
        bill = bill or await asked(gateway.transfers.query(transfer.out_bill_no))
        if bill is None:
            raise
        return bill


def _helps_to_repeat(bill: TransferBill, transfer: Transfer) -> bool:
    """PROCESSING may wait for balance; and only the answer to the request itself brings the package to confirm with."""
    if transfer.named and transfer.sealed_name is None:
        return False
    return bill.state == "PROCESSING" or (bill.state == "WAIT_USER_CONFIRM" and transfer.package_info is None)


def _name(transfer: Transfer) -> SealedText | None:
    if transfer.sealed_name is None or transfer.sealed_for is None:
        return None
    return SealedText(serial=transfer.sealed_for, text=transfer.sealed_name)


async def _take_over(db: Database, clock: Clock, bill: TransferBill) -> str | None:
    """The transfer's state after what WeChat said of it."""
    async with db.begin() as session:
        await learn(session, bill, clock.now())
        transfer = await transfers.find(session, bill.out_bill_no)
        return None if transfer is None else transfer.state


async def _is_unwanted(db: Database, out_bill_no: str) -> bool:
    async with db.begin() as session:
        transfer = await transfers.find(session, out_bill_no)
        return transfer is not None and transfer.cancel_wanted_by is not None


async def _refused(db: Database, clock: Clock, out_bill_no: str, error: Refused) -> bool:
    """Whether it is done with: WeChat will never take it, or nobody wants it any more and WeChat has none of it."""
    async with db.begin() as session:
        transfer = await transfers.find(session, out_bill_no)
        if transfer is None or transfer.state != TransferState.REQUESTED:
            return True  # WeChat has it: a cancel that came too late, a repeat it did not need
        if outcomes.passes(error):
            return False
        if transfer.cancel_wanted_by is not None:
            await transfers.end(session, transfer, TransferState.CANCELLED, clock.now())
            return True
        if error.code == outcomes.NOT_ENOUGH:
            return False
        await transfers.end(session, transfer, TransferState.REFUSED, clock.now())
        return True


async def learn(session: AsyncSession, bill: TransferBill, at: datetime) -> str:
    """Take over a transfer's state from a verified source. Never backwards; returns what came of it."""
    transfer = await transfers.find(session, bill.out_bill_no)
    if transfer is None:
        await cases.note(session, "unknown_transfer", bill.out_bill_no, at=at, facts={"state": bill.state})
        return "unknown_transfer"
    target = _STATES.get(bill.state)
    if target is None or not _fits(bill, transfer):
        facts = {"state": bill.state, "amount_fen": bill.transfer_amount, "mchid": bill.merchant}
        await cases.note(session, "transfer_mismatch", transfer.out_bill_no, at=at, facts=facts)
        return "transfer_mismatch"
    transfer.transfer_bill_no = bill.transfer_bill_no or transfer.transfer_bill_no
    known = TransferState(transfer.state)
    if target is not known and target not in MOVES[known]:
        if known in {TransferState.TO_APPROVE, TransferState.REFUSED} or target in ENDED:
            facts = {"state": bill.state, "ours": known}
            await cases.note(session, "transfer_after_end", transfer.out_bill_no, at=at, facts=facts)
            return "transfer_after_end"
        return "known"  # older news
    if target is not known:
        await _move(session, transfer, target, bill, at)
    _keep_package(transfer, bill)
    return "known" if target is known else target.value


def _fits(bill: TransferBill, transfer: Transfer) -> bool:
    """Nothing that is said contradicts what we asked."""
    said = (bill.merchant, bill.appid, bill.openid, bill.transfer_amount)
    ours = (transfer.mchid, transfer.appid, transfer.openid, transfer.amount_fen)
    if transfer.transfer_bill_no and bill.transfer_bill_no not in (None, transfer.transfer_bill_no):
        return False
    return all(theirs in (None, "", mine) for theirs, mine in zip(said, ours, strict=True))


async def _move(session: AsyncSession, transfer: Transfer, to: TransferState, bill: TransferBill, at: datetime) -> None:
    if to in ENDED:
        transfer.fail_reason = bill.fail_reason
        await transfers.end(session, transfer, to, at)
        return
    transfer.move(to, at)
    if to == TransferState.WAIT_USER_CONFIRM:
        transfer.confirm_by = (instant(bill.create_time) or transfer.requested_at) + _CONFIRM_WITHIN


def _keep_package(transfer: Transfer, bill: TransferBill) -> None:
    """With the package the user can confirm; the name has done its service."""
    if transfer.state == TransferState.WAIT_USER_CONFIRM and bill.package_info:
        transfer.package_info = bill.package_info
        transfer.sealed_name = transfer.sealed_for = None
