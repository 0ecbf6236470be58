"""The same client against the simulated WeChat, over HTTP."""

import asyncio
from typing import Any

import pytest
from cast import Buyer, Shop

pytestmark = pytest.mark.anyio
PHONE = "/wxa/business/getuserphonenumber"


async def _bind(buyer: Buyer, code: str) -> Any:
    return await buyer.post("/me/phone", {"code": code})


async def _sign_in(shop: Shop, code: str) -> Any:
    return await shop.http.post("/api/v1/sign-in", json={"code": code})


async def test_a_code_serves_once_and_for_five_minutes(shop: Shop) -> None:
    code = shop.world.code("dora")
    answers = await asyncio.gather(*(_sign_in(shop, code) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401]
    late = shop.world.code("dora")
    shop.world.skip(minutes=5, seconds=1)
    answer = await _sign_in(shop, late)
    assert (answer.status_code, answer.json()["code"]) == (401, "code_invalid")
    answer = await _sign_in(shop, shop.world.code("dora", "phone"))
    assert (answer.status_code, answer.json()["code"]) == (401, "code_invalid")


async def test_a_phone_is_bound_only_by_its_owners_fresh_code(shop: Shop) -> None:
    dora, emil = await shop.buyer("dora"), await shop.buyer("emil")
    emils = shop.world.code(emil.name, "phone")
    answer = await _bind(dora, emils)
    assert (answer.status_code, answer.json()["code"]) == (400, "phone_code_invalid")
    bound = await _bind(emil, emils)
    assert bound.status_code == 200, bound.text
    assert "****" in bound.json()["phone"]
    assert (await _bind(emil, emils)).status_code == 400
    late = shop.world.code(dora.name, "phone")
    shop.world.skip(minutes=5, seconds=1)
    assert (await _bind(dora, late)).status_code == 400
    assert (await dora.get("/me")).json()["phone"] is None


@pytest.mark.parametrize("lever", ["tokens/expire", "tokens/rotate"])
async def test_a_token_that_dies_early_is_replaced_unseen(shop: Shop, lever: str) -> None:
    dora = await shop.buyer("dora")
    assert (await _bind(dora, shop.world.code(dora.name, "phone"))).status_code == 200
    shop.world.tell(lever)
    assert (await _bind(dora, shop.world.code(dora.name, "phone"))).status_code == 200
    assert await shop.sql.fetchval("SELECT generation FROM access_token") == 2


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ({"effect": "errcode", "errcode": -1, "times": 2}, 200),
        ({"effect": "500", "times": 2}, 200),
        ({"effect": "errcode", "errcode": -1, "times": 3}, 503),
        ({"effect": "502_html", "times": 3}, 503),
        ({"effect": "errcode", "errcode": 45011}, 503),
        ({"effect": "errcode", "errcode": 40226}, 403),
    ],
)
async def test_bad_days_end_in_an_answer(shop: Shop, fault: dict[str, Any], status: int) -> None:
    shop.world.http.post("/_sandbox/faults", json={"path": "/sns/jscode2session", **fault}).raise_for_status()
    answer = await _sign_in(shop, shop.world.code("dora"))
    assert answer.status_code == status
    assert ("retry-after" in answer.headers) == (status == 503)
    assert await shop.sql.fetchval("SELECT count(*) FROM member_session") == (1 if status == 200 else 0)
