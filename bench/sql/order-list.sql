-- A member's order list by the statement that the shop sends for it: the newest 20, and whether there are more. It is the
-- shop's own, with values in place of its parameters (tests/shop/orders/test_orders_bench.py).
\set member random(1, :signed_in)
SELECT w.place, page.*
    FROM unnest(ARRAY[:member]::bigint[], ARRAY[NULL]::text[], ARRAY[9223372036854775807]::bigint[], ARRAY[20]::bigint[], ARRAY[false])
        WITH ORDINALITY AS w (member, states, before, most, english, place)
    CROSS JOIN LATERAL (
        SELECT coalesce(textsend(string_agg(concat('{', CASE WHEN o.english THEN CASE o.state
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
    l.paid_fen AS "paidFen",  l.refunded_quantity AS "refundedQuantity",  l.refunded_fen AS "refundedFen" FROM order_line l WHERE l.order_id = o.id ORDER BY l.id) x)), '}'), ',' ORDER BY o.n)
                FILTER (WHERE o.n <= w.most)), ''),
            min(o.id) FILTER (WHERE o.n <= w.most), coalesce(max(o.n), 0) > w.most
        FROM (
            SELECT *, CASE WHEN x.state IN ('unpaid', 'closing')
    THEN greatest(floor(extract(epoch FROM x.pay_by - now()) * 1000)::bigint, 0) END AS left_ms, w.english, row_number() OVER (ORDER BY x.id DESC) AS n FROM orders x
            WHERE x.member_id = w.member AND x.id < w.before
                AND (w.states IS NULL OR x.state = ANY(string_to_array(w.states, ',')))
            ORDER BY x.id DESC LIMIT w.most + 1
        ) o
    ) page;
