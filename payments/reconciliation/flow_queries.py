"""What does not fit between the fund-flow bill and our ledger's account at WeChat.

Movements are compared by what they are about: all rows of a transaction or a refund together, since some accounts show
fees in rows of their own and some take them off at once. Parameters: $1 the day, $2 and $3 its bounds.
"""

# ruff: noqa: S608  (pieces of our own are joined; every value is a parameter)

_MEANING = """
    CASE WHEN name LIKE '%提现%' OR type LIKE '%提现%' OR type LIKE '%充值%' THEN 'bank'
        WHEN type ~ '分账|转账|企业付款|红包' OR name ~ '分账|转账|企业付款|红包' THEN 'payout'
        WHEN type LIKE '%手续费%' OR type = '交易' OR type LIKE '%退款%' THEN 'trade'
        ELSE 'unknown' END"""
"""The list of business types is open: what is none of these is unknown, and a person's."""

ROWS = f"SELECT *, {_MEANING} AS meaning FROM bill_flow WHERE day = $1"

_BESIDE = "ARRAY['fee:' || b.business_id, 'fee:' || b.business_id || ':flow', 'coupon:' || b.business_id]"
_OURS = f"""
    SELECT b.*, coalesce(p.payable, f.payable) AS payable, coalesce(p.out_trade_no, q.out_trade_no) AS out_trade_no,
        f.out_refund_no, coalesce(f.state IN ('requested', 'processing', 'abnormal'), false) AS under_way,
        p.id IS NOT NULL OR f.id IS NOT NULL OR b.meaning = 'payout' AS known,
        CASE WHEN p.id IS NOT NULL THEN ARRAY['received:' || p.out_trade_no] || {_BESIDE}
            WHEN f.id IS NOT NULL THEN ARRAY['refunded:' || f.out_refund_no] || {_BESIDE}
            WHEN b.meaning = 'payout' THEN ARRAY['transferred:' || b.voucher, 'share_returned:' || b.voucher]
                || ARRAY(SELECT 'shared:' || b.voucher || ':' || s.n FROM share h JOIN share_part s ON s.share_id = h.id
                         WHERE h.out_order_no = b.voucher)
        END AS causes
    FROM (
        SELECT coalesce(nullif(business_id, ''), flow_id) AS business_id, meaning, min(at) AS at, min(line) AS line, max(voucher) AS voucher,
            sum(amount_fen)::bigint AS net_fen, string_agg(DISTINCT type, ' ') AS types
        FROM ({ROWS}) m GROUP BY coalesce(nullif(business_id, ''), flow_id), meaning
    ) b
    LEFT JOIN payment p ON b.meaning = 'trade' AND p.transaction_id = b.business_id AND NOT p.external
    LEFT JOIN refund f ON b.meaning = 'trade' AND f.refund_id = b.business_id
    LEFT JOIN payment q ON q.id = f.payment_id
"""
"""The rows by what they are about, and under which causes our ledger has the same."""

BOOKED = f"""
    booked AS MATERIALIZED (
        SELECT o.*, coalesce(s.fen, 0) AS booked_fen, coalesce(s.fee_fen, 0) AS fee_fen, coalesce(s.done, false) AS done
        FROM ({_OURS}) o CROSS JOIN LATERAL (
            SELECT sum(CASE g.debit WHEN 'wechat' THEN g.amount_fen ELSE -g.amount_fen END)::bigint AS fen,
                sum(CASE g.debit WHEN 'wechat' THEN g.amount_fen ELSE -g.amount_fen END)
                    FILTER (WHERE g.cause LIKE 'fee:%')::bigint AS fee_fen,
                bool_or(g.cause NOT LIKE 'fee:%' AND g.cause NOT LIKE 'coupon:%') AS done
            FROM posting g WHERE g.cause = ANY (o.causes) AND 'wechat' IN (g.debit, g.credit)
        ) s
    )"""
"""With what the ledger has of each. Read once and by index for each row: whatever the planner believes of a day that was
loaded a moment ago, no table is compared with itself."""

_FITS = "(b.done AND b.net_fen IN (b.booked_fen, b.booked_fen - b.fee_fen))"
_WAITS = "NOT EXISTS (SELECT FROM bill n WHERE n.day = $1::date + 1 AND n.kind = 'fund_flow' AND n.state <> 'wanted')"
_BILLED = """(EXISTS (SELECT FROM bill_trade r WHERE r.transaction_id = b.business_id)
    OR EXISTS (SELECT FROM bill_trade r WHERE r.refund_id = b.business_id))"""
_ROW = (
    """jsonb_build_object('at', b.at, 'line', b.line, 'types', b.types, 'net_fen', b.net_fen, 'voucher', b.voucher)"""
)

MOVEMENTS = f"""
    WITH {BOOKED}
    SELECT CASE WHEN b.known THEN 'fund_flow_mismatch' WHEN b.meaning = 'unknown' THEN 'fund_flow_unknown_type'
            ELSE 'fund_flow_unknown' END AS kind,
        b.business_id AS reference, b.out_trade_no, b.out_refund_no, b.meaning = 'payout' AND {_WAITS} AS waits,
        jsonb_build_object('bill', {_ROW}, 'ours', CASE WHEN b.known THEN
            jsonb_build_object('booked_fen', b.booked_fen, 'fee_fen', b.fee_fen) END, 'order', b.payable) AS facts
    FROM booked b
    WHERE b.known AND NOT {_FITS} AND NOT b.under_way AND (b.meaning = 'payout' OR {_BILLED}) OR b.meaning = 'unknown'
        OR NOT b.known AND b.meaning = 'trade' AND b.types NOT LIKE '%手续费%'
            AND NOT {_BILLED}
"""
"""Each movement is what our ledger has booked for the same thing. One that the trade bill knows and we do not, or that it
does not know and we do (so that its fee is not known either), is a difference there already."""

MISSING = f"""
    SELECT 'fund_flow_missing' AS kind, coalesce(r.refund_id, r.transaction_id) AS reference, r.out_trade_no,
        r.out_refund_no, {_WAITS} AS waits,
        jsonb_build_object('bill', jsonb_build_object('at', r.at, 'line', r.line, 'settlement_fen', r.settlement_fen,
            'refund_fen', r.refund_fen), 'ours', NULL, 'order', NULL) AS facts
    FROM bill_trade r
    WHERE r.day = $1 AND (r.refund_id IS NULL AND r.settlement_fen > 0 OR r.refund_status = 'SUCCESS' AND r.refund_fen > 0)
        AND NOT EXISTS (SELECT FROM bill_flow b WHERE b.day IN ($1::date, $1::date + 1, $1::date + 2)
            AND b.business_id = coalesce(r.refund_id, r.transaction_id))
        AND EXISTS (SELECT FROM payment p WHERE p.transaction_id = r.transaction_id)
    UNION ALL
    SELECT 'fund_flow_missing', o.cause, NULL, NULL, {_WAITS},
        jsonb_build_object('bill', NULL, 'ours', jsonb_build_object('amount_fen', o.amount_fen, 'at', o.at), 'order', NULL)
    FROM posting o
    WHERE o.at >= $2 AND o.at < $3 AND 'wechat' IN (o.debit, o.credit)
        AND split_part(o.cause, ':', 1) IN ('transferred', 'shared', 'share_returned')
        AND NOT EXISTS (SELECT FROM bill_flow b WHERE b.day BETWEEN $1::date - 1 AND $1::date + 2
            AND b.voucher = split_part(o.cause, ':', 2))
"""
"""Each settled row of the trade bill that is ours, and each payout that we booked, moved the account: at midnight, in the
next bill."""

BALANCE = """
    WITH edge AS (
        SELECT (array_agg(balance_fen - amount_fen ORDER BY line))[1] AS opening_fen,
            (array_agg(balance_fen ORDER BY line DESC))[1] AS closing_fen, sum(amount_fen)::bigint AS net_fen
        FROM bill_flow WHERE day = $1
    ), before AS (
        SELECT f.day, f.balance_fen FROM bill_flow f WHERE f.day = (
            SELECT max(day) FROM bill_flow WHERE day < $1) ORDER BY f.line DESC LIMIT 1
    )
    SELECT 'fund_flow_gap' AS kind, $1::date::text AS reference, NULL AS out_trade_no, NULL AS out_refund_no, false AS waits,
        jsonb_build_object('bill', to_jsonb(edge), 'before', to_jsonb(before), 'ours', NULL, 'order', NULL) AS facts
    FROM edge LEFT JOIN before ON NOT EXISTS (
        SELECT FROM generate_series(before.day + 1, $1::date - 1, interval '1 day') d
        LEFT JOIN bill b ON b.day = d::date AND b.kind = 'fund_flow' WHERE b.state IS NULL OR b.state <> 'empty')
    WHERE edge.opening_fen + edge.net_fen <> edge.closing_fen OR before.balance_fen <> edge.opening_fen
"""
"""The balances join: the day's own rows, and with the last bill before, if no day between them is unknown."""

FIGURES = f"""
    WITH {BOOKED}, rows AS (
        SELECT count(*) AS rows, coalesce(sum(amount_fen) FILTER (WHERE amount_fen > 0), 0)::bigint AS income_fen,
            coalesce(-sum(amount_fen) FILTER (WHERE amount_fen < 0), 0)::bigint AS expense_fen,
            (array_agg(balance_fen ORDER BY line DESC))[1] AS closing_fen
        FROM bill_flow WHERE day = $1
    ), sums AS (
        SELECT coalesce(sum(b.net_fen), 0)::bigint AS net_fen, coalesce(sum(b.booked_fen), 0)::bigint AS booked_fen,
            coalesce(sum(b.net_fen - b.booked_fen) FILTER (WHERE b.under_way AND NOT b.done), 0)::bigint AS in_transit_fen,
            coalesce(sum(b.net_fen) FILTER (WHERE b.meaning = 'bank'), 0)::bigint AS bank_fen,
            coalesce(sum(b.net_fen) FILTER (WHERE b.meaning = 'unknown'), 0)::bigint AS suspense_fen,
            coalesce(sum(b.net_fen - b.booked_fen) FILTER (WHERE b.known AND {_FITS}
                OR NOT b.known AND b.meaning = 'trade' AND b.types LIKE '%手续费%'), 0)::bigint AS residual_fen
        FROM booked b
    )
    SELECT * FROM rows, sums
"""
"""The day's movement, and what explains it."""

ALL = (MOVEMENTS, MISSING, BALANCE)
