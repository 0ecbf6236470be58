"""What staff call: transfers to users, seen, approved and taken back; and what the shop allows of money out."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from sqlalchemy import select

from kit import audit, idempotency
from kit.clock import Clock
from kit.database import Database
from kit.idempotency import KeyReused, StillRunning
from kit.paging import Page, decode_cursor, page
from kit.web.actor import actor_of, requires
from kit.web.declared import BODY, STAFF, declared
from kit.web.idempotent import IdempotencyKey
from kit.web.parameters import PathNo, QueryCursor, QueryLimit
from payments.payouts import rules, transfers
from payments.payouts.models import Transfer, TransferState
from payments.payouts.rules import Rules
from payments.payouts.transfers import (
    NotCancellable,
    NotToApprove,
    SecondPersonNeeded,
    TransferNotFound,
)

Req = Request[Any, Any, Any]


class TransferRow(msgspec.Struct, rename="camel"):
    """`state`: WeChat's own, in small letters; before and instead of it `to_approve`, `requested`, `refused`."""

    out_bill_no: str
    cause: str
    payee: str
    amount_fen: int
    remark: str
    scene_id: str
    state: TransferState
    named: bool
    transfer_bill_no: str | None
    confirm_by: datetime | None
    fail_reason: str | None
    last_error: str | None
    cancel_wanted_by: str | None
    requested_by: str
    requested_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    ended_at: datetime | None


def view(transfer: Transfer) -> TransferRow:
    return msgspec.convert(transfer, TransferRow, from_attributes=True)


@get(
    "/transfers",
    operation_id="listTransfers",
    summary="Transfers to users, newest first",
    guards=[requires("payments.read")],
    responses=declared(*STAFF),
)
async def list_transfers(
    db: NamedDependency[Database],
    in_state: Annotated[
        TransferState | None, QueryParameter(name="state", description="Only those in this state")
    ] = None,
    cursor: QueryCursor = None,
    limit: QueryLimit = 20,
) -> Page[TransferRow]:
    statement = select(Transfer).order_by(Transfer.id.desc()).limit(limit + 1)
    if in_state is not None:
        statement = statement.where(Transfer.state == in_state)
    if cursor:
        statement = statement.where(Transfer.id < decode_cursor(cursor, (int,))[0])
    async with db.begin() as session:
        found = page(list(await session.scalars(statement)), limit, lambda row: (row.id,))
    return Page([view(row) for row in found.items], found.next_cursor)


@get(
    "/transfers/{no:str}",
    operation_id="getTransfer",
    summary="One transfer to a user",
    guards=[requires("payments.read")],
    responses=declared(*STAFF, TransferNotFound),
)
async def get_transfer(no: PathNo, db: NamedDependency[Database]) -> TransferRow:
    async with db.begin() as session:
        return view(await transfers.get(session, no))


@post(
    "/transfers/{no:str}/approve",
    operation_id="approveTransfer",
    summary="A second person agrees to a transfer",
    guards=[requires("payouts.approve")],
    responses=declared(*STAFF, TransferNotFound, NotToApprove, SecondPersonNeeded, KeyReused, StillRunning),
    status_code=200,
)
async def approve_transfer(
    request: Req,
    no: PathNo,
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> TransferRow:
    by, now = actor_of(request).label, clock.now()
    wish = idempotency.intent(by, f"approveTransfer:{no}", idempotency_key, None)
    async with db.begin() as session:

        async def work() -> TransferRow:
            transfer = await transfers.approve(session, no, by=by, at=now)
            await audit.record(session, at=now, actor=by, action="transfer.approve", subject=("transfer", no))
            return view(transfer)

        return await idempotency.once(session, wish, now, work, TransferRow)


@post(
    "/transfers/{no:str}/cancel",
    operation_id="cancelTransfer",
    summary="Take a transfer back before the user has confirmed it",
    guards=[requires("payouts.create")],
    responses=declared(*STAFF, TransferNotFound, NotCancellable, KeyReused, StillRunning),
    status_code=200,
)
async def cancel_transfer(
    request: Req,
    no: PathNo,
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> TransferRow:
    by, now = actor_of(request).label, clock.now()
    wish = idempotency.intent(by, f"cancelTransfer:{no}", idempotency_key, None)
    async with db.begin() as session:

        async def work() -> TransferRow:
            transfer = await transfers.cancel(session, no, by=by, at=now)
            await audit.record(session, at=now, actor=by, action="transfer.cancel", subject=("transfer", no))
            return view(transfer)

        return await idempotency.once(session, wish, now, work, TransferRow)


@get(
    "/payout-policy",
    operation_id="getPayoutPolicy",
    summary="What the shop allows of money out",
    guards=[requires("payments.read")],
    responses=declared(*STAFF),
)
async def get_rules(db: NamedDependency[Database]) -> Rules:
    async with db.begin() as session:
        return await rules.current(session)


@put(
    "/payout-policy",
    operation_id="putPayoutPolicy",
    summary="Decide what the shop allows of money out",
    guards=[requires("payments.policy")],
    responses=declared(*STAFF, *BODY),
)
async def put_rules(
    request: Req, data: JSONBody[Rules], db: NamedDependency[Database], clock: NamedDependency[Clock]
) -> Rules:
    by, now = actor_of(request).label, clock.now()
    async with db.begin() as session:
        await rules.replace(session, data, by=by, at=now)
        facts = msgspec.to_builtins(data)
        await audit.record(
            session, at=now, actor=by, action="payout_policy.put", subject=("payout_policy", 1), facts=facts
        )
    return data


ROUTES: list[Any] = [list_transfers, get_transfer, approve_transfer, cancel_transfer, get_rules, put_rules]
