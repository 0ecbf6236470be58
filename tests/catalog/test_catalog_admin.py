"""What staff do: products, categories, stock; each change audited, each mistake named."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.anyio
Ask = Callable[..., Awaitable[httpx.Response]]
Shelf = Callable[..., Awaitable[int]]

SPECS = [
    {"id": "color", "name": "颜色", "values": [{"id": "red", "name": "红"}, {"id": "blue", "name": "蓝"}]},
    {"id": "size", "name": "尺码", "values": [{"id": "m", "name": "M"}]},
]


def sku(code: str, color: str, price_fen: int = 9900, **more: Any) -> dict[str, Any]:
    options = [{"specId": "size", "valueId": "m"}, {"specId": "color", "valueId": color}]
    return {"code": code, "options": options, "priceFen": price_fen, "weightG": 200, **more}


async def category(staff: Ask, name: str = "服饰", **more: Any) -> str:
    answer = await staff("POST", "/categories", {"name": name, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def shirt(staff: Ask, **more: Any) -> dict[str, Any]:
    return {
        "title": "纯棉T恤",
        "categoryId": await category(staff),
        "images": ["/media/a.svg"],
        "specs": SPECS,
        "skus": [sku("T-R", "red"), sku("T-B", "blue", 12900, listPriceFen=15900)],
        **more,
    }


async def test_a_product_from_draft_to_sale_and_back(web: httpx.AsyncClient, staff: Ask, sql: Any) -> None:
    made = (await staff("POST", "/products", await shirt(staff))).json()

    assert (made["status"], made["version"]) == ("draft", 1)
    assert (made["priceFen"], made["maxPriceFen"], made["listPriceFen"]) == (9900, 12900, None)
    names = [[option["name"] for option in one["options"]] for one in made["skus"]]
    assert names == [["红", "M"], ["蓝", "M"]]
    assert (await web.get(f"/api/v1/products/{made['id']}")).status_code == 404

    assert (await staff("POST", f"/products/{made['id']}/off-sale")).json()["code"] == "illegal_product_move"
    assert (await staff("POST", f"/products/{made['id']}/on-sale")).json()["status"] == "on_sale"
    assert (await staff("POST", f"/products/{made['id']}/on-sale")).status_code == 200
    assert (await web.get(f"/api/v1/products/{made['id']}")).json()["specs"][0]["name"] == "颜色"
    assert (await staff("POST", f"/products/{made['id']}/off-sale")).json()["status"] == "off_sale"
    assert (await web.get(f"/api/v1/products/{made['id']}")).status_code == 404

    entries = await sql.fetch(
        "SELECT actor, action, subject FROM audit_entry WHERE subject_kind = 'product' ORDER BY id"
    )
    assert {entry["actor"] for entry in entries} == {"staff:7"}
    assert [entry["action"] for entry in entries][:2] == ["product.create", "product.on_sale"]


async def test_replacing_changes_adds_and_disables(web: httpx.AsyncClient, staff: Ask) -> None:
    body = await shirt(staff)
    made = (await staff("POST", "/products", body)).json()
    await staff("POST", f"/products/{made['id']}/on-sale")
    red, blue = made["skus"]
    cotton = [{**SPECS[0], "values": [*SPECS[0]["values"], {"id": "white", "name": "白"}]}, SPECS[1]]
    wish = {
        **body,
        "title": "长袖衬衫",
        "specs": cotton,
        "skus": [sku("T-W", "white", 5900), {**sku("T-B2", "blue", 8900), "id": blue["id"]}],
        "version": 2,
    }

    after = (await staff("PUT", f"/products/{made['id']}", wish)).json()

    assert [(one["code"], one["enabled"], one["priceFen"]) for one in after["skus"]] == [
        ("T-W", True, 5900),
        ("T-B2", True, 8900),
        ("T-R", False, 9900),
    ]
    assert after["skus"][2]["id"] == red["id"]
    assert (after["priceFen"], after["maxPriceFen"], after["version"]) == (5900, 8900, 3)
    stale = await staff("PUT", f"/products/{made['id']}", wish)
    assert (stale.status_code, stale.json()["code"], stale.json()["version"]) == (409, "product_changed", 3)
    seen = (await web.get(f"/api/v1/products/{made['id']}")).json()
    assert len(seen["skus"]) == 2
    assert [item["title"] for item in (await web.get("/api/v1/products?q=衬衫")).json()["items"]] == ["长袖衬衫"]
    assert (await web.get("/api/v1/products?q=纯棉")).json()["items"] == []


async def test_of_two_who_replace_it_at_once_the_second_is_told(staff: Ask, sql: Any) -> None:
    """Both have read version 1, and both wait for the same row."""
    body = await shirt(staff)
    made = (await staff("POST", "/products", body)).json()
    skus = [{**sku("T-R", "red", 5900), "id": made["skus"][0]["id"]}]
    wishes = [{**body, "title": title, "version": 1, "skus": skus} for title in ("甲", "乙")]
    async with sql.transaction():
        await sql.execute("SELECT FROM product WHERE id = $1 FOR UPDATE", int(made["id"]))
        both = [asyncio.create_task(staff("PUT", f"/products/{made['id']}", wish)) for wish in wishes]
        async with asyncio.timeout(10):
            while await sql.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") < len(both):
                await asyncio.sleep(0.01)
    answers = [await one for one in both]
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    kept = (await staff("GET", f"/products/{made['id']}")).json()
    assert [kept["title"]] == [answer.json()["title"] for answer in answers if answer.status_code == 200]
    assert kept["version"] == 2


MISTAKES: list[tuple[dict[str, Any], int, str, str | None]] = [
    ({"categoryId": "999999"}, 422, "unknown_category", None),
    ({"skus": [sku("T-R", "red"), sku("T-R", "blue")]}, 409, "duplicate_code", None),
    ({"skus": [sku("T-R", "red", 0)]}, 400, "invalid_input", "skus[0].priceFen"),
    ({"skus": [sku("T-R", "red", -1)]}, 400, "invalid_input", "skus[0].priceFen"),
    ({"skus": [sku("T-R", "red", 99, listPriceFen=98)]}, 400, "invalid_input", "skus[0].listPriceFen"),
    ({"skus": [sku("T-R", "green")]}, 400, "invalid_input", "skus[0].options"),
    ({"skus": [sku("T-R", "red"), sku("T-B", "red")]}, 400, "invalid_input", "skus[1].options"),
    ({"skus": [{"code": "X", "priceFen": 1}]}, 400, "invalid_input", "skus[0].options"),
    ({"skus": []}, 400, "invalid_input", "skus"),
    ({"skus": [sku("T-R", "red", id="1")]}, 400, "invalid_input", "skus[0].id"),
    ({"specs": [SPECS[0], SPECS[0]]}, 400, "invalid_input", "specs"),
    ({"title": "a\0b"}, 400, "invalid_input", "title"),
    ({"images": ["javascript:alert(1)"]}, 400, "invalid_input", "images[0]"),
    ({"colour": 1}, 400, "invalid_input", "colour"),
]


async def test_mistakes_are_named(staff: Ask, sql: Any) -> None:
    body = await shirt(staff)
    for change, status, code, field in MISTAKES:
        answer = await staff("POST", "/products", {**body, **change})

        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        if field:
            assert answer.json()["errors"][0]["field"] == field
    assert await sql.fetchval("SELECT count(*) FROM product") == 0
    assert await sql.fetchval("SELECT count(*) FROM audit_entry WHERE action = 'product.create'") == 0


async def test_a_code_belongs_to_one_sku(staff: Ask) -> None:
    await staff("POST", "/products", await shirt(staff))
    answer = await staff("POST", "/products", await shirt(staff))
    assert (answer.status_code, answer.json()["codes"]) == (409, "T-B, T-R")


async def test_nothing_to_sell_does_not_go_on_sale(staff: Ask) -> None:
    made = (await staff("POST", "/products", await shirt(staff, images=[]))).json()
    answer = await staff("POST", f"/products/{made['id']}/on-sale")
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_sell")
    assert (await staff("POST", "/products/999/on-sale")).json()["code"] == "no_such_product"


async def test_staff_see_every_state_by_pages(staff: Ask, shelf: Shelf) -> None:
    for title in ("甲茶", "乙茶", "丙"):
        await shelf(title, pieces=4)
    await staff("POST", "/products", await shirt(staff))

    first = (await staff("GET", "/products?limit=3")).json()
    rest = (await staff("GET", f"/products?limit=3&cursor={first['nextCursor']}")).json()

    assert [row["title"] for row in first["items"] + rest["items"]] == ["纯棉T恤", "丙", "乙茶", "甲茶"]
    assert rest["nextCursor"] is None
    assert first["items"][1]["stock"] == 4
    assert [row["title"] for row in (await staff("GET", "/products?status=draft")).json()["items"]] == ["纯棉T恤"]
    assert [row["title"] for row in (await staff("GET", "/products?q=茶")).json()["items"]] == ["乙茶", "甲茶"]
    assert (await staff("GET", "/products?status=gone")).status_code == 400


async def test_categories_go_three_deep(staff: Ask) -> None:
    one = await category(staff, "一")
    two = await category(staff, "二", parentId=one)
    three = await category(staff, "三", parentId=two)

    assert (await staff("POST", "/categories", {"name": "四", "parentId": three})).json()["code"] == "too_deep"
    assert (await staff("POST", "/categories", {"name": "四", "parentId": "99"})).json()["code"] == "no_such_category"
    loop = await staff("PUT", f"/categories/{one}", {"name": "一", "parentId": three})
    assert (loop.status_code, loop.json()["code"]) == (422, "too_deep")
    moved = (await staff("PUT", f"/categories/{three}", {"name": "三", "parentId": one, "hidden": True})).json()
    assert (moved["level"], moved["parentId"], moved["hidden"]) == (2, one, True)
    assert [row["level"] for row in (await staff("GET", "/categories")).json()["items"]] == [1, 2, 2]


async def test_stock_is_adjusted_once_per_key(staff: Ask, sql: Any) -> None:
    made = (await staff("POST", "/products", await shirt(staff))).json()
    path = f"/stock/{made['skus'][0]['id']}"
    key = {"Idempotency-Key": "delivery-0001"}

    for _ in range(2):
        answer = await staff("POST", f"{path}/adjust", {"delta": 10, "reason": "到货"}, **key)
        assert answer.json()["available"] == 10
    other = await staff("POST", f"{path}/adjust", {"delta": 11, "reason": "到货"}, **key)
    assert other.json()["code"] == "key_reused"
    below = await staff("POST", f"{path}/adjust", {"delta": -11, "reason": "破损"}, **{"Idempotency-Key": "damage-01"})
    assert (below.status_code, below.json()["code"], below.json()["available"]) == (409, "below_zero", 10)
    counted = await staff("PUT", path, {"available": 7, "reason": "盘点"}, **{"Idempotency-Key": "count-0001"})
    assert counted.json()["available"] == 7

    view = (await staff("GET", f"{path}?limit=1")).json()
    assert (view["level"]["available"], view["items"][0]["deltaAvailable"], view["items"][0]["reason"]) == (
        7,
        -3,
        "盘点",
    )
    older = (await staff("GET", f"{path}?limit=1&cursor={view['nextCursor']}")).json()
    assert (older["items"][0]["deltaAvailable"], older["items"][0]["actor"]) == (10, "staff:7")
    assert await sql.fetchval("SELECT count(*) FROM audit_entry WHERE subject_kind = 'sku'") == 2


async def test_only_whole_pieces(staff: Ask) -> None:
    for delta in ("5", 1.5, 2**63, None, True):
        answer = await staff("POST", "/stock/1/adjust", {"delta": delta, "reason": "x"}, **{"Idempotency-Key": "k" * 8})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "delta"), delta


async def test_stock_of_nothing_is_not_found(staff: Ask) -> None:
    assert (await staff("GET", "/stock/99")).json()["code"] == "no_such_sku"
    answer = await staff("POST", "/stock/99/adjust", {"delta": 1, "reason": "x"}, **{"Idempotency-Key": "k" * 8})
    assert (answer.status_code, answer.json()["code"]) == (404, "no_such_sku")
    no_key = await staff("POST", "/stock/99/adjust", {"delta": 1, "reason": "x"})
    assert no_key.status_code == 400


async def test_readers_may_not_write(staff: Ask) -> None:
    writes = ["POST /products", "PUT /products/1", "POST /products/1/on-sale", "POST /products/1/off-sale",
              "POST /categories", "PUT /categories/1", "POST /stock/1/adjust", "PUT /stock/1"]  # fmt: skip
    for write in writes:
        answer = await staff(*write.split(), {}, **{"x-staff": "catalog.read", "Idempotency-Key": "k" * 8})
        assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted"), write


async def test_pictures(web: httpx.AsyncClient, tmp_path: Path) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "a.svg").write_text("<svg/>")
    (folder / "a.html").write_text("<script>")
    (tmp_path / "secret.svg").write_text("secret")
    (folder / "link.svg").symlink_to(tmp_path / "secret.svg")

    answer = await web.get("/media/a.svg?imageMogr2/thumbnail/200x")

    assert (answer.status_code, answer.text) == (200, "<svg/>")
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("inline")
    for name in ("b.svg", "a.html", "link.svg", "..%2fsecret.svg", "%2e%2e/secret.svg", ".a.svg", "a.svg%00", "%ff"):
        assert (await web.get(f"/media/{name}")).status_code == 404, name
