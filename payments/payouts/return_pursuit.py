"""A return at WeChat: sent, asked for, and what WeChat says of it taken over and booked."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from kit.clock import Clock
from kit.database import Database
from payments import cases, ledger
from payments.ledger import Account
from payments.models import Payment
from payments.payouts import gate, outcomes, pursuit, returning
from payments.payouts.sharing_models import UNDER_WAY, ReturnState, Share, SharePart, ShareReceiver, ShareReturn
from payments.wechatpay.gateway import Gateway, Refused, Unknown, asked
from payments.wechatpay.sharing import SharingReturn

_STATES = {
    "PROCESSING": ReturnState.PROCESSING,
    "SUCCESS": ReturnState.SUCCEEDED,
    "FAILED": ReturnState.FAILED,
}


async def pursue(db: Database, gateway: Gateway, clock: Clock, out_return_no: str) -> None:
    """Bring one return on: ask for it if it was tried before, send it if WeChat has none of it.

    Raises `Refused` for what passes, and `Unknown`: to be tried again, under the same number.
    """
    async with db.begin() as session:
        found = await returning.find(session, out_return_no)
        if found is None or found[3].state not in UNDER_WAY:
            return
        _, share, part, back = found
        account = (await session.get_one(ShareReceiver, part.receiver_id)).account
        tried = back.attempts > 0
        back.attempts += 1
    try:
        said = await asked(gateway.sharing.query_return(out_return_no, share.out_order_no)) if tried else None
        said = said or await _send(gateway, share, account, back)
    except (Refused, Unknown) as error:
        await pursuit.remember(db, clock, ShareReturn, back.id, error)
        if outcomes.passes(error) or getattr(error, "code", "") == outcomes.NOT_ENOUGH:
            raise
        await _refused(db, clock, out_return_no)
    else:
        async with db.begin() as session:
            await learn(session, said, clock.now())


async def _send(gateway: Gateway, share: Share, account: str, back: ShareReturn) -> SharingReturn:
    """Any refusal is doubted: what counts is whether the query finds it."""
    try:
        return await gateway.sharing.give_back(
            out_order_no=share.out_order_no,
            out_return_no=back.out_return_no,
            return_mchid=account,
            amount_fen=back.amount_fen,
            description=back.description,
        )
    except Refused:
        said = await asked(gateway.sharing.query_return(back.out_return_no, share.out_order_no))
        if said is None:
            raise
        return said


async def learn(session: AsyncSession, said: SharingReturn, at: datetime) -> str:
    """Take over a return's state from a verified source. Never backwards; returns what came of it."""
    found = await returning.find(session, said.out_return_no)
    if found is None:
        await cases.note(session, "unknown_share_return", said.out_return_no, at=at, facts={"result": said.result})
        return "unknown_share_return"
    payment, share, part, back = found
    target = _STATES.get(said.result)
    if (
        target is None
        or said.out_order_no not in (None, share.out_order_no)
        or said.amount not in (None, back.amount_fen)
    ):
        facts = {"result": said.result, "amount_fen": said.amount}
        await cases.note(
            session, "share_return_mismatch", back.out_return_no, at=at, payment_id=payment.id, facts=facts
        )
        return "share_return_mismatch"
    if target == back.state or (target == ReturnState.PROCESSING and back.state != ReturnState.REQUESTED):
        return "known"
    if back.state not in UNDER_WAY:
        await cases.note(session, "share_return_after_end", back.out_return_no, at=at, payment_id=payment.id)
        return "share_return_after_end"
    back.return_id, back.fail_reason = said.return_id or back.return_id, said.fail_reason
    await _move(session, payment, part, back, target, at)
    return target.value


async def _move(
    session: AsyncSession, payment: Payment, part: SharePart, back: ShareReturn, to: ReturnState, at: datetime
) -> None:
    back.move(to, at)
    if to == ReturnState.PROCESSING:
        return
    if to == ReturnState.SUCCEEDED:
        payment.shared_fen -= back.amount_fen
        cause = f"share_returned:{back.out_return_no}"
        await ledger.post(
            session, cause, Account.WECHAT, Account.SHARED, back.amount_fen, payable=payment.payable, at=at
        )
    else:
        part.returned_fen -= back.amount_fen
        facts = {"fail_reason": back.fail_reason, "last_error": back.last_error}
        await cases.note(session, f"share_return_{to}", back.out_return_no, at=at, payment_id=payment.id, facts=facts)
    await session.flush()
    await gate.wake(session, payment, at)


async def _refused(db: Database, clock: Clock, out_return_no: str) -> None:
    """WeChat will never do it under this number: what was claimed is free again, and a person looks."""
    async with db.begin() as session:
        found = await returning.find(session, out_return_no)
        if found is not None and found[3].state == ReturnState.REQUESTED:
            payment, _, part, back = found
            await _move(session, payment, part, back, ReturnState.REFUSED, clock.now())
