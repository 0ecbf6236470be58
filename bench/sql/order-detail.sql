-- An order of a member with all that belongs to it, by the statement that the shop sends for it
-- (tests/shop/orders/test_orders_bench.py). The shop is asked by number; pgbench has no list of numbers to choose from, so
-- those that the shop is asked for are in a table: one look-up by primary key more.
\set place random(1, :asked)
SELECT w.place, textsend(concat('{', CASE WHEN o.english THEN CASE o.state
        WHEN 'unpaid' THEN CASE WHEN o.left_ms = 0 THEN '"state":"unpaid","stateText":"Awaiting payment","actions":["cancel"]' ELSE '"state":"unpaid","stateText":"Awaiting payment","actions":["pay","cancel"]' END
        WHEN 'closing' THEN CASE WHEN o.left_ms = 0 THEN '"state":"closing","stateText":"Closing","actions":[]' ELSE '"state":"closing","stateText":"Closing","actions":[]' END
        WHEN 'cancelled' THEN '"state":"cancelled","stateText":"Cancelled","actions":[]'
        WHEN 'paid' THEN '"state":"paid","stateText":"To be shipped","actions":[]'
        WHEN 'shipped' THEN '"state":"shipped","stateText":"On its way","actions":["confirm"]'
        WHEN 'completed' THEN '"state":"completed","stateText":"Completed","actions":[]'
        WHEN 'refunded' THEN '"state":"refunded","stateText":"Refunded","actions":[]' END ELSE CASE o.state
        WHEN 'unpaid' THEN CASE WHEN o.left_ms = 0 THEN '"state":"unpaid","stateText":"待付款","actions":["cancel"]' ELSE '"state":"unpaid","stateText":"待付款","actions":["pay","cancel"]' END
        WHEN 'closing' THEN CASE WHEN o.left_ms = 0 THEN '"state":"closing","stateText":"关闭中","actions":[]' ELSE '"state":"closing","stateText":"关闭中","actions":[]' END
        WHEN 'cancelled' THEN '"state":"cancelled","stateText":"已取消","actions":[]'
        WHEN 'paid' THEN '"state":"paid","stateText":"待发货","actions":[]'
        WHEN 'shipped' THEN '"state":"shipped","stateText":"待收货","actions":["confirm"]'
        WHEN 'completed' THEN '"state":"completed","stateText":"已完成","actions":[]'
        WHEN 'refunded' THEN '"state":"refunded","stateText":"已退款","actions":[]' END END
        , ',"payLeftMs":', coalesce(o.left_ms::text, 'null'),
    replace(concat(',"no":"', o.no
        , '"'
        , ',"goodsFen":', o.goods_fen
        , ',"discountFen":', o.discount_fen
        , ',"freightFen":', o.freight_fen
        , ',"totalFen":', o.total_fen
        , ',"refundedFen":', o.refunded_fen
        , ',"createdAt":', coalesce('"' || to_char(o.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24":"MI":"SS.US"Z"') || '"', 'null')
        , ',"payBy":', coalesce('"' || to_char(o.pay_by AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24":"MI":"SS.US"Z"') || '"', 'null')
        , ',"paidAt":', coalesce('"' || to_char(o.paid_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24":"MI":"SS.US"Z"') || '"', 'null')
        , ',"shippedAt":', coalesce('"' || to_char(o.shipped_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24":"MI":"SS.US"Z"') || '"', 'null')
        , ',"completedAt":', coalesce('"' || to_char(o.completed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24":"MI":"SS.US"Z"') || '"', 'null')
        , ',"cancelledAt":', coalesce('"' || to_char(o.cancelled_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24":"MI":"SS.US"Z"') || '"', 'null')), '.000000Z', 'Z')
        , ',"lines":', coalesce(o.shown_lines, (SELECT json_agg(x)::text FROM (
        SELECT l.id::text AS "id",  l.sku_id::text AS "skuId",  l.product_id::text AS "productId",  l.title AS "title",  l.options AS "options",  l.image AS "image",  l.unit_fen AS "priceFen",  l.quantity AS "quantity",
    l.paid_fen AS "paidFen",  l.refunded_quantity AS "refundedQuantity",  l.refunded_fen AS "refundedFen" FROM order_line l WHERE l.order_id = o.id ORDER BY l.id) x))
        , ',"address":', o.address || '{"id": null}'
        , ',"note":', to_json(o.note),
            ',"receiveBy":', coalesce('"' || replace(to_char(o.receive_by AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24":"MI":"SS.US"Z"'), '.000000Z', 'Z') || '"', 'null'),
            ',"parcels":', CASE WHEN o.shipped_at IS NULL THEN '[]' ELSE coalesce((SELECT json_agg(x)::text FROM (
                SELECT p.carrier, p.tracking_no AS "trackingNo",
                    replace(to_char(p.shipped_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24":"MI":"SS.US"Z"'), '.000000Z', 'Z') AS "shippedAt"
                FROM parcel p WHERE p.order_id = o.id ORDER BY p.id) x), '[]') END)),
        (SELECT json_agg(r ORDER BY r.id)::text FROM (
        SELECT id, out_refund_no, amount_fen, state, reason, payer_refund_fen, user_received_account, requested_at, succeeded_at FROM refund WHERE payable = o.no) r)
    FROM bench.asked a CROSS JOIN LATERAL unnest(ARRAY[a.member_id], ARRAY[a.no], ARRAY[false]) WITH ORDINALITY AS w (member, no, english, place)
    CROSS JOIN LATERAL (
        SELECT *, CASE WHEN x.state IN ('unpaid', 'closing')
    THEN greatest(floor(extract(epoch FROM x.pay_by - now()) * 1000)::bigint, 0) END AS left_ms, w.english FROM orders x WHERE x.no = w.no AND x.member_id = w.member
    ) o
    WHERE a.place = :place;
