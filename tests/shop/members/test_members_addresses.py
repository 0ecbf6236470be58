import asyncio
from typing import Any

import pytest

pytestmark = pytest.mark.anyio

HOME = {
    "name": "张三",
    "phone": "13800000000",
    "province": "浙江省",
    "city": "杭州市",
    "district": "西湖区",
    "detail": "文三路 1 号",
}


async def _add(guest: Any, **more: Any) -> dict[str, Any]:
    answer = await guest.ask("POST", "/addresses", HOME | more)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def _ids(guest: Any) -> list[str]:
    return [item["id"] for item in (await guest.ask("GET", "/addresses")).json()["items"]]


async def test_an_address_is_kept_read_replaced_and_deleted(alice: Any) -> None:
    made = await _add(alice, tag="家", districtCode="330106")
    assert made["isDefault"] is True
    path = f"/addresses/{made['id']}"
    assert (await alice.ask("GET", path)).json() == made
    replaced = await alice.ask("PUT", path, HOME | {"detail": "文三路 2 号", "isDefault": True})
    assert replaced.status_code == 200
    assert (replaced.json()["detail"], replaced.json()["tag"]) == ("文三路 2 号", "")
    assert (await alice.ask("GET", path)).json()["isDefault"] is True
    assert (await alice.ask("DELETE", path)).status_code == 204
    assert (await alice.ask("GET", path)).status_code == 404


async def test_there_is_one_default_and_it_comes_first(alice: Any, sql: Any) -> None:
    first, second = await _add(alice), await _add(alice)
    assert second["isDefault"] is False
    third = await _add(alice, isDefault=True)
    assert await _ids(alice) == [third["id"], second["id"], first["id"]]
    await alice.ask("PUT", f"/addresses/{first['id']}", HOME | {"isDefault": True})
    assert await sql.fetch("SELECT id FROM address WHERE is_default") == [(int(first["id"]),)]


async def test_defaults_set_at_once_leave_one(alice: Any, sql: Any) -> None:
    await asyncio.gather(*(_add(alice, isDefault=True) for _ in range(6)))
    assert await sql.fetchval("SELECT count(*) FROM address WHERE is_default") == 1


async def test_twenty_are_kept_even_at_once(alice: Any, sql: Any) -> None:
    for _ in range(18):
        await _add(alice)
    answers = await asyncio.gather(*(alice.ask("POST", "/addresses", HOME) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 422, 422, 422, 422]
    refused = next(answer.json() for answer in answers if answer.status_code == 422)
    assert (refused["code"], refused["limit"]) == ("too_many_addresses", 20)
    assert await sql.fetchval("SELECT count(*) FROM address") == 20


async def test_somebody_elses_address_does_not_exist(alice: Any, bob: Any) -> None:
    mine = await _add(alice)
    path = f"/addresses/{mine['id']}"
    for method, body in (("GET", None), ("PUT", HOME | {"isDefault": True}), ("DELETE", None)):
        answer = await bob.ask(method, path, body)
        assert (answer.status_code, answer.json()["code"]) == (404, "address_not_found")
    assert await _ids(bob) == []
    assert (await alice.ask("GET", path)).json() == mine


async def test_an_id_that_is_none_is_a_400(alice: Any) -> None:
    for which in ["0", "-1", "1.5", "abc", "9007199254740993000", "1%00", "1'--", "01"]:
        assert (await alice.ask("GET", f"/addresses/{which}")).status_code == 400


async def test_a_bad_address_names_its_field(alice: Any) -> None:
    for body, field in [
        ({"name": ""}, "name"),
        ({"name": "a\u0000"}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"phone": "not a phone"}, "phone"),
        ({"phone": "13800000000\n"}, "phone"),
        ({"detail": "\u202eabc"}, "detail"),
        ({"detail": "x" * 201}, "detail"),
        ({"province": None}, "province"),
        ({"districtCode": "33'"}, "districtCode"),
        ({"tag": "x" * 21}, "tag"),
        ({"isDefault": "yes"}, "isDefault"),
        ({"memberId": "2"}, "memberId"),
        ({"id": "2"}, "id"),
    ]:
        answer = await alice.ask("POST", "/addresses", HOME | body)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == field


async def test_addresses_need_a_member(shop: Any) -> None:
    assert (await shop.get("/addresses")).status_code == 401
    assert (await shop.post("/addresses", json=HOME)).status_code == 401
