-- The same orders as columns, joined with the lines, as a shop reads them that keeps none beside the order.
\set member random(1, :signed_in)
SELECT o.id, o.no, o.state, o.goods_fen, o.discount_fen, o.freight_fen, o.total_fen, o.refunded_fen, o.created_at,
    o.pay_by, o.paid_at, o.shipped_at, o.completed_at, o.cancelled_at, l.id, l.sku_id, l.product_id, l.title, l.options,
    l.image, l.unit_fen, l.quantity, l.paid_fen, l.refunded_quantity, l.refunded_fen
FROM (SELECT * FROM orders WHERE member_id = :member ORDER BY id DESC LIMIT 21) o
JOIN order_line l ON l.order_id = o.id ORDER BY o.id DESC, l.id;
