"""What members buy: the cart, placing, and looking at what was ordered."""

from bench.generator import Run
from bench.ground import Ground
from bench.measuring import Row, by_turns

CONNECTIONS = 64
FEW, MANY = 32, 128
_WARM = 200
"""Transactions of each of pgbench's clients before what counts."""


def cart(ground: Ground) -> list[Row]:
    """W4: one piece of a SKU into a member's cart; the answer is the whole cart."""
    row = Row(
        key="W4",
        what="add to cart",
        target="≥ 50 % of pgbench",
        limit="pgbench, 8 clients",
        wanted=0.5,
    )
    ground.load("cart.lua", connections=CONNECTIONS, seconds=1)
    ground.statements("cart.sql", each=_WARM)
    load = lambda: ground.load("cart.lua", connections=CONNECTIONS)  # noqa: E731 - said once
    by_turns([(row, load)], lambda: ground.statements("cart.sql"), ground.runs)
    return [row]


def place(ground: Ground) -> list[Row]:
    """W5: orders of three lines, each with a fresh key, by members in turn."""
    rows = [
        Row(
            key=f"W5/{connections}",
            what=f"place order, {connections} connections",
            target=f"≥ {wanted * 100:.0f} % of pgbench",
            limit="pgbench, 8 clients",
            wanted=wanted,
        )
        for connections, wanted in ((FEW, 0.4), (MANY, 0.7))
    ]
    ground.clear()
    placing(ground, FEW, seconds=1)
    ground.statements("place.sql", each=_WARM)
    by_turns(
        [(rows[0], lambda: placing(ground, FEW)), (rows[1], lambda: placing(ground, MANY))],
        lambda: ground.statements("place.sql"),
        ground.runs,
    )
    return rows


def placing(ground: Ground, connections: int, seconds: float | None = None) -> Run:
    """One run of W5."""
    return ground.load("place.lua", connections=connections, seconds=seconds)


def look(ground: Ground) -> list[Row]:
    """W6: a member's order list of up to 20 with lines; the newest order of a member with all that belongs to it."""
    paths = ground.feed.orders(ground.stage, ground.database, ground.size.signed_in)
    asked = len(ground.feed.read(paths[1]))
    rows = []
    for kind, what, listed in zip(("list", "detail"), ("order list of a member", "order detail"), paths, strict=True):
        row = Row(
            key=f"W6/{kind}",
            what=what,
            target="≥ 50 % of pgbench",
            limit="pgbench, 8 clients",
            wanted=0.5,
        )
        looking(ground, listed, seconds=1)
        ground.statements(f"order-{kind}.sql", each=_WARM, asked=asked)
        by_turns(
            [(row, lambda listed=listed: looking(ground, listed))],  # type: ignore[misc]
            lambda kind=kind: ground.statements(f"order-{kind}.sql", asked=asked),  # type: ignore[misc]
            ground.runs,
        )
        rows.append(row)
    for statement in ("columns", "joined"):  # what the same orders cost that are read otherwise
        rows[0].facts[f"pgbench, {statement}"] = round(ground.statements(f"order-list-{statement}.sql"))
    return rows


def looking(ground: Ground, paths: str, seconds: float | None = None) -> Run:
    """One run of W6."""
    return ground.load("get.lua", connections=CONNECTIONS, seconds=seconds, BENCH_PATHS=paths)
