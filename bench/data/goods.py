"""Categories, products, three SKUs each, and their first delivery."""

from typing import Any

from bench.data import words
from bench.size import SKUS

PIECES = 1_000_000
"""Delivered of each SKU: what is measured is the sale, not the end of it."""

PRICE_SQL = "(3400 + (k * 7919) % 20000)"
"""Fen of SKU `k`. Three of the cheapest cost more than the free freight's limit of 99 yuan."""

_CATEGORIES = """
    INSERT INTO category (id, parent_id, level, name, image, position, hidden) OVERRIDING SYSTEM VALUE
    SELECT id, parent, level, name, NULL, id, false
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[]) AS c(id, parent, level, name) ORDER BY id
"""
_PRODUCTS = """
    INSERT INTO product (id, category_id, title, subtitle, images, detail_images, description, specs, tags,
        min_price_fen, max_price_fen, list_price_fen, priority, sold_before, sold, status, version, search_vector,
        created_at, updated_at) OVERRIDING SYSTEM VALUE
    SELECT w.id, $1 + (w.id - 1) % $2, w.title, w.subtitle,
        jsonb_build_array(picture || '-0.webp', picture || '-1.webp', picture || '-2.webp'),
        jsonb_build_array(picture || '-3.webp', picture || '-4.webp'),
        w.title || '。' || repeat(w.subtitle || '；七天无理由退货，四十八小时内发货。', 4),
        jsonb_build_array(jsonb_build_object('id', '1', 'name', '规格', 'values', (
            SELECT jsonb_agg(jsonb_build_object('id', n::text, 'name', size, 'image', NULL) ORDER BY n)
            FROM unnest($3::text[]) WITH ORDINALITY AS v(size, n)))),
        CASE w.id % 5 WHEN 0 THEN '["热卖"]'::jsonb WHEN 1 THEN '["新品"]'::jsonb ELSE '[]'::jsonb END,
        price.low, price.high, NULL, CASE w.id % 40 WHEN 0 THEN 10 ELSE 0 END, sold.n, sold.n, 'on_sale', 1,
        w.document::tsvector, now(), now()
    FROM words w
    CROSS JOIN LATERAL (SELECT '/media/bench-' || md5(w.id::text) AS picture) p
    CROSS JOIN LATERAL (SELECT (w.id * 104729) % 5000 AS n) sold
    CROSS JOIN LATERAL (
        SELECT min(PRICE) AS low, max(PRICE) AS high FROM generate_series(w.id * 3 - 2, w.id * 3) AS k
    ) price
    ORDER BY w.id
""".replace("PRICE", PRICE_SQL)
_SKUS = """
    INSERT INTO sku (id, product_id, position, code, options, price_fen, list_price_fen, image, weight_g, enabled)
        OVERRIDING SYSTEM VALUE
    SELECT k, (k + 2) / 3, (k - 1) % 3, 'B' || k,
        jsonb_build_array(jsonb_build_object(
            'specId', '1', 'valueId', ((k - 1) % 3 + 1)::text, 'name', ($3::text[])[(k - 1) % 3 + 1])),
        PRICE, NULL, NULL, 100 + (k * 37) % 900, true
    FROM generate_series($1::bigint, $2::bigint) AS k ORDER BY k
""".replace("PRICE", PRICE_SQL)
_STOCK = """
    INSERT INTO stock (sku_id, location_id, available, reserved, sold)
    SELECT k, 1, $3, 0, 0 FROM generate_series($1::bigint, $2::bigint) AS k ORDER BY k
"""
_DELIVERY = """
    INSERT INTO stock_move (sku_id, location_id, delta_available, delta_reserved, delta_sold, reason, ref, actor, at)
    SELECT k, 1, $3, 0, 0, 'initial', '', 'bench', now() - interval '730 days'
    FROM generate_series($1::bigint, $2::bigint) AS k ORDER BY k
"""
_PRICES_AGAIN = (
    """
    UPDATE sku s SET price_fen = PRICE FROM generate_series($1::bigint, $2::bigint) AS k
    WHERE s.id = k AND s.price_fen <> PRICE
    """.replace("PRICE", PRICE_SQL),
    """
    UPDATE product p SET min_price_fen = x.low, max_price_fen = x.high
    FROM (SELECT product_id, min(price_fen) AS low, max(price_fen) AS high FROM sku WHERE id BETWEEN $1 AND $2 GROUP BY 1) x
    WHERE p.id = x.product_id AND (p.min_price_fen, p.max_price_fen) <> (x.low, x.high)
    """,
)


async def categories(connection: Any) -> None:
    """The tree: ids 1–10 tops, then 50 middles, then 200 leaves."""
    first_middle, first_leaf = words.TOPS + 1, words.TOPS + words.MIDDLES + 1
    rows: list[tuple[int, int | None, int, str]] = [
        (top + 1, None, 1, f"{words.SERIES[top]}馆") for top in range(words.TOPS)
    ]
    rows += [
        (first_middle + n, n * words.TOPS // words.MIDDLES + 1, 2, f"{words.TRAITS[n]}类") for n in range(words.MIDDLES)
    ]
    rows += [
        (first_leaf + n, first_middle + n * words.MIDDLES // words.LEAVES, 3, words.leaf_name(n))
        for n in range(words.LEAVES)
    ]
    await connection.execute(_CATEGORIES, *map(list, zip(*rows, strict=True)))
    await follow(connection, "category")


async def products(connection: Any, first: int, last: int) -> None:
    """Products `first` … `last` with their SKUs, and a delivery of each."""
    await connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS words (id bigint, title text, subtitle text, document text)"
    )
    await connection.execute("TRUNCATE words")
    rows = ((n, words.title(n), words.subtitle(n), words.document(n)) for n in range(first, last + 1))
    await connection.copy_records_to_table("words", records=rows)
    first_leaf = words.TOPS + words.MIDDLES + 1
    await connection.execute(_PRODUCTS, first_leaf, words.LEAVES, list(words.SIZES))
    skus = first * SKUS - 2, last * SKUS
    await connection.execute(_SKUS, *skus, list(words.SIZES))
    await connection.execute(_STOCK, *skus, PIECES)
    await connection.execute(_DELIVERY, *skus, PIECES)
    await follow(connection, "product")
    await follow(connection, "sku")


async def price_again(connection: Any, first: int, last: int) -> None:
    """Give SKUs `first` … `last`, all of their products, the prices that they had at first."""
    async with connection.transaction():
        for statement in _PRICES_AGAIN:
            await connection.execute(statement, first, last)


async def follow(connection: Any, table: str) -> None:
    """Let the table's identity go on after the ids that were given by hand."""
    await connection.execute(
        f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"  # our own names
    )
