"""What the bills say and nothing else does: fees, coupons of the shop's own, what went to the bank.

Each posting has its cause once, so a day that is matched again books what is new. A fee may be billed with parts of a fen:
what the fund flow really took counts when it is within a fen of it; as long as that is not known, the fee is rounded as a
running sum over the bill's rows, so that the day's fees are the rounded sum of the day. A fund flow that comes later, or
has the row after midnight, corrects it.
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
    FROM ({rows}) r JOIN payment p ON p.transaction_id = r.transaction_id
    LEFT JOIN refund f ON f.refund_id = r.refund_id AND f.payment_id = p.id
    WHERE NOT p.external AND (r.refund_id IS NULL OR f.id IS NOT NULL)
"""
"""The bill's rows that are ours, with what the ledger has booked of each at its face."""
_BILLED = _OURS.format(rows="SELECT * FROM bill_trade WHERE day = $1")
_MOVED_TODAY = _OURS.format(
    rows="""
    SELECT t.* FROM (SELECT DISTINCT business_id FROM bill_flow WHERE day = $1) b CROSS JOIN LATERAL (
        SELECT * FROM bill_trade WHERE transaction_id = b.business_id AND refund_id IS NULL
        UNION ALL SELECT * FROM bill_trade WHERE refund_id = b.business_id) t"""
)
"""Those of whatever day whose money moved on this one."""
_WITH_TAKEN = """
    SELECT o.*, abs((o.booked_fen - o.coupon_fen - w.net_fen) * 1000 - o.fee_millifen) < 1000 AS told,
        o.booked_fen - o.coupon_fen - w.net_fen AS taken_fen
    FROM ({ours}) o LEFT JOIN LATERAL (
        SELECT sum(amount_fen)::bigint AS net_fen FROM bill_flow WHERE day = $1 AND business_id = o.id
    ) w ON true
    WHERE o.fee_millifen <> 0
"""
_FEE = """CASE WHEN fen > 0 THEN 'fees' ELSE 'wechat' END, CASE WHEN fen > 0 THEN 'wechat' ELSE 'fees' END,
        abs(fen), currency, payable, at"""

_FEES = f"""
    {_INTO}
    SELECT 'fee:' || id, {_FEE}
    FROM (SELECT t.*, CASE WHEN told THEN taken_fen ELSE fee_fen END AS fen FROM ({_WITH_TAKEN.format(ours=_BILLED)}) t) billed
    WHERE fen <> 0 ORDER BY line {_ONCE}
"""
_FEES_CORRECTED = f"""
    {_INTO}
    SELECT 'fee:' || id || ':flow', {_FEE}
    FROM (SELECT t.*, t.taken_fen - b.fen AS fen FROM ({_WITH_TAKEN.format(ours=_MOVED_TODAY)}) t CROSS JOIN LATERAL (
            SELECT coalesce(sum(CASE debit WHEN 'fees' THEN amount_fen ELSE -amount_fen END), 0)::bigint AS fen
            FROM posting WHERE cause IN ('fee:' || t.id, 'fee:' || t.id || ':flow')
        ) b WHERE told) moved
    WHERE fen <> 0 ORDER BY line {_ONCE}
"""
_COUPONS = f"""
    {_INTO}
    SELECT 'coupon:' || id, CASE WHEN coupon_fen > 0 THEN 'wechat_coupons' ELSE 'wechat' END,
        CASE WHEN coupon_fen > 0 THEN 'wechat' ELSE 'wechat_coupons' END, abs(coupon_fen), currency, payable, at
    FROM ({_BILLED}) o WHERE coupon_fen <> 0 ORDER BY line {_ONCE}
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
    for statement in (_FEES, _FEES_CORRECTED, _COUPONS, _TO_THE_BANK, _UNEXPLAINED):
        await connection.execute(statement, day, timeout=PATIENCE_S)
