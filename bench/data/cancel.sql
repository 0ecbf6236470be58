-- Cancel every unpaid order, as the shop's sweep would have: payments closed, goods back on sale, all of it logged.
CREATE TEMP TABLE gone ON COMMIT DROP AS
SELECT id, no, member_id FROM orders WHERE state = 'unpaid' AND created_at > now() - interval '1 day';
ANALYZE gone;
UPDATE payment p SET state = 'closed', closed_at = now() FROM gone
WHERE p.payable = gone.no AND p.state IN ('opening', 'open');
UPDATE orders o SET state = 'cancelled', close_reason = 'overdue', cancelled_at = now() FROM gone WHERE o.id = gone.id;
INSERT INTO order_event (order_id, what, from_state, to_state, by, facts, at)
SELECT id, 'cancelled', 'unpaid', 'cancelled', 'system', '{}', now() FROM gone ORDER BY id;
INSERT INTO stock_move (sku_id, location_id, delta_available, delta_reserved, delta_sold, reason, ref, actor, at)
SELECT l.sku_id, 1, l.quantity, -l.quantity, 0, 'release', gone.no, 'system', now()
FROM gone JOIN order_line l ON l.order_id = gone.id ORDER BY gone.id, l.sku_id;
UPDATE stock s SET available = s.available + x.n, reserved = s.reserved - x.n
FROM (SELECT l.sku_id, sum(l.quantity) AS n FROM gone JOIN order_line l ON l.order_id = gone.id GROUP BY 1) x
WHERE s.sku_id = x.sku_id AND s.location_id = 1;
