"""What the bills say and nothing else does: fees, coupons of the shop's own, what went to the bank.

Each posting has its cause once, so a day that is matched again books what is new. A fee may be billed with parts of a fen:
what the fund flow really took counts when it is within a fen of it; otherwise the fee is rounded as a running sum over
the bill's rows, so that the day's fees are the rounded sum of the day.
"""

from datetime import date

from sqlalchemy.ext.asyncio import AsyncSession

from kit.database import raw
from payments.reconciliation.flow_queries import ROWS
from payments.reconciliation.keeping import PATIENCE_S

# ruff: noqa: S608  (pieces of our own are joined; every value is a parameter)

_INTO = "INSERT INTO posting (cause, debit, credit, amount_fen, currency, payable, at)"
_ONCE = "ON CONFLICT (cause, debit, credit) DO NOTHING"

_OURS = """
    SELECT coalesce(r.refund_id, r.transaction_id) AS id, r.line, r.at, r.currency, p.payable, r.fee_millifen, r.fee_fen,
        CASE WHEN r.refund_id IS NULL THEN p.received_fen ELSE -f.amount_fen END AS booked_fen,
        CASE WHEN r.refund_id IS NULL THEN r.order_fen - r.settlement_fen ELSE r.refund_fen - r.requested_fen END AS coupon_fen
    FROM bill_trade r JOIN payment p ON p.transaction_id = r.transaction_id
    LEFT JOIN refund f ON f.refund_id = r.refund_id AND f.payment_id = p.id
    WHERE r.day = $1 AND NOT p.external AND (r.refund_id IS NULL OR f.id IS NOT NULL)
"""
"""The bill's rows that are ours, with what the ledger has booked of each at its face."""

_FEES = f"""
    {_INTO}
    SELECT 'fee:' || id, CASE WHEN fen > 0 THEN 'fees' ELSE 'wechat' END, CASE WHEN fen > 0 THEN 'wechat' ELSE 'fees' END,
        abs(fen), currency, payable, at
    FROM (
        SELECT o.*, CASE WHEN abs((o.booked_fen - o.coupon_fen - w.net_fen) * 1000 - o.fee_millifen) < 1000
            THEN o.booked_fen - o.coupon_fen - w.net_fen ELSE o.fee_fen END AS fen
        FROM ({_OURS}) o LEFT JOIN LATERAL (
            SELECT sum(amount_fen)::bigint AS net_fen FROM bill_flow WHERE day = $1 AND business_id = o.id
        ) w ON true
        WHERE o.fee_millifen <> 0
    ) billed WHERE fen <> 0 ORDER BY line {_ONCE}
"""
_COUPONS = f"""
    {_INTO}
    SELECT 'coupon:' || id, CASE WHEN coupon_fen > 0 THEN 'wechat_coupons' ELSE 'wechat' END,
        CASE WHEN coupon_fen > 0 THEN 'wechat' ELSE 'wechat_coupons' END, abs(coupon_fen), currency, payable, at
    FROM ({_OURS}) o WHERE coupon_fen <> 0 ORDER BY line {_ONCE}
"""
_MOVED = """
    {into}
    SELECT '{cause}:' || flow_id, CASE WHEN fen < 0 THEN '{account}' ELSE 'wechat' END,
        CASE WHEN fen < 0 THEN 'wechat' ELSE '{account}' END, abs(fen),
        coalesce((SELECT max(currency) FROM bill_trade WHERE day = $1), 'CNY'), '', at
    FROM (SELECT flow_id, sum(amount_fen)::bigint AS fen, min(at) AS at FROM ({rows}) m
        WHERE meaning = '{meaning}' GROUP BY flow_id) moved
    WHERE fen <> 0 {once}
"""
_TO_THE_BANK = _MOVED.format(into=_INTO, rows=ROWS, once=_ONCE, cause="withdrawn", account="bank", meaning="bank")
_UNEXPLAINED = _MOVED.format(into=_INTO, rows=ROWS, once=_ONCE, cause="flow", account="suspense", meaning="unknown")


async def book(session: AsyncSession, day: date) -> None:
    """Book what the bills of `day` say, each cause once, in the caller's transaction."""
    connection = await raw(session)
    for statement in (_FEES, _COUPONS, _TO_THE_BANK, _UNEXPLAINED):
        await connection.execute(statement, day, timeout=PATIENCE_S)
