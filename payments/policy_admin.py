"""What staff decide about money in general, and what the ledger says."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter

from kit import audit
from kit.clock import Clock
from kit.database import Database
from kit.fields import Fen
from kit.paging import Page, decode_cursor, page
from kit.web.actor import actor_of, requires
from kit.web.declared import BODY, STAFF, declared
from kit.web.parameters import QueryCursor, QueryLimit, QueryNo
from payments import ledger, policy
from payments.ledger import Account
from payments.policy import LatePayment, Policy, WrongAmount


class PolicyWish(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The whole policy; nothing has a default, so that nothing is reset by being forgotten."""

    late_payment: LatePayment
    wrong_amount: WrongAmount
    refund_approval_above_fen: Fen | None
    payout_approval_above_fen: Fen | None


class BalanceRow(msgspec.Struct, rename="camel"):
    """An account's balance: positive when its debits outweigh its credits."""

    account: str
    currency: str
    debit_fen: int
    credit_fen: int
    balance_fen: int


class TrialBalance(msgspec.Struct, rename="camel"):
    """Every account; the balances add up to zero in every currency."""

    accounts: list[BalanceRow]


class PostingRow(msgspec.Struct, rename="camel"):
    cause: str
    debit: str
    credit: str
    amount_fen: int
    currency: str
    payable: str
    at: datetime


@get(
    "/payment-policy",
    operation_id="getPaymentPolicy",
    summary="What happens to money that does not fit",
    guards=[requires("payments.read")],
    responses=declared(*STAFF),
)
async def get_policy(db: NamedDependency[Database]) -> Policy:
    async with db.begin() as session:
        return await policy.current(session)


@put(
    "/payment-policy",
    operation_id="putPaymentPolicy",
    summary="Decide what happens to money that does not fit",
    guards=[requires("payments.policy")],
    responses=declared(*STAFF, *BODY),
)
async def put_policy(
    request: Request[Any, Any, Any],
    data: JSONBody[PolicyWish],
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> Policy:
    actor, now = actor_of(request), clock.now()
    wanted = Policy(**msgspec.structs.asdict(data))
    async with db.begin() as session:
        await policy.replace(session, wanted, by=actor.label, at=now)
        await audit.record(
            session,
            at=now,
            actor=actor.label,
            action="payment_policy.put",
            subject=("payment_policy", 1),
            facts=msgspec.to_builtins(wanted),
        )
    return wanted


@get(
    "/ledger/balances",
    operation_id="getTrialBalance",
    summary="The trial balance: every account, and zero in all",
    guards=[requires("ledger.read")],
    responses=declared(*STAFF),
)
async def get_balances(db: NamedDependency[Database]) -> TrialBalance:
    async with db.begin() as session:
        found = await ledger.balances(session)
    return TrialBalance([msgspec.convert(row, BalanceRow, from_attributes=True) for row in found])


@get(
    "/ledger/postings",
    operation_id="listPostings",
    summary="Movements of money with their causes, newest first",
    guards=[requires("ledger.read")],
    responses=declared(*STAFF),
)
async def list_postings(
    db: NamedDependency[Database],
    payable: QueryNo = None,
    account: Annotated[Account | None, QueryParameter(description="Only those that touch this account")] = None,
    cursor: QueryCursor = None,
    limit: QueryLimit = 20,
) -> Page[PostingRow]:
    before = decode_cursor(cursor, (int,))[0] if cursor else None
    async with db.begin() as session:
        found = page(
            await ledger.list_postings(session, payable=payable, account=account, before=before, limit=limit + 1),
            limit,
            lambda row: (row.id,),
        )
    return Page([msgspec.convert(row, PostingRow, from_attributes=True) for row in found.items], found.next_cursor)


ROUTES: list[Any] = [get_policy, put_policy, get_balances, list_postings]
