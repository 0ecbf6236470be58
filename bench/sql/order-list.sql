-- A member's order list by the very statement that the shop sends for it: the newest 20, and whether there are more.
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
                WHEN 'refunded' THEN '"state":"refunded","stateText":"Refunded","actions":[]' END
                ELSE CASE o.state
                WHEN 'unpaid' THEN CASE WHEN o.left_ms = 0 THEN '"state":"unpaid","stateText":"待付款","actions":["cancel"]' ELSE '"state":"unpaid","stateText":"待付款","actions":["pay","cancel"]' END
                WHEN 'closing' THEN CASE WHEN o.left_ms = 0 THEN '"state":"closing","stateText":"关闭中","actions":[]' ELSE '"state":"closing","stateText":"关闭中","actions":[]' END
                WHEN 'cancelled' THEN '"state":"cancelled","stateText":"已取消","actions":[]'
                WHEN 'paid' THEN '"state":"paid","stateText":"待发货","actions":[]'
                WHEN 'shipped' THEN '"state":"shipped","stateText":"待收货","actions":["confirm"]'
                WHEN 'completed' THEN '"state":"completed","stateText":"已完成","actions":[]'
                WHEN 'refunded' THEN '"state":"refunded","stateText":"已退款","actions":[]' END END, ',"payLeftMs":', coalesce(o.left_ms::text, 'null'), ',"lines":', coalesce(o.shown_lines, (SELECT json_agg(x)::text FROM (
        SELECT l.id::text AS "id", l.sku_id::text AS "skuId", l.product_id::text AS "productId", l.title AS "title", l.options AS "options", l.image AS "image", l.unit_fen AS "priceFen", l.quantity AS "quantity", 
    l.paid_fen AS "paidFen", l.refunded_quantity AS "refundedQuantity", l.refunded_fen AS "refundedFen" FROM order_line l WHERE l.order_id = o.id ORDER BY l.id) x)), ',',
    substr(replace((SELECT row_to_json(x)::text FROM (SELECT o.no AS "no", o.goods_fen AS "goodsFen", o.discount_fen AS "discountFen", o.freight_fen AS "freightFen"
                , o.total_fen AS "totalFen", o.refunded_fen AS "refundedFen", o.created_at AS "createdAt", o.pay_by AS "payBy"
                , o.paid_at AS "paidAt", o.shipped_at AS "shippedAt", o.completed_at AS "completedAt", o.cancelled_at AS "cancelledAt") x), '+00:00', 'Z'), 2)), ',' ORDER BY o.n)
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
