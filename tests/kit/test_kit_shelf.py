"""What is given before routing, when it cannot be given."""

from collections.abc import Mapping
from typing import Any

import httpx
from litestar import Litestar

from kit.database import DatabaseUnavailable
from kit.web.shelf import Answer, Shelf


async def _answered(error: Exception) -> httpx.Response:
    """Nothing stands outside the shelf that would put it into words."""

    async def find(_scope: Mapping[str, Any]) -> Answer | None:
        raise error

    shelf: Any = Shelf(Litestar([]).asgi_handler, {"/api/v1/orders": find})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(shelf), base_url="http://shop") as client:
        return await client.get("/api/v1/orders/D1")


async def test_a_page_that_cannot_be_read_now_is_a_503_that_says_when_to_come_again() -> None:
    answer = await _answered(DatabaseUnavailable())
    assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
    assert int(answer.headers["retry-after"]) > 0


async def test_a_mistake_of_ours_is_a_500_like_any_others() -> None:
    answer = await _answered(LookupError("a table that is not there"))
    assert (answer.status_code, answer.json()["code"]) == (500, "problem")
    assert "table" not in answer.text
