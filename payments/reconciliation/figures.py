"""The figures of a day's report: the totals of the three sides, what was booked, and what is open."""

from datetime import date
from typing import Any, TypeVar

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from kit.database import raw
from payments.reconciliation import beijing
from payments.reconciliation.keeping import PATIENCE_S

S = TypeVar("S", bound=msgspec.Struct)


class Side(msgspec.Struct, frozen=True, rename="camel"):
    """Payments and refunds, counted and added up, as one side has them."""

    payments: int
    payments_fen: int
    refunds: int
    refunds_fen: int


class BillSide(Side, frozen=True, rename="camel"):
    settlement_fen: int
    """应结订单金额: what is settled of the payments, after the shop's own coupons."""
    refunded_fen: int
    fees_millifen: int
    """Thousandths of a fen, as billed."""


class OrderSide(msgspec.Struct, frozen=True, rename="camel"):
    paid: int
    paid_fen: int


class Booked(msgspec.Struct, frozen=True, rename="camel"):
    """What the ledger has of the bill alone."""

    fees_fen: int
    coupons_fen: int
    net_fen: int
    """Settled payments less refunds and fees: the day's net settlement."""


class Flow(msgspec.Struct, frozen=True, rename="camel"):
    """The account's movement, and what explains it."""

    rows: int
    income_fen: int
    expense_fen: int
    net_fen: int
    booked_fen: int
    """Payments, refunds, fees and payouts that the ledger has."""
    in_transit_fen: int
    """Refunds that left the account and are not with the payer yet."""
    bank_fen: int
    """To the merchant's bank account (negative), or from it."""
    suspense_fen: int
    """Of types that nobody knows yet."""
    residual_fen: int
    """What fees would explain that stand neither in the rows nor beside them."""
    closing_fen: int | None


class Kind(msgspec.Struct, frozen=True, rename="camel"):
    """Differences of one kind: `open` need a person, `waiting` the next day's bill; `decided` ones a person resolved."""

    open: int
    waiting: int
    decided: int
    repaired: int
    gone: int


class Figures(msgspec.Struct, frozen=True, rename="camel"):
    bill: BillSide
    ours: Side
    orders: OrderSide
    matched: int
    """Rows of the trade bill that are ours as they stand."""
    booked: Booked
    flow: Flow | None
    """Absent when the bill could not be had, or is not of this merchant's account."""
    open: int
    waiting: int
    decided: int
    repaired: int
    gone: int
    kinds: dict[str, Kind]


_BILL = """
    SELECT count(*) FILTER (WHERE refund_id IS NULL) AS payments, coalesce(sum(order_fen), 0)::bigint AS payments_fen,
        count(refund_id) AS refunds, coalesce(sum(requested_fen), 0)::bigint AS refunds_fen,
        coalesce(sum(settlement_fen), 0)::bigint AS settlement_fen,
        coalesce(sum(refund_fen), 0)::bigint AS refunded_fen,
        coalesce(sum(fee_millifen), 0)::bigint AS fees_millifen
    FROM bill_trade WHERE day = $1
"""
_OURS = """
    SELECT (SELECT count(*) FROM payment p WHERE p.received_at >= $2 AND p.received_at < $3 AND NOT p.external) AS payments,
        (SELECT coalesce(sum(p.received_fen), 0)::bigint FROM payment p
            WHERE p.received_at >= $2 AND p.received_at < $3 AND NOT p.external) AS payments_fen,
        count(f.id) AS refunds, coalesce(sum(f.amount_fen), 0)::bigint AS refunds_fen
    FROM refund f WHERE f.refund_id IN (SELECT refund_id FROM bill_trade WHERE day = $1 AND refund_id IS NOT NULL)
"""
_ORDERS = """
    SELECT count(*) AS paid, coalesce(sum(paid_fen), 0)::bigint AS paid_fen
    FROM payable_claim WHERE paid_at >= $1 AND paid_at < $2
"""
_BOOKED = """
    SELECT coalesce(sum(o.amount_fen * sign) FILTER (WHERE o.cause LIKE 'fee:%'), 0)::bigint AS fees_fen,
        coalesce(sum(o.amount_fen * sign) FILTER (WHERE o.cause LIKE 'coupon:%'), 0)::bigint AS coupons_fen
    FROM (SELECT DISTINCT coalesce(refund_id, transaction_id) AS id FROM bill_trade WHERE day = $1) r
    JOIN LATERAL (
        SELECT cause, amount_fen, CASE credit WHEN 'wechat' THEN 1 ELSE -1 END AS sign FROM posting
        WHERE cause IN ('fee:' || r.id, 'fee:' || r.id || ':flow', 'coupon:' || r.id)
    ) o ON true
"""
_DIFFERENCES = """
    SELECT d.kind, count(*) FILTER (WHERE d.gone_at IS NULL AND NOT d.waits AND e.resolved_at IS NULL) AS open,
        count(*) FILTER (WHERE d.gone_at IS NULL AND d.waits) AS waiting,
        count(*) FILTER (WHERE d.gone_at IS NULL AND NOT d.waits AND e.resolved_at IS NOT NULL) AS decided,
        count(*) FILTER (WHERE d.gone_at IS NOT NULL AND d.asked_at IS NOT NULL) AS repaired,
        count(*) FILTER (WHERE d.gone_at IS NOT NULL AND d.asked_at IS NULL) AS gone
    FROM bill_difference d LEFT JOIN payment_exception e ON e.kind = d.kind AND e.reference = d.reference
        AND e.resolved_by <> 'system' AND (d.noted_at IS NOT NULL OR e.facts ->> 'day' = d.day::text)
    WHERE d.day = $1 GROUP BY d.kind ORDER BY d.kind
"""
"""By kind. What a person decided of another day is not decided of this one: `noting` is about to open the case again."""
_OF_BILL_ROWS = frozenset(
    {
        "bill_unknown_payment",
        "bill_unknown_refund",
        "bill_amount_mismatch",
        "bill_number_mismatch",
        "bill_refund_state_mismatch",
        "bill_duplicate_row",
    }
)
"""Kinds that are about a row of the bill: each of them is one row that did not match."""


async def collect(session: AsyncSession, day: date, flow: Flow | None) -> Figures:
    """Counts and fen of one day, after its match in this transaction."""
    connection = await raw(session)
    start, end = beijing.bounds(day)

    async def row(kind: type[S], query: str, *values: object, **more: int) -> S:
        found = dict(await connection.fetchrow(query, *values, timeout=PATIENCE_S))
        return kind(**found, **more)

    bill = await row(BillSide, _BILL, day)
    booked = dict(await connection.fetchrow(_BOOKED, day, timeout=PATIENCE_S))
    rows = [dict(found) for found in await connection.fetch(_DIFFERENCES, day, timeout=PATIENCE_S)]
    kinds: dict[str, Kind] = {found.pop("kind"): Kind(**found) for found in rows}
    unmatched = sum(kind.open + kind.decided for name, kind in kinds.items() if name in _OF_BILL_ROWS)
    sums: dict[str, Any] = {
        name: sum(getattr(kind, name) for kind in kinds.values()) for name in Kind.__struct_fields__
    }
    return Figures(
        bill=bill,
        ours=await row(Side, _OURS, day, start, end),
        orders=await row(OrderSide, _ORDERS, start, end),
        matched=max(bill.payments + bill.refunds - unmatched, 0),
        booked=Booked(**booked, net_fen=bill.settlement_fen - bill.refunded_fen - booked["fees_fen"]),
        flow=flow,
        kinds=kinds,
        **sums,
    )
