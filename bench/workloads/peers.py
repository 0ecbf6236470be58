"""The shop beside Vendure: the same goods, the same PostgreSQL, the same load, by turns."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from bench import generator, peer
from bench.generator import Run
from bench.ground import Ground
from bench.measuring import Row
from bench.stage import Server
from bench.workloads import notices, pages

CONNECTIONS = 16
TIMES = 10.0
_ORDERS_EACH = 10
"""Of each of Vendure's customers before their lists are looked at: half of a page, as placing them takes it long."""
_NOTICES = 2000


@dataclass(frozen=True, kw_only=True)
class _Path:
    """Something that both are asked for. `kind` is Vendure's query in `wrk/vendure.lua`."""

    kind: str
    what: str
    ours: Callable[[], Run]
    customers: str


def beside(ground: Ground) -> list[Row]:
    """What a buyer does, at both; ten times as fast is demanded. Raises Trouble."""
    peer.install()
    peer.ensure(ground.stage, ground.feed.folder, ground.size, ground.say)
    theirs = peer.serve(ground.stage, ground.feed.folder)
    try:
        rows = [row for path in _paths(ground) for row in _by_turns(ground, theirs, path)]
    finally:
        theirs.stop()
    rows[0].facts["start_s"] = round(ground.server.start_s, 1)
    rows[1].facts["start_s"] = round(theirs.start_s, 1)
    return rows


def _paths(ground: Ground) -> list[_Path]:
    feed = ground.feed
    lists = feed.lists(ground.stage, ground.database)
    details = feed.details(ground.size.products)
    orders, _ = feed.orders(ground.stage, ground.database, ground.size.signed_in)
    customers = feed.read("vendure-customers.tsv")
    browsing = feed.write("vendure-browsing.tsv", customers[: len(customers) // 2])  # with a cart of their own
    buying = feed.write("vendure-buying.tsv", customers[len(customers) // 2 :])

    def get(paths: str, skew: str = "") -> Callable[[], Run]:
        return lambda: ground.load("get.lua", connections=CONNECTIONS, BENCH_PATHS=paths, BENCH_SKEW=skew)

    return [
        _Path(kind="list", what="product list by category", ours=get(lists), customers=browsing),
        _Path(kind="detail", what="product detail, SKUs, stock", ours=get(details, pages.ZIPF), customers=browsing),
        _Path(
            kind="cart",
            what="add to cart",
            ours=lambda: ground.load("cart.lua", connections=CONNECTIONS),
            customers=browsing,
        ),
        _Path(kind="place", what="order of 3 lines placed and paid", ours=lambda: _bought(ground), customers=buying),
        _Path(kind="orders", what="orders of a member", ours=get(orders), customers=buying),
    ]


def _bought(ground: Ground) -> Run:
    """Orders placed, then as many paid by WeChat's notification: the rate at which one process after the other is done."""
    ground.clear()
    placed = ground.load("place.lua", connections=CONNECTIONS)
    paid = notices.notify(ground, _NOTICES, connections=CONNECTIONS)
    return replace(placed, rate=1 / (1 / placed.rate + 1 / paid.rate), errors=placed.errors + paid.errors)


def _by_turns(ground: Ground, server: Server, path: _Path) -> list[Row]:
    """Theirs, ours, theirs, ours …, after one run of each that does not count."""
    version = peer.version()
    theirs = Row(key=f"{path.kind}/vendure", what=f"Vendure {version}: {path.what}", target="")
    ours = Row(
        key=path.kind, what=path.what, target=f"≥ {TIMES:.0f} × Vendure", limit=f"Vendure {version}", wanted=TIMES
    )

    def ask() -> Run:
        return generator.wrk(
            "vendure.lua",
            server,
            ground.feed.folder,
            connections=CONNECTIONS,
            seconds=ground.seconds,
            postmaster=ground.stage.postmaster(),
            BENCH_KIND=path.kind,
            BENCH_CUSTOMERS=path.customers,
        )

    _warm(ground, path, ask)
    for _ in range(ground.runs):
        theirs.runs.append(ask())
        ground.stage.checkpoint()
        ours.limits.append(theirs.runs[-1].rate)
        ours.runs.append(path.ours())
        ground.stage.checkpoint()
    return [ours.judge(), theirs.judge()]


def _warm(ground: Ground, path: _Path, ask: Callable[[], Run]) -> None:
    path.ours()
    wanted = _ORDERS_EACH * (peer.CUSTOMERS // 2) if path.kind == "place" else 1
    placed = 0
    while placed < wanted:
        placed += ask().requests
        ground.say(f"{path.kind}: {placed} asked of Vendure before it counts")
