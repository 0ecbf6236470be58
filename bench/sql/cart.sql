-- The statement of "add to cart, whole cart answered": the line with its bounds, then the cart joined with what the SKUs
-- are and cost now and how many there are.
\set member random(1, :signed_in)
\set sku 1 + (:member * 12 + random(1, 12)) % :skus
WITH mine AS MATERIALIZED (
    SELECT sku_id, quantity, selected, added_at FROM cart_line WHERE member_id = :member
), added AS (
    INSERT INTO cart_line AS c (member_id, sku_id, quantity, selected, added_at)
    SELECT m.id, k.id, 1, true, now()
    FROM member m, sku k JOIN product p ON p.id = k.product_id AND p.status = 'on_sale'
    JOIN stock s ON s.sku_id = k.id AND s.location_id = 1
    WHERE m.id = :member AND k.id = :sku AND k.enabled AND (SELECT count(*) FROM mine) < 120
        AND s.available > coalesce((SELECT quantity FROM mine WHERE sku_id = :sku), 0)
    ON CONFLICT (member_id, sku_id) DO UPDATE SET quantity = least(c.quantity + 1, 999), selected = true
    RETURNING sku_id, quantity, selected, added_at
), cart AS (
    SELECT * FROM added UNION ALL SELECT * FROM mine WHERE sku_id <> :sku
)
SELECT c.quantity, c.selected, k.id, k.product_id, p.category_id, p.title,
    jsonb_path_query_array(k.options, '$[*].name'), coalesce(k.image, p.images ->> 0, ''), k.price_fen,
    k.list_price_fen, k.weight_g, p.status = 'on_sale' AND k.enabled, coalesce(s.available, 0)
FROM cart c
JOIN sku k ON k.id = c.sku_id
JOIN product p ON p.id = k.product_id
LEFT JOIN stock s ON s.sku_id = k.id AND s.location_id = 1
ORDER BY c.added_at DESC, c.sku_id DESC;
