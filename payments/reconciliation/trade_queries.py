"""What does not fit between the trade bill, our payments and refunds, and what they paid for: one query for each question.

Each gives kind, reference, out_trade_no, out_refund_no, waits, and the facts of all three sides. Parameters: $1 the day,
$2 and $3 its bounds. Set against set: no row is looked at one by one in Python.
"""

# ruff: noqa: S608  (pieces of our own are joined; every value is a parameter)

_BILL = """
    jsonb_build_object('at', r.at, 'line', r.line, 'state', r.trade_state, 'transaction_id', r.transaction_id,
        'out_trade_no', r.out_trade_no, 'order_fen', r.order_fen, 'currency', r.currency)
    || CASE WHEN r.refund_id IS NULL THEN '{}' ELSE jsonb_build_object('refund_id', r.refund_id,
        'out_refund_no', r.out_refund_no, 'requested_fen', r.requested_fen, 'refund_status', r.refund_status) END"""
_PAYMENT = """
    CASE WHEN p.id IS NULL THEN NULL ELSE jsonb_build_object('out_trade_no', p.out_trade_no, 'state', p.state,
        'amount_fen', p.amount_fen, 'received_fen', p.received_fen, 'received_at', p.received_at,
        'transaction_id', p.transaction_id, 'applied', p.applied, 'currency', p.currency) END"""
_REFUND = """
    CASE WHEN f.id IS NULL THEN NULL ELSE jsonb_build_object('out_refund_no', f.out_refund_no, 'state', f.state,
        'amount_fen', f.amount_fen, 'refund_id', f.refund_id, 'succeeded_at', f.succeeded_at,
        'out_trade_no', p.out_trade_no) END"""
_ORDER = """
    CASE WHEN c.payable IS NULL THEN NULL ELSE jsonb_build_object('payable', c.payable, 'state', c.state,
        'paid_fen', c.paid_fen, 'refunded_fen', c.refunded_fen) END"""


def _facts(bill: str, ours: str) -> str:
    return f"jsonb_build_object('bill', {bill}, 'ours', {ours}, 'order', {_ORDER})"


_WAITS = "NOT EXISTS (SELECT FROM bill n WHERE n.day = $1::date + 1 AND n.kind = 'trade' AND n.state <> 'wanted')"
"""What the bill of the day lacks may stand in the next one."""

_REVERSED = """
    EXISTS (SELECT FROM payment q JOIN bill_trade v ON v.transaction_id = r.transaction_id
        WHERE q.out_trade_no = r.out_trade_no AND q.state = 'closed' AND CASE WHEN r.refund_id IS NULL
            THEN v.trade_state = 'REVOKED' AND v.requested_fen = r.order_fen
            ELSE r.trade_state = 'REVOKED' AND v.refund_id IS NULL AND v.order_fen = r.requested_fen END)"""
"""A payment by code that was reversed: it came and went at WeChat, and never counted here."""

PAYMENTS = f"""
    WITH odd AS MATERIALIZED (
        SELECT r.*, p.id AS payment_id,
            p.received_fen <> r.order_fen OR p.currency <> r.currency AS mismatch
        FROM bill_trade r LEFT JOIN payment p ON p.transaction_id = r.transaction_id
        WHERE r.day = $1 AND r.refund_id IS NULL AND (p.id IS NULL
            OR p.received_fen <> r.order_fen OR p.currency <> r.currency OR p.out_trade_no <> r.out_trade_no)
    )
    SELECT CASE WHEN r.payment_id IS NULL THEN 'bill_unknown_payment' WHEN r.mismatch THEN 'bill_amount_mismatch'
            ELSE 'bill_number_mismatch' END AS kind,
        r.transaction_id AS reference, coalesce(p.out_trade_no, r.out_trade_no) AS out_trade_no,
        NULL AS out_refund_no, coalesce(p.state = 'closed', false) AND {_WAITS} AS waits, {_facts(_BILL, _PAYMENT)} AS facts
    FROM odd r
    LEFT JOIN payment p ON p.id = coalesce(r.payment_id,
        (SELECT q.id FROM payment q WHERE q.out_trade_no = r.out_trade_no))
    LEFT JOIN payable_claim c ON c.payable = p.payable
    WHERE r.payment_id IS NOT NULL OR NOT {_REVERSED}
"""
"""Each payment of the bill is ours, with its amount and its number."""

MISSING_PAYMENTS = f"""
    SELECT 'bill_missing_payment' AS kind, p.transaction_id AS reference, p.out_trade_no, NULL AS out_refund_no,
        {_WAITS} AS waits, {_facts("NULL", _PAYMENT)} AS facts
    FROM payment p LEFT JOIN payable_claim c ON c.payable = p.payable
    WHERE p.received_at >= $2 AND p.received_at < $3 AND p.state = 'received' AND NOT p.external AND NOT EXISTS (
        SELECT FROM bill_trade r WHERE r.transaction_id = p.transaction_id AND r.refund_id IS NULL)
"""
"""Each payment that we received that day stands in a bill."""

REFUNDS = f"""
    WITH odd AS MATERIALIZED (
        SELECT r.*, f.id AS own_id, f.amount_fen <> r.requested_fen AS mismatch,
            f.out_refund_no <> r.out_refund_no OR p.transaction_id <> r.transaction_id AS other
        FROM bill_trade r LEFT JOIN refund f ON f.refund_id = r.refund_id LEFT JOIN payment p ON p.id = f.payment_id
        WHERE r.day = $1 AND r.refund_id IS NOT NULL AND (f.id IS NULL OR f.amount_fen <> r.requested_fen
            OR f.out_refund_no <> r.out_refund_no OR p.transaction_id <> r.transaction_id
            OR r.refund_status = 'SUCCESS' AND f.state <> 'succeeded'
            OR r.refund_status IN ('FAIL', 'CLOSED') AND f.state = 'succeeded')
    )
    SELECT CASE WHEN r.own_id IS NULL THEN 'bill_unknown_refund' WHEN r.mismatch THEN 'bill_amount_mismatch'
            WHEN r.other THEN 'bill_number_mismatch' ELSE 'bill_refund_state_mismatch' END AS kind,
        r.refund_id AS reference, coalesce(p.out_trade_no, r.out_trade_no) AS out_trade_no,
        coalesce(f.out_refund_no, r.out_refund_no) AS out_refund_no, false AS waits, {_facts(_BILL, _REFUND)} AS facts
    FROM odd r
    LEFT JOIN refund f ON f.id = coalesce(r.own_id,
        (SELECT g.id FROM refund g WHERE g.out_refund_no = r.out_refund_no))
    LEFT JOIN payment p ON p.id = f.payment_id
    LEFT JOIN payable_claim c ON c.payable = f.payable
    WHERE r.own_id IS NOT NULL OR NOT {_REVERSED}
"""
"""Each refund of the bill is ours, with its amount and its number; a row is a snapshot, so ours may be further on."""

_SINCE = """
    FROM generate_series((f.requested_at AT TIME ZONE 'Asia/Shanghai')::date, $1::date, interval '1 day') d
    LEFT JOIN bill b ON b.day = d::date AND b.kind = 'trade'"""
"""The bills of the days since a refund was asked for: it was accepted on any of them, so all must be in."""

MISSING_REFUNDS = f"""
    SELECT 'bill_missing_refund' AS kind, coalesce(f.refund_id, f.out_refund_no) AS reference, p.out_trade_no,
        f.out_refund_no, {_WAITS} OR EXISTS (SELECT {_SINCE} WHERE b.state = 'wanted') AS waits,
        {_facts("NULL", _REFUND)} AS facts
    FROM refund f JOIN payment p ON p.id = f.payment_id LEFT JOIN payable_claim c ON c.payable = f.payable
    WHERE f.succeeded_at >= $2 AND f.succeeded_at < $3 AND f.state = 'succeeded' AND NOT p.external
        AND NOT EXISTS (SELECT FROM bill_trade r WHERE r.refund_id = f.refund_id)
        AND NOT EXISTS (SELECT {_SINCE} WHERE b.state IS NULL OR b.state = 'failed')
"""
"""Each refund that succeeded that day stands in the bill of the day on which it was accepted."""

DUPLICATES = f"""
    SELECT 'bill_duplicate_row' AS kind, coalesce(r.refund_id, r.transaction_id) AS reference, r.out_trade_no,
        r.out_refund_no, false AS waits, {_facts(_BILL, "NULL")} AS facts
    FROM bill_trade r LEFT JOIN payable_claim c ON false
    WHERE r.day = $1 AND EXISTS (
        SELECT FROM bill_trade s WHERE s.transaction_id = r.transaction_id
        AND s.refund_id IS NOT DISTINCT FROM r.refund_id AND (s.day, s.line) < (r.day, r.line))
"""
"""Each payment and each refund stands in the bills once."""

ORDERS = f"""
    SELECT CASE WHEN c.payable IS NULL OR c.paid_at IS NULL THEN 'order_unpaid' ELSE 'order_amount_mismatch' END AS kind,
        p.payable AS reference, p.out_trade_no, NULL AS out_refund_no, false AS waits,
        {_facts("NULL", _PAYMENT)} AS facts
    FROM payment p LEFT JOIN payable_claim c ON c.payable = p.payable
    WHERE p.received_at >= $2 AND p.received_at < $3 AND p.applied
        AND (c.payable IS NULL OR c.paid_at IS NULL OR c.paid_fen <> p.received_fen)
"""
"""What a payment was applied to knows that it is paid, and how much."""

ORDERS_WITHOUT = f"""
    SELECT 'order_without_payment' AS kind, c.payable AS reference, p.out_trade_no, NULL AS out_refund_no,
        false AS waits, {_facts("NULL", _PAYMENT)} AS facts
    FROM payable_claim c LEFT JOIN payment p ON p.payable = c.payable AND p.applied
    WHERE c.paid_at >= $2 AND c.paid_at < $3 AND p.id IS NULL
"""
"""What believes to be paid has a payment that was applied to it."""

ORDERS_REFUNDED = f"""
    SELECT 'order_refund_mismatch' AS kind, p.payable AS reference, p.out_trade_no, NULL AS out_refund_no,
        false AS waits, {_facts("NULL", _PAYMENT)} || jsonb_build_object('refunds_fen', g.fen) AS facts
    FROM payment p JOIN (
        SELECT f.payment_id, sum(f.amount_fen)::bigint AS fen FROM refund f WHERE f.state = 'succeeded' AND f.payment_id IN (
            SELECT payment_id FROM refund WHERE succeeded_at >= $2 AND succeeded_at < $3)
        GROUP BY 1
    ) g ON g.payment_id = p.id
    LEFT JOIN payable_claim c ON c.payable = p.payable
    WHERE p.applied AND g.fen > coalesce(c.refunded_fen, 0)
"""
"""What went back for it is no more than it knows of."""

ALL = (
    PAYMENTS,
    MISSING_PAYMENTS,
    REFUNDS,
    MISSING_REFUNDS,
    DUPLICATES,
    ORDERS,
    ORDERS_WITHOUT,
    ORDERS_REFUNDED,
)
