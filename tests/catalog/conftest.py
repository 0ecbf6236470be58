"""A few products, and staff who may do everything with them."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from catalog import stock
from kit.clock import ManualClock
from kit.database import Database

Stocked = Callable[..., Awaitable[list[int]]]


@pytest.fixture
def stocked(db: Database, sql: Any, clock: ManualClock) -> Stocked:
    """`await stocked(5, 0)`: two SKUs of one product on sale, with 5 and 0 pieces; gives their ids."""

    async def make(*pieces: int) -> list[int]:
        category = await sql.fetchval(
            "INSERT INTO category (level, name, position, hidden) VALUES (1, '茶', 0, false) RETURNING id"
        )
        product = await sql.fetchval(
            """
            INSERT INTO product (category_id, title, subtitle, images, detail_images, description, specs, tags,
                min_price_fen, max_price_fen, priority, sold_before, sold, status, version, search_vector,
                created_at, updated_at)
            VALUES ($1, '明前龙井', '', '["/media/a.svg"]', '[]', '', '[]', '[]', 100, 200, 0, 0, 0, 'on_sale', 1, '',
                    now(), now())
            RETURNING id
            """,
            category,
        )
        skus = [
            await sql.fetchval(
                """
                INSERT INTO sku (product_id, position, code, options, price_fen, weight_g, enabled)
                VALUES ($1, $2, $3, $4, 100, 250, true) RETURNING id
                """,
                product,
                place,
                f"T-{product}-{place}",
                f'[{{"specId": "1", "valueId": "{place}", "name": "罐{place}"}}]',
            )
            for place in range(len(pieces))
        ]
        async with db.begin() as session:
            wants = [stock.Want(sku, n) for sku, n in zip(skus, pieces, strict=True) if n]
            await stock.receive(session, wants, reason="initial", ref="", actor="test", at=clock.now())
            await stock.open_rows(session, skus)
        return skus

    return make
