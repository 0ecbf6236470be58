"""Who may get shares. WeChat must know a receiver before a share names it; our table mirrors that."""

from datetime import datetime

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from kit import jobs
from kit.clock import Clock
from kit.database import Database
from kit.errors import Conflict, NotFound, invalid
from payments import cases
from payments.payouts import outcomes, pursuit
from payments.payouts.sharing_models import ReceiverKind, ReceiverState, Relation, ShareReceiver
from payments.wechatpay.gateway import Gateway, Refused, Unknown
from payments.wechatpay.sealing import SealedText

JOB = "payments.receiver"
_ON_THE_MOVE = frozenset({ReceiverState.ADDING, ReceiverState.REMOVING})
_ADDABLE = frozenset({ReceiverState.REMOVED, ReceiverState.REFUSED})


class ReceiverNotFound(NotFound):
    """There is no such receiver of shares."""

    zh = "未找到该分账接收方"


class ReceiverThere(Conflict):
    """This receiver is {state} already."""

    zh = "该分账接收方已存在，当前状态：{state}"


class Wish(msgspec.Struct, frozen=True):
    """Somebody who shall get shares. `name` is sealed to WeChat's key."""

    kind: ReceiverKind
    account: str
    relation: Relation
    custom_relation: str | None = None
    name: SealedText | None = None


async def add(session: AsyncSession, wish: Wish, *, by: str, at: datetime) -> ShareReceiver:
    """Have WeChat know them. Raises `InvalidInput` (400), `ReceiverThere` (409)."""
    if wish.kind == ReceiverKind.MERCHANT_ID and wish.name is None:
        raise invalid("name", "is required for a merchant")
    if (wish.relation == Relation.CUSTOM) != (wish.custom_relation is not None):
        raise invalid("customRelation", "is required for CUSTOM, and only there")
    values = {
        "relation": wish.relation,
        "custom_relation": wish.custom_relation,
        "named": wish.name is not None,
        "sealed_name": wish.name.text if wish.name else None,
        "sealed_for": wish.name.serial if wish.name else None,
        "state": ReceiverState.ADDING,
        "attempts": 0,
        "checks": 0,
        "check_at": at,
        "changed_by": by,
        "changed_at": at,
    }
    statement = (
        insert(ShareReceiver)
        .values(kind=wish.kind, account=wish.account, **values)
        .on_conflict_do_update(index_elements=["kind", "account"], set_=values, where=ShareReceiver.state.in_(_ADDABLE))
        .returning(ShareReceiver)
    )
    receiver = (await session.execute(statement)).scalar_one_or_none()
    if receiver is None:
        same = select(ShareReceiver.state).filter_by(kind=wish.kind, account=wish.account)
        raise ReceiverThere(state=await session.scalar(same))
    await jobs.enqueue(session, JOB, str(receiver.id))
    return receiver


async def remove(session: AsyncSession, receiver_id: int, *, by: str, at: datetime) -> ShareReceiver:
    """They get no new shares from now on. Raises `ReceiverNotFound` (404), `IllegalMove` (409)."""
    receiver = await session.get(ShareReceiver, receiver_id, with_for_update=True)
    if receiver is None:
        raise ReceiverNotFound
    receiver.move(ReceiverState.REMOVING, at)
    receiver.changed_by, receiver.changed_at = by, at
    await jobs.enqueue(session, JOB, str(receiver.id))
    return receiver


async def pursue(db: Database, gateway: Gateway, clock: Clock, receiver_id: str) -> None:
    """Tell WeChat to add or to delete them; both may be repeated. Raises `Refused` for what passes, `Unknown`."""
    async with db.begin() as session:
        receiver = await session.get(ShareReceiver, int(receiver_id), with_for_update=True)
        if receiver is None or receiver.state not in _ON_THE_MOVE:
            return
        receiver.attempts += 1
    adding = receiver.state == ReceiverState.ADDING
    try:
        if adding:
            name = receiver.sealed_name and SealedText(serial=receiver.sealed_for or "", text=receiver.sealed_name)
            await gateway.sharing.add_receiver(
                kind=receiver.kind,
                account=receiver.account,
                relation=receiver.relation,
                custom_relation=receiver.custom_relation,
                name=name or None,
            )
        else:
            await gateway.sharing.delete_receiver(kind=receiver.kind, account=receiver.account)
    except (Refused, Unknown) as error:
        await pursuit.remember(db, clock, ShareReceiver, receiver.id, error)
        if outcomes.passes(error):
            raise
        await _moved(db, clock, receiver, ReceiverState.REFUSED if adding else ReceiverState.ACTIVE, refused=True)
    else:
        await _moved(db, clock, receiver, ReceiverState.ACTIVE if adding else ReceiverState.REMOVED)


async def _moved(db: Database, clock: Clock, seen: ShareReceiver, to: ReceiverState, *, refused: bool = False) -> None:
    """Unless somebody else moved it on meanwhile."""
    async with db.begin() as session:
        receiver = await session.get_one(ShareReceiver, seen.id, with_for_update=True)
        if receiver.state != seen.state or receiver.changed_at != seen.changed_at:
            return
        receiver.move(to, clock.now())
        if refused:
            facts = {"last_error": receiver.last_error}
            await cases.note(session, "receiver_refused", f"receiver:{receiver.id}", at=clock.now(), facts=facts)


async def due(session: AsyncSession, now: datetime) -> list[str]:
    """Receivers on the move whose time has come, for `pursue`."""
    return [str(found) for found in await pursuit.due(session, ShareReceiver, ShareReceiver.id, _ON_THE_MOVE, now)]
