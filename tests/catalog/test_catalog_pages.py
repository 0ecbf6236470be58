"""What is remembered of the catalog is what is so: a change is seen at once, stock within a second."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar, Router
from litestar.di import Provide

from catalog import controllers
from catalog.levels import Reading
from catalog.pages import _MOST_IN_A_BURST, Pages
from catalog.printing import printed
from catalog.schemas import ProductDetail, SkuDetail
from dev.postgres import Cluster
from kit.database import Database
from kit.news import TRUST_S, News
from kit.web import problems
from kit.web.shelf import Shelf

pytestmark = pytest.mark.anyio
MOVE = """
    WITH held AS (SELECT sku_id, location_id, available FROM stock ORDER BY sku_id FOR NO KEY UPDATE),
    moved AS (UPDATE stock s SET available = $1 FROM held h WHERE s.sku_id = h.sku_id
        RETURNING s.sku_id, s.location_id, $1 - h.available AS delta)
    INSERT INTO stock_move (sku_id, location_id, delta_available, delta_reserved, delta_sold, reason, ref, actor, at)
    SELECT sku_id, location_id, delta, 0, 0, 'counted', '', 'test', now() FROM moved
"""
Put = Callable[..., Awaitable[int]]


class Remembering:
    """The catalog as a process serves it: with a memory, and news from the database."""

    def __init__(self, http: httpx.AsyncClient, news: News, pages: Pages) -> None:
        self.http = http
        self.news = news
        self.pages = pages
        self._heard = asyncio.Event()
        news.on("test", lambda _: self._heard.set())

    async def hears(self, sql: Any) -> None:
        """Return when all that was told so far has been heard: what is remembered from now on, only new news takes away."""
        self._heard.clear()
        await sql.execute("SELECT pg_notify('test', '')")
        async with asyncio.timeout(5):
            await self._heard.wait()

    async def seen(self, product: int) -> tuple[int | None, int]:
        """Price and stock, by the product's page; no price while the list says another: one hears of it first."""
        page = (await self.http.get(f"/api/v1/products/{product}")).json()
        listed = (await self.http.get("/api/v1/products")).json()["items"]
        agreed = {item["priceFen"] for item in listed if item["id"] == str(product)} == {page["priceFen"]}
        return page["priceFen"] if agreed else None, page["stock"]

    async def until(self, holds: Callable[[], Awaitable[bool]], within_s: float = 1.0) -> None:
        async with asyncio.timeout(within_s):
            while not await holds():
                await asyncio.sleep(0.01)


async def _remembering(db: Database, news: News) -> AsyncIterator[Remembering]:
    pages = Pages(db, news)
    app = Litestar(
        [Router("/api/v1", route_handlers=controllers.ROUTES)],
        dependencies={"pages": Provide(lambda: pages, sync_to_thread=False)},
        exception_handlers=problems.HANDLERS,
        logging_config=None,
    )
    app.asgi_handler = Shelf(app.asgi_handler, pages.finds)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as http:
        made = Remembering(http, news, pages)
        listening = asyncio.create_task(news.listen())
        yield made
    listening.cancel()


@pytest.fixture
async def hearing(clean: Cluster, db: Database) -> AsyncIterator[Remembering]:
    news = News(clean.app_url())
    async for made in _remembering(db, news):
        async with asyncio.timeout(5):
            while not news.holds(float("-inf")):
                await asyncio.sleep(0.01)
        yield made


@pytest.fixture
async def deaf(db: Database) -> AsyncIterator[Remembering]:
    async for made in _remembering(db, News("postgresql://nobody@127.0.0.1:9/none")):
        yield made


async def test_a_changed_price_is_seen_at_once(hearing: Remembering, shelf: Put, sql: Any) -> None:
    product = await shelf("明前龙井", price=9900)
    await hearing.hears(sql)
    assert (await hearing.seen(product))[0] == 9900
    await sql.execute("UPDATE product SET min_price_fen = 8800, max_price_fen = 9900 WHERE id = $1", product)

    async def cheaper() -> bool:
        return (await hearing.seen(product))[0] == 8800

    await hearing.until(cheaper, 0.5)


async def test_a_price_ends_the_lists_that_show_it_and_those_that_it_may_enter(
    hearing: Remembering, shelf: Put, sql: Any
) -> None:
    """Not all there are: whoever corrects a thousand prices would have every list read anew a thousand times."""
    tea, biscuit = await shelf("明前龙井", price=9900), await shelf("黄油饼干", price=5000)
    await hearing.hears(sql)
    asked = [
        "?q=%E9%BE%99%E4%BA%95",
        "?q=%E9%A5%BC%E5%B9%B2",
        "",
        "?sort=price",
        "?maxPriceFen=6000",
        "?minPriceFen=9000",
    ]
    for query in asked:
        await hearing.http.get(f"/api/v1/products{query}")
    await sql.execute("UPDATE product SET min_price_fen = 5500, max_price_fen = 5500 WHERE id = $1", tea)
    await hearing.hears(sql)
    kept = [query for query in asked if hearing.pages._lists.find(f"/api/v1/products?{query[1:]}".encode())]
    assert kept == ["?q=%E9%A5%BC%E5%B9%B2"]
    found = [(await hearing.http.get(f"/api/v1/products{query}")).json()["items"] for query in asked]
    assert [[int(item["id"]) for item in items] for items in found] == [
        [tea], [biscuit], [biscuit, tea], [biscuit, tea], [biscuit, tea], [],
    ]  # fmt: skip
    assert {item["priceFen"] for items in found for item in items if item["id"] == str(tea)} == {5500}


async def test_a_flood_of_changed_products_ends_all_lists_at_once(hearing: Remembering, shelf: Put, sql: Any) -> None:
    """Looking for each of thousands in all of them would keep the process from everything else."""
    await shelf("明前龙井")
    await hearing.hears(sql)
    await hearing.http.get("/api/v1/products")
    hearing.pages._burst_at = float("-inf")  # what was put there counts too
    for others in range(1000, 1000 + _MOST_IN_A_BURST + 1):
        assert hearing.pages._lists.find(b"/api/v1/products?") is not None, others
        hearing.pages._product_changed(str(others))
    assert hearing.pages._lists.find(b"/api/v1/products?") is None


@pytest.mark.parametrize(
    ("change", "listed"),
    [
        ("UPDATE product SET status = 'on_sale' WHERE id = $1", True),
        ("UPDATE product SET status = 'on_sale', priority = 7 WHERE id = $1", True),
        ("UPDATE product SET description = '另一种说明' WHERE id = $1", False),
    ],
)
async def test_a_list_hears_of_what_comes_to_be_on_sale(
    hearing: Remembering, shelf: Put, sql: Any, change: str, *, listed: bool
) -> None:
    first, later = await shelf("明前龙井"), await shelf("黄油饼干")
    await sql.execute("UPDATE product SET status = 'off_sale' WHERE id = $1", later)
    await hearing.hears(sql)
    assert [item["id"] for item in (await hearing.http.get("/api/v1/products")).json()["items"]] == [str(first)]
    await sql.execute(change, later)
    await hearing.hears(sql)
    assert (hearing.pages._lists.find(b"/api/v1/products?") is None) is listed
    found = {item["id"] for item in (await hearing.http.get("/api/v1/products")).json()["items"]}
    assert found == ({str(first), str(later)} if listed else {str(first)})


async def test_a_list_hears_of_another_order(hearing: Remembering, shelf: Put, sql: Any) -> None:
    """Also one that does not show what has moved before those it shows."""
    first, second = await shelf("明前龙井"), await shelf("雨前龙井")
    for foremost in (first, second, first):
        await sql.execute(
            "UPDATE product SET priority = 1 + (SELECT max(priority) FROM product) WHERE id = $1", foremost
        )
        await hearing.hears(sql)
        listed = (await hearing.http.get("/api/v1/products?limit=1")).json()["items"]
        assert [int(item["id"]) for item in listed] == [foremost]


async def test_a_page_is_its_schema_field_by_field(hearing: Remembering, shelf: Put) -> None:
    page = (await hearing.http.get(f"/api/v1/products/{await shelf('明前龙井')}")).json()
    assert tuple(page) == ProductDetail.__struct_encode_fields__
    assert {tuple(sku) for sku in page["skus"]} == {SkuDetail.__struct_encode_fields__}
    msgspec.convert(page, ProductDetail)


async def test_without_news_a_changed_price_is_seen_within_a_second(deaf: Remembering, shelf: Put, sql: Any) -> None:
    product = await shelf("明前龙井", price=9900)
    assert (await deaf.seen(product))[0] == 9900
    await sql.execute("UPDATE product SET min_price_fen = 8800, max_price_fen = 9900 WHERE id = $1", product)
    await asyncio.sleep(TRUST_S)
    assert (await deaf.seen(product))[0] == 8800


async def test_stock_is_never_older_than_a_second(hearing: Remembering, shelf: Put, sql: Any) -> None:
    product = await shelf("明前龙井", pieces=5)
    assert (await hearing.seen(product))[1] == 5
    for pieces in (12345, 12000, 0):
        await sql.execute(MOVE, pieces)
        await asyncio.sleep(1.0)
        assert (await hearing.seen(product))[1] == pieces


async def test_what_goes_off_sale_is_gone(hearing: Remembering, shelf: Put, sql: Any) -> None:
    product = await shelf("明前龙井")
    await hearing.hears(sql)
    path = f"/api/v1/products/{product}"
    assert (await hearing.http.get(path)).status_code == 200
    await sql.execute("UPDATE product SET status = 'off_sale' WHERE id = $1", product)

    async def gone() -> bool:
        return (await hearing.http.get(path)).status_code == 404

    await hearing.until(gone)
    assert (await hearing.http.get("/api/v1/products")).json()["items"] == []


async def test_a_sku_that_is_switched_off_is_neither_shown_nor_counted(
    hearing: Remembering, shelf: Put, sql: Any
) -> None:
    product = await shelf("明前龙井", pieces=5)
    await hearing.hears(sql)
    assert (await hearing.seen(product))[1] == 5
    await sql.execute("UPDATE sku SET enabled = false WHERE product_id = $1", product)

    async def none_left() -> bool:
        page = (await hearing.http.get(f"/api/v1/products/{product}")).json()
        return page["stock"] == 0 and page["skus"] == []

    await hearing.until(none_left)


async def test_what_changes_while_it_is_read_is_not_remembered(hearing: Remembering) -> None:
    memory = hearing.pages._details
    page = printed("getProduct", b"no-cache", {}, places=())
    reading = memory.reading()
    hearing.pages._product_changed("7")
    memory.keep(b"/api/v1/products/7?", page, reading)
    assert memory.find(b"/api/v1/products/7?") is None


async def test_the_second_answer_is_the_first_and_its_tag_is_known(hearing: Remembering, shelf: Put) -> None:
    product = await shelf("明前龙井")
    for path in (f"/api/v1/products/{product}", "/api/v1/products", "/api/v1/categories"):
        first, second = await hearing.http.get(path), await hearing.http.get(path)
        assert first.content == second.content
        for name in ("etag", "cache-control", "content-type"):
            assert first.headers[name] == second.headers[name], (path, name)
        held = await hearing.http.get(path, headers={"if-none-match": first.headers["etag"]})
        assert (held.status_code, held.content) == (304, b"")


async def test_what_is_asked_with_a_lot_of_noise_takes_no_room(hearing: Remembering, shelf: Put) -> None:
    await shelf("明前龙井")
    known = hearing.pages._lists._known
    for path in ("/api/v1/products", "/api/v1/categories"):
        a_little, a_lot = (f"{path}?noise={'x' * length}" for length in (100, 600))

        async def remembered(asked: str = a_little) -> bool:
            await hearing.http.get(asked)
            return asked.encode() in known

        await hearing.until(remembered)  # news of what was put there may still be on its way
        assert (await hearing.http.get(a_lot)).status_code == 200
        assert (a_little.encode() in known, a_lot.encode() in known) == (True, False)


async def test_what_sells_is_shown_without_the_stock_being_asked_for_each_page(
    hearing: Remembering, shelf: Put, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = await shelf("明前龙井", pieces=50)

    async def vouched_for() -> bool:
        await hearing.seen(product)
        return hearing.pages._flow.moved((1,), hearing.pages._flow.turn) is not None

    await sql.execute(MOVE, 49)
    await hearing.until(vouched_for, 3)
    await asyncio.sleep(1.0)
    await hearing.seen(product)  # read anew once more: they were read before anybody could vouch for them

    async def never(_: object) -> Reading:
        raise AssertionError

    monkeypatch.setattr(hearing.pages._levels, "of", never)
    for pieces in (48, 47):
        await sql.execute(MOVE, pieces)
        await asyncio.sleep(1.0)
        assert (await hearing.seen(product))[1] == pieces
        listed = (await hearing.http.get("/api/v1/products")).json()["items"]
        assert [item["stock"] for item in listed] == [pieces]
