"""A share at WeChat: sent, asked for, and what WeChat says of each of its parts taken over and booked."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit.clock import Clock
from kit.database import Database
from payments import cases, ledger
from payments.ledger import Account
from payments.models import Payment
from payments.payouts import gate, outcomes, pursuit, sharing
from payments.payouts.sharing_models import UNDER_WAY, PartState, Share, SharePart, ShareReceiver, ShareState
from payments.wechatpay.gateway import Gateway, Refused, Unknown, asked
from payments.wechatpay.sharing import ShareClaim, SharedPart, SharingOrder

_PARTS = {"PENDING": PartState.PENDING, "SUCCESS": PartState.SUCCESS, "CLOSED": PartState.CLOSED}
_STATES = {"PROCESSING": ShareState.PROCESSING, "FINISHED": ShareState.FINISHED}
Known = tuple[SharePart, ShareReceiver]


async def pursue(db: Database, gateway: Gateway, clock: Clock, out_order_no: str) -> None:
    """Bring one share on: ask for it if it was tried before, send it if WeChat has none of it.

    Raises `Refused` for what passes, and `Unknown`: to be tried again, under the same number.
    """
    async with db.begin() as session:
        found = await sharing.find(session, out_order_no)
        if found is None or found[1].state not in UNDER_WAY:
            return
        payment, share = found
        parts = await _known(session, share)
        tried = share.attempts > 0
        share.attempts += 1
    assert payment.transaction_id is not None
    try:
        order = await asked(gateway.sharing.query(out_order_no, payment.transaction_id)) if tried else None
        order = order or await _send(gateway, payment.transaction_id, share, parts)
    except (Refused, Unknown) as error:
        await pursuit.remember(db, clock, Share, share.id, error)
        if outcomes.passes(error):
            raise
        await _refused(db, clock, out_order_no)
    else:
        async with db.begin() as session:
            await learn(session, order, clock.now())


async def _send(gateway: Gateway, transaction_id: str, share: Share, parts: list[Known]) -> SharingOrder:
    """Any refusal is doubted: what counts is whether the query finds it."""
    try:
        if not parts:
            return await gateway.sharing.unfreeze(share.out_order_no, transaction_id, share.description)
        claims = [ShareClaim(who.kind, who.account, part.amount_fen, part.description) for part, who in parts]
        return await gateway.sharing.share(
            out_order_no=share.out_order_no, transaction_id=transaction_id, claims=claims, unfreeze=share.unfreeze
        )
    except Refused:
        order = await asked(gateway.sharing.query(share.out_order_no, transaction_id))
        if order is None:
            raise
        return order


async def _known(session: AsyncSession, share: Share) -> list[Known]:
    statement = (
        select(SharePart, ShareReceiver)
        .join(ShareReceiver, ShareReceiver.id == SharePart.receiver_id)
        .where(SharePart.share_id == share.id)
        .order_by(SharePart.n)
        .execution_options(populate_existing=True)
    )
    return [(part, who) for part, who in await session.execute(statement)]


async def learn(session: AsyncSession, order: SharingOrder, at: datetime) -> str:
    """Take over a share's state from a verified source. Never backwards; returns what came of it."""
    found = await sharing.find(session, order.out_order_no)
    if found is None:
        await cases.note(session, "unknown_share", order.out_order_no, at=at, facts={"state": order.state})
        return "unknown_share"
    payment, share = found
    target, parts = _STATES.get(order.state), await _known(session, share)
    if target is None or order.transaction_id not in (None, payment.transaction_id) or not _fits(order, parts, share):
        facts = {"state": order.state, "transaction_id": order.transaction_id}
        await cases.note(session, "share_mismatch", share.out_order_no, at=at, payment_id=payment.id, facts=facts)
        return "share_mismatch"
    if share.state not in UNDER_WAY:
        return "known" if share.state == ShareState.FINISHED else await _after_end(session, payment, share, at)
    share.order_id = order.order_id or share.order_id
    for part, who in parts:
        said = _said_of(order, who)
        if said is not None:
            await _settle(session, payment, share, part, said, at)
    if target != share.state:
        share.move(target, at)
    await session.flush()
    await gate.wake(session, payment, at)
    return target.value


async def _after_end(session: AsyncSession, payment: Payment, share: Share, at: datetime) -> str:
    """WeChat has what it refused before: a person looks."""
    await cases.note(session, "share_after_end", share.out_order_no, at=at, payment_id=payment.id)
    return "share_after_end"


def _said_of(order: SharingOrder, who: ShareReceiver) -> SharedPart | None:
    return next((said for said in order.receivers if (said.type, said.account) == (who.kind, who.account)), None)


def _fits(order: SharingOrder, parts: list[Known], share: Share) -> bool:
    """Each of our parts with our amount, and nobody else, but the one who shares with what came free.

    A finished share has decided on every part.
    """
    ours = {(who.kind, who.account): part.amount_fen for part, who in parts}
    others = [said for said in order.receivers if (said.type, said.account) not in ours]
    if len(others) > share.unfreeze or any(said.type != "MERCHANT_ID" for said in others):
        return False
    if any(said.amount != ours.get((said.type, said.account), said.amount) for said in order.receivers):
        return False
    if order.state == "FINISHED":
        decided = {(said.type, said.account) for said in order.receivers if said.result != "PENDING"}
        return set(ours) <= decided
    return True


async def _settle(
    session: AsyncSession, payment: Payment, share: Share, part: SharePart, said: SharedPart, at: datetime
) -> None:
    target = _PARTS.get(said.result)
    if part.state != PartState.PENDING or target is None or target == PartState.PENDING:
        return
    part.state, part.ended_at = target, at
    part.detail_id, part.fail_reason = said.detail_id, said.fail_reason
    if target == PartState.SUCCESS:
        cause = f"shared:{share.out_order_no}:{part.n}"
        await ledger.post(
            session, cause, Account.SHARED, Account.WECHAT, part.amount_fen, payable=payment.payable, at=at
        )
        return
    payment.shared_fen -= part.amount_fen
    reference, facts = f"{share.out_order_no}:{part.n}", {"fail_reason": said.fail_reason}
    await cases.note(session, "share_closed", reference, at=at, payment_id=payment.id, facts=facts)


async def _refused(db: Database, clock: Clock, out_order_no: str) -> None:
    """WeChat will never share it: what was claimed is free again, and a person looks."""
    async with db.begin() as session:
        payment, share = await sharing.get(session, out_order_no)
        if share.state != ShareState.REQUESTED:
            return
        share.move(ShareState.REFUSED, clock.now())
        for part in await sharing.parts_of(session, share):
            part.state, part.ended_at = PartState.CLOSED, clock.now()
            payment.shared_fen -= part.amount_fen
        await session.flush()
        facts = {"last_error": share.last_error}
        await cases.note(
            session, "share_refused", share.out_order_no, at=clock.now(), payment_id=payment.id, facts=facts
        )
        await gate.wake(session, payment, clock.now())
