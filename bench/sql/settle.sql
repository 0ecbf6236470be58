-- What a payment notification has to write, in two commits: the notice; then the payment received and applied, its order
-- paid and logged, the goods sold, the ledger, and the notice handled. Each open payment once: ids from :first on.
\set turn :turn + 1
\set payment :first + (:turn - 1) * 8 + :client_id
INSERT INTO notice (id, event_type, original_type, body, received_at, retry_at)
VALUES ('bench-' || :payment, 'TRANSACTION.SUCCESS', 'transaction', convert_to(repeat('x', 1000), 'UTF8'), now(),
    now() + interval '30 seconds') ON CONFLICT DO NOTHING;
WITH paid AS (
    UPDATE payment SET state = 'received', transaction_id = '4300' || lpad((:payment)::text, 24, '0'),
        received_fen = amount_fen, received_at = now(), applied = true
    WHERE id = :payment AND state = 'open' AND currency = 'CNY'
    RETURNING out_trade_no, payable, amount_fen, transaction_id
), moved AS (
    UPDATE orders o SET state = 'paid', paid_at = now() FROM paid
    WHERE o.no = paid.payable AND o.state IN ('unpaid', 'closing') AND o.total_fen = paid.amount_fen
    RETURNING o.id, o.no, paid.transaction_id
), logged AS (
    INSERT INTO order_event (order_id, what, from_state, to_state, by, facts, at)
    SELECT id, 'paid', 'unpaid', 'paid', 'wechat', jsonb_build_object('transaction_id', transaction_id), now() FROM moved
), lines AS MATERIALIZED (
    SELECT l.sku_id, l.quantity, moved.no FROM moved JOIN order_line l ON l.order_id = moved.id
), held AS MATERIALIZED (
    SELECT sku_id FROM stock WHERE location_id = 1 AND sku_id = ANY (ARRAY(SELECT sku_id FROM lines))
    ORDER BY sku_id FOR NO KEY UPDATE
), sold AS (
    UPDATE stock s SET reserved = s.reserved - l.quantity, sold = s.sold + l.quantity
    FROM lines l JOIN held USING (sku_id) WHERE s.sku_id = l.sku_id AND s.location_id = 1
    RETURNING s.sku_id, l.quantity, l.no
), kept AS (
    INSERT INTO stock_move (sku_id, location_id, delta_available, delta_reserved, delta_sold, reason, ref, actor, at)
    SELECT sku_id, 1, 0, -quantity, quantity, 'sell', no, 'wechat', now() FROM sold
), booked AS (
    INSERT INTO posting (cause, debit, credit, amount_fen, currency, payable, at)
    SELECT 'received:' || out_trade_no, 'wechat', 'sales', amount_fen, 'CNY', payable, now() FROM paid
)
UPDATE notice SET handled_at = now(), outcome = 'applied', attempts = attempts + 1
WHERE id = 'bench-' || :payment AND handled_at IS NULL AND 3 = (SELECT count(*) FROM sold);
