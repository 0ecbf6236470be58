"""What staff call: shares of a payment, their parts, and what comes back."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, PathParameter
from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from kit import audit, idempotency
from kit.clock import Clock
from kit.database import Database
from kit.errors import invalid
from kit.fields import Id, Word, as_id
from kit.idempotency import KeyReused, StillRunning
from kit.web.actor import actor_of, requires
from kit.web.declared import BODY, STAFF, declared
from kit.web.idempotent import IdempotencyKey
from kit.web.parameters import PathNo
from payments.models import Payment
from payments.payouts import locking, returning, sharing
from payments.payouts.locking import PaymentNotFound
from payments.payouts.returning import NotReturnable, PartNotFound, ReturnTooMuch
from payments.payouts.sharing import (
    Claim,
    NotShared,
    ReceiverNotActive,
    ShareCauseUsed,
    ShareNotFound,
    ShareTooMuch,
    SharingOver,
    TooSoonToShare,
)
from payments.payouts.sharing_models import PartState, ReturnState, Share, SharePart, ShareReturn, ShareState

Req = Request[Any, Any, Any]
Cause = Annotated[str, Meta(pattern=r"^[0-9A-Za-z:_-]{1,64}$(?!\n)", description="Why, and which: never done twice")]
PathPlace = Annotated[
    str, PathParameter(pattern=r"^([1-9]|[1-4][0-9]|50)$(?!\n)", description="The part's place, 1 to 50")
]
Money = Annotated[int, Meta(ge=1, le=1_000_000_000, description="Money in fen (1/100 yuan)")]


class PartWish(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    receiver_id: Id
    amount_fen: Money
    description: Word


class ShareWish(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What each receiver gets. `unfreeze`: the rest is the merchant's own afterwards. Without parts: only that."""

    cause: Cause
    unfreeze: bool
    description: Word
    parts: Annotated[list[PartWish], Meta(max_length=50)] = []


class ReturnWish(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    amount_fen: Money
    description: Word


class ReturnRow(msgspec.Struct, rename="camel"):
    out_return_no: str
    amount_fen: int
    state: ReturnState
    fail_reason: str | None
    last_error: str | None
    requested_by: str
    requested_at: datetime
    ended_at: datetime | None


class PartRow(msgspec.Struct, rename="camel"):
    n: int
    receiver_id: str
    amount_fen: int
    description: str
    state: PartState
    fail_reason: str | None
    returned_fen: int
    returns: list[ReturnRow]


class ShareRow(msgspec.Struct, rename="camel"):
    """A share with its parts."""

    out_order_no: str
    out_trade_no: str
    cause: str
    unfreeze: bool
    state: ShareState
    last_error: str | None
    requested_by: str
    requested_at: datetime
    ended_at: datetime | None
    parts: list[PartRow]


async def _view(session: AsyncSession, share: Share, out_trade_no: str) -> ShareRow:
    parts = await sharing.parts_of(session, share)
    statement = select(ShareReturn).where(ShareReturn.part_id.in_([part.id for part in parts])).order_by(ShareReturn.id)
    backs: dict[int, list[ReturnRow]] = {part.id: [] for part in parts}
    for back in await session.scalars(statement):
        backs[back.part_id].append(_return(back))
    return ShareRow(
        out_order_no=share.out_order_no,
        out_trade_no=out_trade_no,
        cause=share.cause,
        unfreeze=share.unfreeze,
        state=ShareState(share.state),
        last_error=share.last_error,
        requested_by=share.requested_by,
        requested_at=share.requested_at,
        ended_at=share.ended_at,
        parts=[_part(part, backs[part.id]) for part in parts],
    )


def _return(back: ShareReturn) -> ReturnRow:
    return msgspec.convert(back, ReturnRow, from_attributes=True)


def _part(part: SharePart, backs: list[ReturnRow]) -> PartRow:
    return PartRow(
        n=part.n,
        receiver_id=str(part.receiver_id),
        amount_fen=part.amount_fen,
        description=part.description,
        state=PartState(part.state),
        fail_reason=part.fail_reason,
        returned_fen=part.returned_fen,
        returns=backs,
    )


@post(
    "/payments/{no:str}/shares",
    operation_id="sharePayment",
    summary="Share a payment with others, or unfreeze what is left of it",
    guards=[requires("payouts.create")],
    responses=declared(
        *STAFF, *BODY, PaymentNotFound, NotShared, TooSoonToShare, SharingOver, ShareCauseUsed, ShareTooMuch,
        ReceiverNotActive, KeyReused, StillRunning,
    ),
)  # fmt: skip
async def share_payment(
    request: Req,
    no: PathNo,
    data: JSONBody[ShareWish],
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> ShareRow:
    if not data.parts and not data.unfreeze:
        raise invalid("parts", "must name a receiver, or unfreeze what is left")
    if len({part.receiver_id for part in data.parts}) < len(data.parts):  # WeChat answers by receiver
        raise invalid("parts", "must name each receiver once")
    by, now = actor_of(request).label, clock.now()
    wish = idempotency.intent(by, f"sharePayment:{no}", idempotency_key, data)
    claims = [Claim(as_id(part.receiver_id), part.amount_fen, part.description) for part in data.parts]
    async with db.begin() as session:

        async def work() -> ShareRow:
            payment = await locking.by_number(session, no)
            share = await sharing.request(
                session,
                payment,
                claims,
                cause=data.cause,
                unfreeze=data.unfreeze,
                description=data.description,
                by=by,
                at=now,
            )
            facts = {"out_order_no": share.out_order_no, "amount_fen": sum(claim.amount_fen for claim in claims)}
            await audit.record(session, at=now, actor=by, action="payment.share", subject=("payment", no), facts=facts)
            return await _view(session, share, no)

        return await idempotency.once(session, wish, now, work, ShareRow)


@get(
    "/payments/{no:str}/shares",
    operation_id="listShares",
    summary="The shares of a payment, oldest first",
    guards=[requires("payments.read")],
    responses=declared(*STAFF, PaymentNotFound),
)
async def list_shares(no: PathNo, db: NamedDependency[Database]) -> list[ShareRow]:
    async with db.begin() as session:
        payment_id = await session.scalar(select(Payment.id).where(Payment.out_trade_no == no))
        if payment_id is None:
            raise PaymentNotFound
        statement = select(Share).where(Share.payment_id == payment_id).order_by(Share.id)
        return [await _view(session, share, no) for share in await session.scalars(statement)]


@post(
    "/shares/{no:str}/parts/{n:str}/returns",
    operation_id="returnShare",
    summary="Have part of a share come back",
    guards=[requires("payouts.create")],
    responses=declared(
        *STAFF, *BODY, ShareNotFound, PartNotFound, NotReturnable, ReturnTooMuch, KeyReused, StillRunning
    ),
)
async def return_share(
    request: Req,
    no: PathNo,
    n: PathPlace,
    data: JSONBody[ReturnWish],
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> ReturnRow:
    by, now = actor_of(request).label, clock.now()
    wish = idempotency.intent(by, f"returnShare:{no}:{n}", idempotency_key, data)
    async with db.begin() as session:

        async def work() -> ReturnRow:
            _, share = await sharing.get(session, no)
            back = await returning.request(
                session, share, int(n), data.amount_fen, description=data.description, by=by, at=now
            )
            facts = {"out_return_no": back.out_return_no, "amount_fen": back.amount_fen}
            await audit.record(session, at=now, actor=by, action="share.return", subject=("share", no), facts=facts)
            return _return(back)

        return await idempotency.once(session, wish, now, work, ReturnRow)


ROUTES: list[Any] = [share_payment, list_shares, return_share]
