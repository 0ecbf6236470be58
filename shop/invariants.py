"""What must hold at every instant, in SQL: each query gives the rows that break it, so none is good."""

from typing import Any, Protocol

from payments.payouts import invariants as payouts
from shop.orders.mine import LINES_AS_THEY_ARE
from shop.orders.models import MOVES, OrderState


def _steps() -> str:
    """What an order's log may say: it begins unpaid, stays (a remark), or moves as `MOVES` allows."""
    steps = [f">{OrderState.UNPAID}", *(f"{state}>{state}" for state in OrderState)]
    steps += [f"{source}>{target}" for source, targets in MOVES.items() for target in targets]
    return ", ".join(f"'{step}'" for step in steps)


QUERIES = {
    "stock counters equal the sum of their moves": """
        SELECT s.sku_id FROM stock s LEFT JOIN (
            SELECT sku_id, location_id, sum(delta_available) a, sum(delta_reserved) r, sum(delta_sold) d
            FROM stock_move GROUP BY 1, 2
        ) m USING (sku_id, location_id)
        WHERE (s.available, s.reserved, s.sold) <> (coalesce(m.a, 0), coalesce(m.r, 0), coalesce(m.d, 0))""",
    "stock reserved is what awaits payment": """
        SELECT s.sku_id FROM (SELECT sku_id, sum(reserved) n FROM stock GROUP BY 1) s LEFT JOIN (
            SELECT l.sku_id, sum(l.quantity) q FROM order_line l JOIN orders o ON o.id = l.order_id
            WHERE o.state IN ('unpaid', 'closing') GROUP BY 1
        ) x USING (sku_id) WHERE s.n <> coalesce(x.q, 0)""",
    "stock sold is what was paid, less what came back": """
        SELECT s.sku_id FROM (SELECT sku_id, sum(sold) n FROM stock GROUP BY 1) s LEFT JOIN (
            SELECT l.sku_id, sum(l.quantity) q FROM order_line l JOIN orders o ON o.id = l.order_id
            WHERE o.paid_at IS NOT NULL GROUP BY 1
        ) x USING (sku_id) LEFT JOIN (
            SELECT l.sku_id, sum(p.restocked) q FROM after_sale_line p JOIN order_line l ON l.id = p.order_line_id GROUP BY 1
        ) b USING (sku_id) WHERE s.n <> coalesce(x.q, 0) - coalesce(b.q, 0)""",
    "a paid order has exactly one applied payment, of its total": """
        SELECT o.no FROM orders o WHERE (o.paid_at IS NOT NULL) <> EXISTS (
            SELECT 1 FROM payment p WHERE p.payable = o.no AND p.applied AND p.received_fen = o.total_fen)""",
    "money received and not applied is on its way back, or a person decides": """
        SELECT p.out_trade_no FROM payment p WHERE p.state = 'received' AND NOT p.applied AND NOT EXISTS (
            SELECT 1 FROM payment_exception e LEFT JOIN refund r ON r.id = e.refund_id
            WHERE e.payment_id = p.id
            AND (e.refund_id IS NULL AND e.kind = 'amount_mismatch' OR p.received_fen IN (r.amount_fen, r.amount_fen + (
                SELECT coalesce(sum(o.amount_fen), 0) FROM refund o WHERE o.payment_id = p.id AND o.id <> r.id
                AND o.state NOT IN ('closed', 'refused', 'rejected')))))""",
    "a payment's refunds are what it claims": """
        SELECT p.out_trade_no FROM payment p LEFT JOIN (
            SELECT payment_id, sum(amount_fen) s FROM refund WHERE state NOT IN ('closed', 'refused', 'rejected') GROUP BY 1
        ) r ON r.payment_id = p.id WHERE p.refunded_fen <> coalesce(r.s, 0)""",
    "an order's refunds are its lines' and its freight's": """
        SELECT o.no FROM orders o JOIN (
            SELECT order_id, sum(refunded_fen) s, sum(paid_fen) p FROM order_line GROUP BY 1
        ) l ON l.order_id = o.id
        WHERE o.refunded_fen <> l.s + o.freight_refunded_fen OR o.goods_fen - o.discount_fen <> l.p""",
    "an order's refunds are its after-sales": """
        SELECT o.no FROM orders o LEFT JOIN (
            SELECT order_id, sum(amount_fen) s FROM after_sale WHERE state <> 'failed' GROUP BY 1
        ) a ON a.order_id = o.id WHERE o.refunded_fen <> coalesce(a.s, 0)""",
    "an order's goods are its lines'": """
        SELECT o.no FROM orders o LEFT JOIN (
            SELECT order_id, sum(unit_fen * quantity) AS fen FROM order_line GROUP BY 1
        ) l ON l.order_id = o.id WHERE o.goods_fen IS DISTINCT FROM l.fen""",
    "an order's lines are shown as they are": f"""
        SELECT o.no FROM (SELECT id, no, shown_lines FROM orders ORDER BY id DESC LIMIT 50000) o
        WHERE o.shown_lines::jsonb <> {LINES_AS_THEY_ARE}::jsonb""",  # noqa: S608  (only our own constants)
    "an order's log has only legal steps, each from where the last one ended": f"""
        SELECT o.no FROM (
            SELECT order_id, from_state, to_state, lag(to_state) OVER (PARTITION BY order_id ORDER BY id) AS before
            FROM order_event
        ) e JOIN orders o ON o.id = e.order_id
        WHERE e.from_state IS DISTINCT FROM e.before
            OR coalesce(e.from_state, '') || '>' || e.to_state NOT IN ({_steps()})""",  # noqa: S608  (only our own constants)
    "what is about money is about an order that is there": """
        SELECT coalesce(p.payable, r.payable) FROM (SELECT DISTINCT payable FROM payment) p
        FULL JOIN (SELECT DISTINCT payable FROM refund) r USING (payable)
        WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.no = coalesce(p.payable, r.payable))""",
    "a refund is of its payment's order": """
        SELECT r.out_refund_no FROM refund r JOIN payment p ON p.id = r.payment_id WHERE r.payable <> p.payable""",
    "an after-sale is of its own order's lines, and of their sum": """
        SELECT a.no FROM after_sale a LEFT JOIN (
            SELECT s.after_sale_id, sum(s.amount_fen) AS fen, count(DISTINCT l.order_id) AS orders, min(l.order_id) AS of
            FROM after_sale_line s JOIN order_line l ON l.id = s.order_line_id GROUP BY 1
        ) l ON l.after_sale_id = a.id
        WHERE a.amount_fen <> a.freight_fen + coalesce(l.fen, 0) OR l.orders > 1 OR l.of <> a.order_id""",
    "a session is of its own member": """
        SELECT s.member_id FROM member_session s JOIN identity i ON i.id = s.identity_id
        WHERE s.member_id <> i.member_id""",
    "the last entry of an order's log is its state": """
        SELECT o.no FROM orders o WHERE o.state IS DISTINCT FROM (
            SELECT to_state FROM order_event e WHERE e.order_id = o.id ORDER BY e.id DESC LIMIT 1)""",
    "the trial balance is zero": """
        SELECT currency FROM (
            SELECT currency, amount_fen AS fen FROM posting UNION ALL SELECT currency, -amount_fen FROM posting
        ) sides GROUP BY 1 HAVING sum(fen) <> 0""",
    "the ledger knows every payment received, once and whole": """
        SELECT coalesce(p.out_trade_no, l.cause) FROM (
            SELECT out_trade_no, received_fen FROM payment WHERE state = 'received'
        ) p FULL JOIN (
            SELECT cause, sum(amount_fen) AS fen FROM posting WHERE cause LIKE 'received:%' GROUP BY 1
        ) l ON l.cause = 'received:' || p.out_trade_no WHERE p.received_fen IS DISTINCT FROM l.fen""",
    "the ledger's sales are what applied payments keep": """
        SELECT coalesce(p.payable, l.payable) FROM (
            SELECT payable, sum(received_fen - refunded_fen) AS fen FROM payment WHERE applied GROUP BY 1
        ) p FULL JOIN (
            SELECT payable, sum(CASE credit WHEN 'sales' THEN amount_fen ELSE -amount_fen END) AS fen
            FROM posting WHERE 'sales' IN (debit, credit) GROUP BY 1
        ) l USING (payable) WHERE coalesce(p.fen, 0) <> coalesce(l.fen, 0)""",
    "the ledger's unapplied money is what waits or is not yet promised back": """
        SELECT coalesce(p.payable, l.payable) FROM (
            SELECT payable, sum(received_fen - refunded_fen) AS fen FROM payment
            WHERE state = 'received' AND NOT applied GROUP BY 1
        ) p FULL JOIN (
            SELECT payable, sum(CASE credit WHEN 'unapplied' THEN amount_fen ELSE -amount_fen END) AS fen
            FROM posting WHERE 'unapplied' IN (debit, credit) GROUP BY 1
        ) l USING (payable) WHERE coalesce(p.fen, 0) <> coalesce(l.fen, 0)""",
    "the ledger owes every refund that is promised and not done": """
        SELECT coalesce(r.payable, l.payable) FROM (
            SELECT payable, sum(amount_fen) AS fen FROM refund
            WHERE state IN ('waiting', 'requested', 'processing', 'abnormal') GROUP BY 1
        ) r FULL JOIN (
            SELECT payable, sum(CASE credit WHEN 'refunds_payable' THEN amount_fen ELSE -amount_fen END) AS fen
            FROM posting WHERE 'refunds_payable' IN (debit, credit) GROUP BY 1
        ) l USING (payable) WHERE coalesce(r.fen, 0) <> coalesce(l.fen, 0)""",
    "the ledger's money from buyers is what came in, less what went back": """
        SELECT coalesce(p.payable, l.payable) FROM (
            SELECT payable, sum(fen) AS fen FROM (
                SELECT payable, received_fen AS fen FROM payment WHERE state = 'received'
                UNION ALL SELECT payable, -amount_fen FROM refund WHERE state = 'succeeded'
            ) moved GROUP BY 1
        ) p FULL JOIN (
            SELECT payable, sum(CASE WHEN debit IN ('wechat', 'elsewhere') THEN amount_fen ELSE -amount_fen END) AS fen
            FROM posting WHERE cause LIKE 'received:%' OR cause LIKE 'refunded:%' GROUP BY 1
        ) l USING (payable) WHERE coalesce(p.fen, 0) <> coalesce(l.fen, 0)""",
    **payouts.QUERIES,
}

MONEY = """
    SELECT (SELECT coalesce(sum(received_fen), 0) FROM payment WHERE state = 'received')::bigint AS received_fen,
           (SELECT coalesce(sum(total_fen - refunded_fen), 0) FROM orders WHERE paid_at IS NOT NULL)::bigint AS owed_fen,
           (SELECT coalesce(sum(amount_fen), 0) FROM refund WHERE state NOT IN ('closed', 'refused', 'rejected'))::bigint AS back_fen,
           (SELECT coalesce(sum(received_fen - refunded_fen), 0) FROM payment
            WHERE state = 'received' AND NOT applied)::bigint AS held_fen
"""
"""Money in = money owed for goods + money back (done, or promised and under way) + money that a person must decide on
(it could not go back by itself)."""


class Connection(Protocol):
    """asyncpg's, as far as it is needed here."""

    async def fetch(self, query: str) -> list[Any]: ...
    async def fetchrow(self, query: str) -> Any: ...


async def broken(connection: Connection) -> dict[str, list[str]]:
    """The invariants that do not hold, each with the rows that break it (ten at most). Read-only."""
    found = {}
    for name, query in QUERIES.items():
        rows = await connection.fetch(f"{query} LIMIT 10")
        if rows:
            found[name] = [str(row[0]) for row in rows]
    money = await connection.fetchrow(MONEY)
    if money["received_fen"] != money["owed_fen"] + money["back_fen"] + money["held_fen"]:
        found["money in = money owed + money back + money held"] = [str(dict(money))]
    return found
