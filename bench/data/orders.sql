-- Orders bench.first … bench.last of bench.kind: `history` (two years) or `awaiting` (unpaid, with an open payment).
-- `f` is how far through the two years an order was placed. Two connections may write batches at once.
CREATE TEMP TABLE batch ON COMMIT DROP AS
SELECT id, pg_temp.number('D', at, id) AS no, at, state,
    -- Half of what the signed-in order, they order on top; unpaid ones are the others', who place none in the runs.
    CASE WHEN state IN ('unpaid', 'awaiting') AND signed_in < members
        THEN signed_in + pg_temp.pick(id, 1, members - signed_in)
        WHEN pg_temp.pick(id, 3, 2) = 1 THEN pg_temp.pick(id, 1, signed_in)
        ELSE pg_temp.pick(id, 1, members) END AS member_id,
    CASE WHEN state IN ('paid', 'shipped', 'completed') THEN at + interval '3 minutes' END AS paid_at,
    CASE WHEN state IN ('shipped', 'completed') THEN least(at + interval '1 day', now()) END AS shipped_at,
    CASE WHEN state = 'completed' THEN at + interval '6 days' END AS completed_at,
    CASE WHEN state = 'cancelled' THEN at + interval '30 minutes' END AS cancelled_at
FROM (
    SELECT id, signed_in, members,
        CASE WHEN kind = 'awaiting' THEN now() ELSE now() - interval '730 days' * (1 - f) END AS at,
        CASE WHEN kind = 'awaiting' THEN 'awaiting'
            WHEN pg_temp.pick(id, 2, 12) = 1 THEN 'cancelled'
            WHEN f > 0.996 THEN 'unpaid'
            WHEN f > 0.993 THEN 'paid'
            WHEN f > 0.985 THEN 'shipped'
            ELSE 'completed' END AS state
    FROM (
        SELECT id, current_setting('bench.signed_in')::bigint AS signed_in,
            current_setting('bench.members')::bigint AS members,
            current_setting('bench.kind') AS kind,
            (id - current_setting('bench.of_first')::bigint)::float8 / current_setting('bench.of_count')::bigint AS f
        FROM generate_series(current_setting('bench.first')::bigint, current_setting('bench.last')::bigint) AS id
    ) numbered
) dated;
-- Three lines of three different SKUs, one of each third of what there is.
CREATE TEMP TABLE batch_line ON COMMIT DROP AS
SELECT nextval('order_line_id_seq') AS id, b.id AS order_id, n, third.sku_id,
    CASE WHEN pg_temp.pick(b.id, 10 + n, 8) = 1 THEN 2 ELSE 1 END AS quantity
FROM batch b, generate_series(0, 2) AS n
CROSS JOIN LATERAL (
    SELECT n * (current_setting('bench.skus')::bigint / 3)
        + pg_temp.pick(b.id, 20 + n, current_setting('bench.skus')::bigint / 3) AS sku_id
) third;
ANALYZE batch;
ANALYZE batch_line;
-- With the lines as they are shown, which the shop writes with the order.
CREATE TEMP TABLE batch_sum ON COMMIT DROP AS
SELECT l.order_id,
    '[' || string_agg((SELECT row_to_json(x)::text FROM (
        SELECT l.id::text, k.id::text AS "skuId", p.id::text AS "productId", p.title,
            jsonb_path_query_array(k.options, '$[*].name') AS options, coalesce(k.image, p.images ->> 0, '') AS image,
            k.price_fen AS "priceFen", l.quantity, k.price_fen * l.quantity AS "paidFen", 0 AS "refundedQuantity",
            0 AS "refundedFen") x), ',' ORDER BY l.id) || ']' AS shown_lines,
    sum(k.price_fen * l.quantity)::bigint AS fen, sum(k.weight_g * l.quantity)::bigint AS weight_g,
    jsonb_agg(jsonb_build_object('step', 'goods', 'skuId', l.sku_id::text, 'unitFen', k.price_fen,
        'quantity', l.quantity) ORDER BY l.n) AS steps
FROM batch_line l JOIN sku k ON k.id = l.sku_id JOIN product p ON p.id = k.product_id GROUP BY 1;
INSERT INTO orders (id, no, member_id, channel, source, state, goods_fen, discount_fen, freight_fen, total_fen, trace,
    shown_lines, address, note, pay_by, close_at, close_reason, paid_at, shipped_at, receive_by, completed_at,
    cancelled_at, created_at)
    OVERRIDING SYSTEM VALUE
SELECT b.id, b.no, b.member_id, 'mini_program', '{}', CASE b.state WHEN 'awaiting' THEN 'unpaid' ELSE b.state END,
    s.fen, 0, 0, s.fen,
    s.steps || jsonb_build_array(jsonb_build_object('step', 'freight', 'weightG', s.weight_g, 'fen', 0)),
    s.shown_lines,
    jsonb_build_object('name', a.name, 'phone', a.phone, 'province', a.province, 'city', a.city,
        'district', a.district, 'detail', a.detail, 'tag', a.tag),
    '',
    -- Unpaid ones stay payable for long: nothing here closes them, and a kept data set must stay good.
    b.at + CASE WHEN b.state IN ('unpaid', 'awaiting') THEN interval '1 year' ELSE interval '30 minutes' END,
    b.at + CASE WHEN b.state IN ('unpaid', 'awaiting') THEN interval '1 year' ELSE interval '30 minutes' END,
    CASE b.state WHEN 'cancelled' THEN 'overdue' END, b.paid_at, b.shipped_at, b.shipped_at + interval '10 days',
    b.completed_at, b.cancelled_at, b.at
FROM batch b
JOIN batch_sum s ON s.order_id = b.id
JOIN address a ON a.member_id = b.member_id AND a.is_default
ORDER BY b.id;
INSERT INTO order_line (id, order_id, sku_id, product_id, title, options, image, unit_fen, quantity, paid_fen)
    OVERRIDING SYSTEM VALUE
SELECT l.id, l.order_id, l.sku_id, k.product_id, p.title, jsonb_path_query_array(k.options, '$[*].name'),
    coalesce(k.image, p.images ->> 0, ''), k.price_fen, l.quantity, k.price_fen * l.quantity
FROM batch_line l JOIN sku k ON k.id = l.sku_id JOIN product p ON p.id = k.product_id
ORDER BY l.id;
INSERT INTO order_event (order_id, what, from_state, to_state, by, facts, at)
SELECT b.id, e.what, e.from_state, e.to_state, e.by, '{}', e.at
FROM batch b CROSS JOIN LATERAL (VALUES
    (1, 'placed', NULL, 'unpaid', 'member:' || b.member_id, b.at),
    (2, 'paid', 'unpaid', 'paid', 'wechat', b.paid_at),
    (3, 'shipped', 'paid', 'shipped', 'staff:1', b.shipped_at),
    (4, 'received', 'shipped', 'completed', 'system', b.completed_at),
    (5, 'cancelled', 'unpaid', 'cancelled', 'system', b.cancelled_at)
) AS e(n, what, from_state, to_state, by, at)
WHERE e.at IS NOT NULL ORDER BY b.id, e.n;
INSERT INTO stock_move (sku_id, location_id, delta_available, delta_reserved, delta_sold, reason, ref, actor, at)
SELECT l.sku_id, 1, m.a * l.quantity, m.r * l.quantity, m.s * l.quantity, m.reason, b.no, m.actor, m.at
FROM batch b JOIN batch_line l ON l.order_id = b.id CROSS JOIN LATERAL (VALUES
    (1, -1, 1, 0, 'reserve', 'member:' || b.member_id, b.at),
    (2, 0, -1, 1, 'sell', 'wechat', b.paid_at),
    (3, 1, -1, 0, 'release', 'system', b.cancelled_at)
) AS m(n, a, r, s, reason, actor, at)
WHERE m.at IS NOT NULL ORDER BY b.id, m.n, l.sku_id;
INSERT INTO payment (out_trade_no, payable, channel, mchid, appid, openid, currency, amount_fen, description, state,
    expires_at, token, token_at, transaction_id, received_fen, received_at, applied, check_at, checks, created_at)
SELECT pg_temp.number('P', b.at, b.id), b.no, 'jsapi', current_setting('bench.mchid'), current_setting('bench.appid'),
    i.openid, 'CNY', s.fen, '订单 ' || b.no, CASE WHEN b.paid_at IS NULL THEN 'open' ELSE 'received' END,
    b.at + CASE WHEN b.paid_at IS NULL THEN interval '1 year' ELSE interval '30 minutes' END,
    'wx' || md5('prepay' || b.id), b.at + interval '1 minute',
    CASE WHEN b.paid_at IS NOT NULL THEN '42000' || lpad(b.id::text, 23, '0') END,
    CASE WHEN b.paid_at IS NOT NULL THEN s.fen END, b.paid_at, b.paid_at IS NOT NULL,
    b.at + CASE WHEN b.paid_at IS NULL THEN interval '1 year' ELSE interval '2 minutes' END, 0, b.at + interval '1 minute'
FROM batch b JOIN batch_sum s ON s.order_id = b.id JOIN identity i ON i.id = b.member_id
WHERE b.paid_at IS NOT NULL OR b.state = 'awaiting' ORDER BY b.id;
INSERT INTO posting (cause, debit, credit, amount_fen, currency, payable, at)
SELECT 'received:' || pg_temp.number('P', b.at, b.id), 'wechat', 'sales', s.fen, 'CNY', b.no, b.paid_at
FROM batch b JOIN batch_sum s ON s.order_id = b.id WHERE b.paid_at IS NOT NULL ORDER BY b.id;
INSERT INTO parcel (order_id, carrier, tracking_no, shipped_by, shipped_at)
SELECT id, 'SF', 'SF' || lpad(id::text, 13, '0'), 'staff:1', shipped_at FROM batch WHERE shipped_at IS NOT NULL ORDER BY id;
-- Their days were matched with WeChat's bills: the simulated one, which a worker would ask, knows none of them.
INSERT INTO bill_day (day, state, figures, matched_at)
SELECT (now() AT TIME ZONE 'Asia/Shanghai')::date - n, 'agreed', '{}', now() FROM generate_series(-1, 30) AS n
ON CONFLICT DO NOTHING;
-- What is kept for a while only: notices for ninety days, keys for three.
INSERT INTO notice (id, event_type, original_type, body, received_at, retry_at, handled_at, outcome, attempts)
SELECT md5('notice' || id), 'TRANSACTION.SUCCESS', 'transaction', convert_to(repeat(md5(no), 28), 'UTF8'),
    paid_at, paid_at + interval '30 seconds', paid_at, 'applied', 1
FROM batch WHERE paid_at > now() - interval '90 days' ORDER BY id;
INSERT INTO idempotency_key (actor, operation, key, content, answer, started_at)
SELECT 'member:' || member_id, 'placeOrder', md5('key' || id), sha256(convert_to(no, 'UTF8')),
    jsonb_build_object('no', no), at
FROM batch WHERE at > now() - interval '3 days' AND state <> 'awaiting' ORDER BY id;
-- Last, and one batch at a time: each touches many rows of stock.
SELECT pg_advisory_xact_lock(7260126777);
UPDATE stock s SET available = s.available - x.kept, reserved = s.reserved + x.reserved, sold = s.sold + x.sold
FROM (
    SELECT l.sku_id, sum(l.quantity) FILTER (WHERE b.state <> 'cancelled') AS kept,
        coalesce(sum(l.quantity) FILTER (WHERE b.state IN ('unpaid', 'awaiting')), 0) AS reserved,
        coalesce(sum(l.quantity) FILTER (WHERE b.paid_at IS NOT NULL), 0) AS sold
    FROM batch b JOIN batch_line l ON l.order_id = b.id GROUP BY 1
    HAVING sum(l.quantity) FILTER (WHERE b.state <> 'cancelled') > 0
) x WHERE s.sku_id = x.sku_id AND s.location_id = 1;
