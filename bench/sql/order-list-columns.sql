-- The same orders as columns, which somebody would have to make JSON of.
\set member random(1, :signed_in)
SELECT o.id, o.no, o.state, o.goods_fen, o.discount_fen, o.freight_fen, o.total_fen, o.refunded_fen, o.created_at,
    o.pay_by, o.paid_at, o.shipped_at, o.completed_at, o.cancelled_at, o.shown_lines
FROM orders o WHERE o.member_id = :member ORDER BY o.id DESC LIMIT 21;
