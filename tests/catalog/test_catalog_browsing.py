"""What a buyer sees: categories, lists, search, a product's page."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from catalog import categories, popularity, search, stock
from kit.clock import ManualClock
from kit.database import Database

pytestmark = pytest.mark.anyio
Shelf = Callable[..., Awaitable[int]]
Stocked = Callable[..., Awaitable[list[int]]]


async def titles(web: httpx.AsyncClient, **query: Any) -> list[str]:
    answer = await web.get("/api/v1/products", params=query)
    assert answer.status_code == 200, answer.text
    return [item["title"] for item in answer.json()["items"]]


async def walk(web: httpx.AsyncClient, **query: Any) -> list[str]:
    """All pages."""
    found: list[str] = []
    while True:
        page = (await web.get("/api/v1/products", params=query)).json()
        found += [item["title"] for item in page["items"]]
        if page["nextCursor"] is None:
            return found
        query["cursor"] = page["nextCursor"]


async def test_the_tree_hides_what_is_hidden_and_all_below(web: httpx.AsyncClient, db: Database) -> None:
    async with db.begin() as session:

        async def make(parent: int | None, name: str, *, position: int = 0, hidden: bool = False) -> int:
            made = await categories.create(
                session, parent_id=parent, name=name, image=None, position=position, hidden=hidden
            )
            return made.id

        await make(None, "咖啡", position=2)
        tea = await make(None, "茶", position=1)
        green = await make(tea, "绿茶")
        await make(green, "龙井")
        secret = await make(None, "内购", hidden=True)
        await make(secret, "尾货")

    answer = await web.get("/api/v1/categories")

    tree = answer.json()["items"]
    assert [node["name"] for node in tree] == ["茶", "咖啡"]
    assert tree[0]["children"][0]["children"][0]["name"] == "龙井"
    assert answer.headers["cache-control"] == "public, max-age=60"
    again = await web.get("/api/v1/categories", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_a_list_item_has_what_a_card_shows(web: httpx.AsyncClient, shelf: Shelf) -> None:
    product = await shelf("明前龙井", price=9900, pieces=3, tags=["新茶"])

    (item,) = (await web.get("/api/v1/products")).json()["items"]

    sku = (await web.get(f"/api/v1/products/{product}")).json()["skus"][0]["id"]
    assert item == {
        "id": str(product),
        "title": "明前龙井",
        "subtitle": "",
        "image": "/media/a.svg",
        "priceFen": 9900,
        "maxPriceFen": 9900,
        "listPriceFen": None,
        "tags": ["新茶"],
        "sold": 0,
        "stock": 3,
        "skuId": sku,
    }


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("price", ["甲", "丙", "乙", "丁"]),
        ("-price", ["丁", "乙", "丙", "甲"]),
        ("-new", ["丁", "丙", "乙", "甲"]),
        ("-sold", ["乙", "丁", "丙", "甲"]),
        ("default", ["丙", "乙", "丁", "甲"]),
    ],
)
async def test_each_sort_by_pages(
    web: httpx.AsyncClient, shelf: Shelf, sql: Any, sort: str, expected: list[str]
) -> None:
    await shelf("甲", price=100)
    second = await shelf("乙", price=300)
    await shelf("丙", price=200, priority=9)
    await shelf("丁", price=300)
    await sql.execute("UPDATE product SET sold = 7 WHERE id = $1", second)

    assert await titles(web, sort=sort) == expected
    assert await walk(web, sort=sort, limit=1) == expected
    assert await walk(web, sort=sort, limit=3) == expected


async def test_filters(web: httpx.AsyncClient, shelf: Shelf, db: Database) -> None:
    async with db.begin() as session:
        tea = await categories.create(session, parent_id=None, name="茶", image=None, position=0, hidden=False)
        green = await categories.create(session, parent_id=tea.id, name="绿", image=None, position=0, hidden=False)
        deep = await categories.create(session, parent_id=green.id, name="西湖", image=None, position=0, hidden=False)
    await shelf("龙井", price=9900, category=deep.id)
    await shelf("碧螺春", price=5000, category=green.id, pieces=0)
    await shelf("蓝山咖啡", price=20000)

    assert set(await titles(web, categoryId=tea.id)) == {"龙井", "碧螺春"}
    assert await titles(web, categoryId=deep.id) == ["龙井"]
    assert await titles(web, categoryId=999) == []
    assert await titles(web, categoryId=tea.id, inStock="true") == ["龙井"]
    assert set(await titles(web, minPriceFen=5000, maxPriceFen=9900)) == {"龙井", "碧螺春"}
    assert await titles(web, q="井", minPriceFen=5001, inStock="true", sort="price", categoryId=tea.id) == ["龙井"]


async def test_search_finds_chinese_and_english(web: httpx.AsyncClient, shelf: Shelf) -> None:
    await shelf("明前龙井 绿茶礼盒", subtitle="西湖核心产区")
    await shelf("AirPods 保护套", tags=["T恤同款"])
    await shelf("手冲咖啡壶", subtitle="配龙井茶也好")

    assert await titles(web, q="龙井") == ["明前龙井 绿茶礼盒", "手冲咖啡壶"]  # the title's hit comes first
    assert await titles(web, q="龙") == ["明前龙井 绿茶礼盒", "手冲咖啡壶"]
    assert await walk(web, q="龙井", limit=1) == ["明前龙井 绿茶礼盒", "手冲咖啡壶"]
    assert await titles(web, q="明前龙井") == ["明前龙井 绿茶礼盒"]
    assert await titles(web, q="绿茶 西湖") == ["明前龙井 绿茶礼盒"]
    for words in ("airpods", "AIRP", "ａｉｒ", "ai", "保护 air"):
        assert await titles(web, q=words) == ["AirPods 保护套"], words
    assert await titles(web, q="t恤") == ["AirPods 保护套"]
    assert await titles(web, q="井龙") == []
    assert len(await titles(web, q="   ")) == 3


async def test_operators_in_a_search_are_harmless(web: httpx.AsyncClient, shelf: Shelf) -> None:
    await shelf("明前龙井")

    for words in ("%", "_", "\\", "'", "''", "\\'", "' | '", "a' & !b", ":*", "&", "|", "(", "<->", "'x':*", "😀", ";"):
        answer = await web.get("/api/v1/products", params={"q": words})
        assert (answer.status_code, answer.json()) == (200, {"items": [], "nextCursor": None}), words


NONSENSE: list[dict[str, Any]] = [
    {"q": "茶" * 65},
    {"q": "a\0b"},
    {"sort": "updatexml(1)"},
    {"sort": "1;select pg_sleep(5)"},
    {"limit": 0},
    {"limit": 101},
    {"limit": "10**6"},
    {"categoryId": "1 or 1=1"},
    {"categoryId": "0"},
    {"minPriceFen": -1},
    {"maxPriceFen": "9" * 30},
    {"cursor": "abc"},
    {"cursor": "W10"},
    {"cursor": "'"},
    {"inStock": "maybe"},
]


async def test_what_makes_no_sense_is_refused_by_name(web: httpx.AsyncClient) -> None:
    for query in NONSENSE:
        answer = await web.get("/api/v1/products", params=query)

        assert answer.status_code == 400, (query, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        field = answer.json()["errors"][0]["field"]
        assert field.replace("_", "").lower() == next(iter(query)).lower()


async def test_a_cursor_belongs_to_its_sort(web: httpx.AsyncClient, shelf: Shelf) -> None:
    for title in ("甲", "乙"):
        await shelf(title)
    cursor = (await web.get("/api/v1/products", params={"sort": "price", "limit": 1})).json()["nextCursor"]

    assert (await web.get("/api/v1/products", params={"sort": "price", "cursor": cursor})).status_code == 200
    for query in ({"sort": "-price"}, {"sort": "-new"}, {}, {"q": "甲"}):
        answer = await web.get("/api/v1/products", params=query | {"cursor": cursor})
        assert answer.status_code == 400, query
        assert answer.json()["errors"][0]["field"] == "cursor"


async def test_detail_in_one_call(web: httpx.AsyncClient, stocked: Stocked, sql: Any) -> None:
    first, second = await stocked(5, 2)
    product = await sql.fetchval("SELECT product_id FROM sku WHERE id = $1", first)

    answer = await web.get(f"/api/v1/products/{product}")

    found = answer.json()
    assert (found["priceFen"], found["maxPriceFen"], found["stock"]) == (100, 200, 7)
    assert [(sku["id"], sku["stock"]) for sku in found["skus"]] == [(str(first), 5), (str(second), 2)]
    assert found["skus"][0]["options"] == [{"specId": "1", "valueId": "0", "name": "罐0"}]
    held = {"if-none-match": answer.headers["etag"]}
    assert (await web.get(f"/api/v1/products/{product}", headers=held)).status_code == 304
    await sql.execute("UPDATE stock SET available = 4 WHERE sku_id = $1", first)
    assert (await web.get(f"/api/v1/products/{product}", headers=held)).status_code == 200


@pytest.mark.parametrize("status", ["draft", "off_sale"])
async def test_what_is_not_on_sale_is_not_there(web: httpx.AsyncClient, shelf: Shelf, sql: Any, status: str) -> None:
    product = await shelf("甲")
    await sql.execute("UPDATE product SET status = $1", status)

    answer = await web.get(f"/api/v1/products/{product}")

    assert (answer.status_code, answer.json()["code"]) == (404, "product_not_found")
    assert await titles(web) == []
    assert (await web.get("/api/v1/products/9007199254740991")).status_code == 404
    assert (await web.get("/api/v1/products/abc")).status_code == 400


async def test_lists_learn_what_was_sold(
    web: httpx.AsyncClient, db: Database, clock: ManualClock, stocked: Stocked, sql: Any
) -> None:
    first, second = await stocked(5, 5)
    await sql.execute("UPDATE product SET sold_before = 100, sold = 100")
    async with db.begin() as session:
        wants = [stock.Want(first, 2), stock.Want(second, 1)]
        await stock.reserve(session, wants, ref="o", actor="member:1", at=clock.now())
        await stock.sell(session, wants, ref="o", actor="worker", at=clock.now())
        await popularity.refresh(session)

    assert (await web.get("/api/v1/products")).json()["items"][0]["sold"] == 103


def test_terms_hold_nothing_but_letters_and_digits() -> None:
    assert search.document("ＡirPods Pro2 龙井", ["'; DROP", "龙"]) == (
        "'2':1A 'airpods':1A 'pro':1A 'pro2':1A '井':1A '龙':1A '龙井':1A 'drop':1"
    )
    assert search.queries("龙井茶 Air") == ("'龙井' & '井茶' & 'air':*", "'龙井':A & '井茶':A & 'air':*A")
    assert search.queries("%_'\\") is None
