"""The figures of a day's report: the totals of the three sides, what was booked, and what is open."""

from datetime import date
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from kit.database import raw
from payments.reconciliation import beijing
from payments.reconciliation.keeping import PATIENCE_S

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
        WHERE cause IN ('fee:' || r.id, 'coupon:' || r.id)
    ) o ON true
"""
_DIFFERENCES = """
    SELECT d.kind, count(*) FILTER (WHERE d.gone_at IS NULL AND NOT d.waits AND e.resolved_at IS NULL) AS open,
        count(*) FILTER (WHERE d.gone_at IS NULL AND d.waits) AS waiting,
        count(*) FILTER (WHERE d.gone_at IS NULL AND NOT d.waits AND e.resolved_at IS NOT NULL) AS decided,
        count(*) FILTER (WHERE d.gone_at IS NOT NULL AND d.asked_at IS NOT NULL) AS repaired,
        count(*) FILTER (WHERE d.gone_at IS NOT NULL AND d.asked_at IS NULL) AS gone
    FROM bill_difference d LEFT JOIN payment_exception e ON e.kind = d.kind AND e.reference = d.reference
        AND e.resolved_by <> 'system'
    WHERE d.day = $1 GROUP BY d.kind ORDER BY d.kind
"""
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


async def collect(session: AsyncSession, day: date, flow: dict[str, Any]) -> dict[str, Any]:
    """Counts and fen of one day, after its match in this transaction."""
    connection = await raw(session)
    start, end = beijing.bounds(day)

    async def row(query: str, *values: object) -> dict[str, Any]:
        return dict(await connection.fetchrow(query, *values, timeout=PATIENCE_S))

    bill = await row(_BILL, day)
    booked = await row(_BOOKED, day)
    booked["net_fen"] = bill["settlement_fen"] - bill["refunded_fen"] - booked["fees_fen"]
    kinds = [dict(found) for found in await connection.fetch(_DIFFERENCES, day)]
    sums = {name: sum(kind[name] for kind in kinds) for name in ("open", "waiting", "decided", "repaired", "gone")}
    unmatched = sum(kind["open"] + kind["decided"] for kind in kinds if kind["kind"] in _OF_BILL_ROWS)
    return {
        "bill": bill,
        "ours": await row(_OURS, day, start, end),
        "orders": await row(_ORDERS, start, end),
        "matched": max(bill["payments"] + bill["refunds"] - unmatched, 0),
        "booked": booked,
        "flow": flow,
        "kinds": {kind.pop("kind"): kind for kind in kinds},
        **sums,
    }
