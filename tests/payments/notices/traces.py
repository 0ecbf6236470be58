"""What a notice leaves behind: the order's state, its own outcome, a case for a person."""

from typing import Any

from cast import Shop


async def state_of(shop: Shop, no: str) -> str:
    return str(await shop.sql.fetchval("SELECT state FROM orders WHERE no = $1", no))


async def outcomes(shop: Shop) -> list[Any]:
    return [row["outcome"] for row in await shop.sql.fetch("SELECT outcome FROM notice ORDER BY received_at")]


async def open_cases(shop: Shop) -> list[Any]:
    rows = await shop.sql.fetch("SELECT kind FROM payment_exception WHERE resolved_at IS NULL ORDER BY id")
    return [row["kind"] for row in rows]
