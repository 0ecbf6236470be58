"""What the Mini Program calls: money promised to me, which I confirm by `wx.requestMerchantTransfer`."""

from datetime import datetime
from typing import Any

import msgspec
from litestar import get
from litestar.di import NamedDependency
from sqlalchemy import ColumnElement, select, tuple_

from kit.database import Database
from kit.errors import InvalidInput, SignInNeeded
from kit.paging import Page, decode_cursor, page
from kit.web.declared import declared
from kit.web.parameters import PathNo, QueryCursor, QueryLimit
from payments.payouts.models import Transfer, TransferState
from payments.payouts.transfers import TransferNotFound
from shop.members.edge import MEMBER_ONLY
from shop.members.models import MemberIdentity
from shop.members.sessions import SignedIn

_SHOWN = frozenset(TransferState) - {TransferState.TO_APPROVE, TransferState.REFUSED}
"""What is not promised yet, or never was, is the shop's own affair."""


class ConfirmParams(msgspec.Struct, frozen=True):
    """What the Mini Program passes to `wx.requestMerchantTransfer`, member for member."""

    mchId: str  # noqa: N815  (WeChat's own names)
    appId: str  # noqa: N815
    package: str


class TransferView(msgspec.Struct, rename="camel"):
    """`confirm` is there while I can confirm it from the Mini Program I am in, until `confirmBy`."""

    out_bill_no: str
    amount_fen: int
    remark: str
    state: TransferState
    requested_at: datetime
    confirm_by: datetime | None
    ended_at: datetime | None
    confirm: ConfirmParams | None


def _view(transfer: Transfer, member: SignedIn) -> TransferView:
    confirm = None
    if transfer.package_info is not None and transfer.appid == member.appid and transfer.openid == member.openid:
        confirm = ConfirmParams(transfer.mchid, transfer.appid, transfer.package_info)
    return TransferView(
        out_bill_no=transfer.out_bill_no,
        amount_fen=transfer.amount_fen,
        remark=transfer.remark,
        state=TransferState(transfer.state),
        requested_at=transfer.requested_at,
        confirm_by=transfer.confirm_by,
        ended_at=transfer.ended_at,
        confirm=confirm,
    )


def _mine(member: SignedIn) -> ColumnElement[bool]:
    """By every identity of the member: the transfer names an openid, not a member."""
    identities = select(MemberIdentity.appid, MemberIdentity.openid).where(MemberIdentity.member_id == member.member_id)
    return tuple_(Transfer.appid, Transfer.openid).in_(identities) & Transfer.state.in_(_SHOWN)


@get(
    "/transfers",
    operation_id="listMyTransfers",
    summary="Money promised to me, newest first",
    tags=["members"],
    security=MEMBER_ONLY,
    responses=declared(InvalidInput, SignInNeeded),
)
async def list_my_transfers(
    db: NamedDependency[Database],
    member: NamedDependency[SignedIn],
    cursor: QueryCursor = None,
    limit: QueryLimit = 20,
) -> Page[TransferView]:
    statement = select(Transfer).where(_mine(member)).order_by(Transfer.id.desc()).limit(limit + 1)
    if cursor:
        statement = statement.where(Transfer.id < decode_cursor(cursor, (int,))[0])
    async with db.begin() as session:
        found = page(list(await session.scalars(statement)), limit, lambda row: (row.id,))
    return Page([_view(row, member) for row in found.items], found.next_cursor)


@get(
    "/transfers/{no:str}",
    operation_id="getMyTransfer",
    summary="One transfer to me, with what confirms it",
    tags=["members"],
    security=MEMBER_ONLY,
    responses=declared(InvalidInput, SignInNeeded, TransferNotFound),
)
async def get_my_transfer(no: PathNo, db: NamedDependency[Database], member: NamedDependency[SignedIn]) -> TransferView:
    async with db.begin() as session:
        statement = select(Transfer).where(Transfer.out_bill_no == no, _mine(member))
        transfer = (await session.execute(statement)).scalar_one_or_none()
        if transfer is None:
            raise TransferNotFound
        return _view(transfer, member)


ROUTES: list[Any] = [list_my_transfers, get_my_transfer]
