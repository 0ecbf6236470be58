-- An order of a member with all that belongs to it, as the shop reads it. The shop is asked by number; pgbench has no list
-- of numbers to choose from, so those that the shop is asked for are in a table: one look-up by primary key more.
\set place random(1, :asked)
SELECT o.id, o.no, o.state, o.goods_fen, o.discount_fen, o.freight_fen, o.total_fen, o.refunded_fen, o.created_at,
    o.pay_by, o.paid_at, o.shipped_at, o.completed_at, o.cancelled_at, coalesce(o.shown_lines, (
        SELECT json_agg(x)::text FROM (
            SELECT l.id::text, l.sku_id::text AS "skuId", l.product_id::text AS "productId", l.title, l.options, l.image,
                l.unit_fen AS "priceFen", l.quantity, l.paid_fen AS "paidFen",
                l.refunded_quantity AS "refundedQuantity", l.refunded_fen AS "refundedFen"
            FROM order_line l WHERE l.order_id = o.id ORDER BY l.id) x)),
    o.address::text, o.note, o.receive_by,
    CASE WHEN o.shipped_at IS NOT NULL THEN (SELECT json_agg(p ORDER BY p.id)::text FROM (
        SELECT id, carrier, tracking_no, shipped_at FROM parcel WHERE order_id = o.id) p) END,
    (SELECT json_agg(r ORDER BY r.id)::text FROM (
        SELECT id, out_refund_no, amount_fen, state, reason, payer_refund_fen, user_received_account, requested_at,
            succeeded_at FROM refund WHERE payable = o.no) r)
FROM bench.asked a JOIN orders o ON o.no = a.no AND o.member_id = a.member_id WHERE a.place = :place;
