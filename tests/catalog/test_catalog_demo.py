"""The demo shop is whole, believable, and seeded once."""

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import httpx
import pytest

from catalog import demo
from kit.clock import ManualClock
from kit.database import Database

pytestmark = pytest.mark.anyio

UNBALANCED = """
    SELECT s.sku_id FROM stock s
    LEFT JOIN (SELECT sku_id, sum(delta_available) a FROM stock_move GROUP BY 1) m USING (sku_id)
    WHERE s.available <> coalesce(m.a, 0) OR s.reserved <> 0 OR s.sold <> 0
"""
OUT_OF_STEP = """
    SELECT p.id FROM product p JOIN sku k ON k.product_id = p.id AND k.enabled GROUP BY p.id
    HAVING min(k.price_fen) <> p.min_price_fen OR max(k.price_fen) <> p.max_price_fen
"""


async def test_the_demo_shop(
    db: Database, sql: Any, clock: ManualClock, tmp_path: Path, web: httpx.AsyncClient
) -> None:
    folder = tmp_path / "media"
    assert await demo.seed(db, clock, media_dir=folder, products=None)

    assert await sql.fetchval("SELECT count(*) FROM product WHERE status = 'on_sale'") >= 60
    skus = await sql.fetchval("SELECT count(*) FROM sku WHERE enabled")
    assert skus >= 200
    assert await sql.fetchval("SELECT count(*) FROM stock WHERE available > 0") == skus
    assert await sql.fetch(UNBALANCED) == []
    assert await sql.fetch(OUT_OF_STEP) == []
    assert await sql.fetchval("SELECT max(level) FROM category") == 3
    await _pictures_are_there(sql, folder)
    found = (await web.get("/api/v1/products", params={"q": "咖啡", "inStock": "true"})).json()["items"]
    assert len(found) >= 4
    page = (await web.get(f"/api/v1/products/{found[0]['id']}")).json()
    assert page["skus"]
    assert (await web.get(page["images"][0])).headers["content-type"].startswith("image/svg+xml")

    again = await demo.seed(db, clock, media_dir=folder, products=None)
    assert not again
    assert await sql.fetchval("SELECT count(*) FROM sku") == skus


async def _pictures_are_there(sql: Any, folder: Path) -> None:
    urls = await sql.fetch(
        """
        SELECT DISTINCT u FROM (
            SELECT jsonb_array_elements_text(images || detail_images) AS u FROM product
            UNION ALL SELECT image FROM category UNION ALL SELECT image FROM sku
        ) named WHERE u IS NOT NULL
        """
    )
    assert len(urls) > 200
    for row in urls:
        ET.parse(folder / row["u"].removeprefix("/media/"))


async def test_a_crowd_of_variations(db: Database, sql: Any, clock: ManualClock, tmp_path: Path) -> None:
    assert await demo.seed(db, clock, media_dir=tmp_path, products=200)

    assert await sql.fetchval("SELECT count(*) FROM product") == 200
    assert await sql.fetch(UNBALANCED) == []
    assert await sql.fetch(OUT_OF_STEP) == []
    assert await sql.fetchval("SELECT count(*) FROM product WHERE search_vector @@ '''夏集'''") > 0
    assert await sql.fetchval("SELECT count(DISTINCT title) FROM product") == 200
    assert await demo.seed(db, clock, media_dir=tmp_path, products=260)
    assert not await demo.seed(db, clock, media_dir=tmp_path, products=260)
    assert await sql.fetchval("SELECT count(*) FROM product") == 260


async def test_seeding_is_all_or_nothing(db: Database, sql: Any, clock: ManualClock, tmp_path: Path) -> None:
    blocked = tmp_path / "media"
    blocked.write_text("a file where the folder should be")

    with pytest.raises(OSError, match="media"):
        await demo.seed(db, clock, media_dir=blocked, products=None)

    assert await sql.fetchval("SELECT count(*) FROM category") == 0
