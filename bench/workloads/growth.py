"""W10: the same loads on a hundred times as many products, and on a million orders instead of none."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bench import filling
from bench.data import goods, history
from bench.feeding import Feed
from bench.generator import Run
from bench.ground import Ground
from bench.measuring import Row, by_turns
from bench.size import Size
from bench.workloads import pages
from bench.workloads.orders import FEW, looking, placing

_SLOWER = 1.3
_TIMES = 10
"""The small shop has a tenth of the products of all other workloads, the large one ten times as many."""
_FILLS = 3
_OWNERS = 1_000
"""Whose orders are looked at, in both; they have 25 each, so that a page is full."""


def slower(ground: Ground) -> list[Row]:
    """W1, W2, W5 and W6 by turns on a small shop and on a large one."""
    small, large = _grounds(ground)
    try:
        return [*_pages(small, large), *_placing(small, large), *_looking(small, large)]
    finally:
        small.close()
        large.close()


def _grounds(ground: Ground) -> tuple[Ground, Ground]:
    ground.close()
    size = ground.size
    sizes = {
        "small": replace(size, products=size.products // _TIMES, orders=0),
        "large": replace(size, products=size.products * _TIMES),
    }
    made = []
    for name, wanted in sizes.items():
        filling.ensure(ground.stage, name, wanted, ground.say, like=ground.database if name == "large" else None)
    for name, wanted in sizes.items():
        feed = Feed(ground.folder / f"feed-{name}")
        feed.basics(ground.stage, name, size.signed_in)
        made.append(replace(ground, database=name, size=wanted, feed=feed))
    return made[0], made[1]


def _pages(small: Ground, large: Ground) -> list[Row]:
    lists = small.feed.lists(small.stage, small.database, levels=(1, 2))
    large.feed.write(lists, list(small.feed.read(lists)))  # the same categories, ever fuller
    details = small.feed.details(small.size.products)
    large.feed.details(large.size.products)

    def page(paths: str, skew: str = "", new: str = "") -> Callable[[Ground], Run]:
        asked: Any = {"BENCH_PATHS": paths, "BENCH_SKEW": skew, "BENCH_NEW": new}
        return lambda one: one.load("get.lua", connections=pages.CONNECTIONS, **asked)

    return [
        _compare("W1", "product list", small, large, page(lists)),
        _compare("W1/new", "lists that nobody remembers", small, large, page(lists, new="1")),
        _compare("W2", "product detail, by Zipf", small, large, page(details, pages.ZIPF)),
        _compare("W2/alike", "every product alike", small, large, page(details), demanded=False),
    ]


def _placing(small: Ground, large: Ground) -> list[Row]:
    small.clear()
    large.clear()
    return [_compare("W5", "place order", small, large, lambda one: placing(one, FEW))]


def _looking(small: Ground, large: Ground) -> list[Row]:
    """Of a shop without orders none can be looked at: the small one gets those of a few members."""
    _few_orders(small)
    paths = [one.feed.orders(one.stage, one.database, _OWNERS)[0] for one in (small, large)]
    return [_compare("W6", "order list", small, large, lambda one: looking(one, paths[0]))]


def _few_orders(small: Ground) -> None:
    size = Size(products=small.size.products, orders=_OWNERS * 25, members=_OWNERS, signed_in=_OWNERS)

    async def work(connection: Any) -> None:
        before = int(await connection.fetchval("SELECT coalesce(max(id), 0) FROM orders"))
        await history.past(connection, size, small.stage.merchant.mchid, range(1), before=before)
        await goods.follow(connection, "orders")
        await connection.execute("ANALYZE")

    small.clear()
    small.stage.owner(small.database, work)


def _compare(
    key: str, what: str, small: Ground, large: Ground, load: Callable[[Ground], Run], *, demanded: bool = True
) -> Row:
    row = Row(
        key=f"W10/{key}",
        what=f"{what}, as it grows",
        target=f"≤ {_SLOWER} × slower" if demanded else "report",
        limit="the same on little data",
        wanted=1 / _SLOWER if demanded else None,
    )
    for one in (small, large):
        for _ in range(_FILLS):
            load(one)  # uncounted: what fills by use is full when it counts
        # Plans made for an empty table hold until statistics say otherwise; autovacuum would see to that in a minute.
        one.stage.owner(one.database, lambda connection: connection.execute("ANALYZE"))
    by_turns([(row, lambda: load(large))], lambda: load(small).rate, large.runs)
    row.facts["from"] = f"{small.size.products:,} products and no orders"
    row.facts["to"] = f"{large.size.products:,} products and {large.size.orders:,} orders"
    if row.ratio:
        row.facts["times slower"] = round(1 / row.ratio, 2)
    return row
