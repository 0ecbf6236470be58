-- One ideal statement that places an order of three lines as the shop does: the member's address, today's price held
-- against the one that was shown, the bound of unpaid orders, stock rows locked in the order of SKU and moved all or
-- none, their moves, the order, its lines, its log, and the answer kept under the key.
\set third :skus / 3
\set a random(1, :third)
\set b random(:third + 1, 2 * :third)
\set c random(2 * :third + 1, 3 * :third)
\set member random(1, :signed_in)
\set shown 10200 + (:a * 7919) % 20000 + (:b * 7919) % 20000 + (:c * 7919) % 20000
WITH wish AS MATERIALIZED (
    SELECT k.id AS sku_id, w.n, 1::bigint AS quantity, k.product_id, p.title, k.price_fen, k.weight_g,
        jsonb_path_query_array(k.options, '$[*].name') AS options, coalesce(k.image, p.images ->> 0, '') AS image
    FROM (VALUES (1, (:a)::bigint), (2, (:b)::bigint), (3, (:c)::bigint)) AS w(n, sku_id)
    JOIN sku k ON k.id = w.sku_id AND k.enabled
    JOIN product p ON p.id = k.product_id AND p.status = 'on_sale'
), held AS MATERIALIZED (
    SELECT sku_id, available FROM stock WHERE location_id = 1 AND sku_id IN (:a, :b, :c)
    ORDER BY sku_id FOR NO KEY UPDATE
), fits AS MATERIALIZED (
    SELECT w.fen, w.steps, a.member_id, jsonb_build_object('name', a.name, 'phone', a.phone, 'province', a.province,
        'city', a.city, 'district', a.district, 'detail', a.detail, 'tag', a.tag) AS address
    FROM (
        SELECT count(*) AS kinds, sum(w.price_fen)::bigint AS fen, jsonb_agg(jsonb_build_object('step', 'goods',
            'skuId', w.sku_id::text, 'unitFen', w.price_fen, 'quantity', w.quantity) ORDER BY w.n) AS steps
        FROM wish w JOIN held h ON h.sku_id = w.sku_id AND h.available >= w.quantity
    ) w
    JOIN address a ON a.member_id = :member AND a.is_default
    JOIN member m ON m.id = a.member_id AND m.status = 'active'
    WHERE w.kinds = 3 AND w.fen = :shown AND 20 > (
        SELECT count(*) FROM (
            SELECT FROM orders o WHERE o.member_id = :member AND o.state IN ('unpaid', 'closing') LIMIT 20) few)
), placed AS (
    INSERT INTO orders (no, member_id, channel, source, state, goods_fen, discount_fen, freight_fen, total_fen, trace,
        address, note, pay_by, close_at, created_at)
    SELECT 'D' || to_hex((extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
            || left(replace(gen_random_uuid()::text, '-', ''), 9),
        member_id, 'mini_program', '{}', 'unpaid', fen, 0, 0, fen, steps, address, '',
        now() + interval '30 minutes', now() + interval '30 minutes', now()
    FROM fits RETURNING id, no, member_id, total_fen, address, created_at, pay_by
), lines AS (
    INSERT INTO order_line (order_id, sku_id, product_id, title, options, image, unit_fen, quantity, paid_fen)
    SELECT placed.id, w.sku_id, w.product_id, w.title, w.options, w.image, w.price_fen, w.quantity, w.price_fen
    FROM placed, wish w ORDER BY w.n
    RETURNING id, sku_id, product_id, title, options, image, unit_fen, quantity, paid_fen
), logged AS (
    INSERT INTO order_event (order_id, what, from_state, to_state, by, facts, at)
    SELECT id, 'placed', NULL, 'unpaid', 'member:' || member_id, '{}', created_at FROM placed
), moved AS (
    UPDATE stock s SET available = s.available - w.quantity, reserved = s.reserved + w.quantity
    FROM wish w, placed WHERE s.sku_id = w.sku_id AND s.location_id = 1
    RETURNING s.sku_id, w.quantity, placed.no, placed.member_id, placed.created_at
), kept AS (
    INSERT INTO stock_move (sku_id, location_id, delta_available, delta_reserved, delta_sold, reason, ref, actor, at)
    SELECT sku_id, 1, -quantity, quantity, 0, 'reserve', no, 'member:' || member_id, created_at FROM moved
)
INSERT INTO idempotency_key (actor, operation, key, content, answer, started_at)
SELECT 'member:' || p.member_id, 'placeOrder', gen_random_uuid()::text, sha256(convert_to(p.no, 'UTF8')),
    jsonb_build_object('no', p.no, 'state', 'unpaid', 'state_text', '待付款', 'actions', '["pay", "cancel"]'::jsonb,
        'goods_fen', p.total_fen, 'discount_fen', 0, 'freight_fen', 0, 'total_fen', p.total_fen, 'refunded_fen', 0,
        'created_at', p.created_at, 'pay_by', p.pay_by, 'pay_left_ms', 1800000, 'paid_at', NULL, 'shipped_at', NULL,
        'completed_at', NULL, 'cancelled_at', NULL, 'address', p.address, 'note', '', 'receive_by', NULL,
        'parcels', '[]'::jsonb, 'refunds', '[]'::jsonb,
        'lines', (SELECT jsonb_agg(jsonb_build_object('id', l.id::text, 'sku_id', l.sku_id::text, 'product_id',
            l.product_id::text, 'title', l.title, 'options', l.options, 'image', l.image, 'price_fen', l.unit_fen,
            'quantity', l.quantity, 'paid_fen', l.paid_fen, 'refunded_quantity', 0, 'refunded_fen', 0)) FROM lines l)),
    p.created_at
FROM placed p RETURNING answer;
