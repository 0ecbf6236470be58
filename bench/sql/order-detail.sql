-- One order of a member with all that belongs to it. The shop is asked by number; pgbench has no list of numbers to choose
-- from, so the number and the owner are those of a random id, found by the primary key: one short look-up more.
\set order random(1, :orders)
SELECT o.*, l.lines, p.parcels, r.refunds
FROM (SELECT no, member_id FROM orders WHERE id = :order) asked
JOIN orders o ON o.no = asked.no AND o.member_id = asked.member_id
CROSS JOIN LATERAL (SELECT array_agg(x ORDER BY x.id) AS lines FROM order_line x WHERE x.order_id = o.id) l
CROSS JOIN LATERAL (SELECT array_agg(x ORDER BY x.id) AS parcels FROM parcel x WHERE x.order_id = o.id) p
CROSS JOIN LATERAL (SELECT array_agg(x ORDER BY x.id) AS refunds FROM refund x WHERE x.payable = o.no) r;
