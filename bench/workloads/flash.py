"""W8: a thousand pieces, ten thousand people, one moment; and what the rest of the shop feels of it."""

import signal
from dataclasses import replace
from typing import Any

from bench import generator
from bench.data import people
from bench.data.goods import PIECES
from bench.generator import Run
from bench.ground import Ground
from bench.measuring import Row
from bench.workloads.orders import FEW
from dev.trouble import Trouble

BUYERS = 10_000
CONNECTIONS = 512
SOLD = 1_000
_LAST_S = 1.0
"""Every unit sold, and all others told (at the 99th percentile), within so many seconds."""
_PACE = 0.5
_OTHERS: Any = {"BENCH_MEMBERS": "others.tsv", "BENCH_SKUS": "other-skus.tsv"}
_OTHERS_MEANWHILE = """
    WITH sale AS (
        SELECT o.created_at AS first FROM order_line l JOIN orders o ON o.id = l.order_id
        WHERE l.sku_id = $1 AND o.state = 'unpaid' ORDER BY o.created_at LIMIT 1)
    SELECT count(*) FROM sale JOIN orders o ON o.created_at BETWEEN first AND first + $2::float8 * interval '1 second'
    WHERE o.state = 'unpaid' AND NOT EXISTS (SELECT FROM order_line l WHERE l.order_id = o.id AND l.sku_id = $1)
"""


def sale(ground: Ground) -> list[Row]:
    """W8: the sale by itself, three times; then with other orders beside it, three times."""
    if ground.size.signed_in <= BUYERS:
        raise Trouble(f"W8 needs more than {BUYERS} members who are signed in.")
    sku, fen = _last_sku(ground)
    tokens = [(people.token(member), member) for member in range(1, ground.size.signed_in + 1)]
    ground.feed.write("buyers.tsv", tokens[:BUYERS])
    ground.feed.write("others.tsv", tokens[BUYERS:])
    others = [row for row in ground.feed.read("skus.tsv") if row[0] != str(sku)]
    ground.feed.write("other-skus.tsv", others)
    row = Row(
        key="W8",
        what=f"flash sale, {BUYERS:,} buyers",
        target="sold, told in ≤ 1 s",
    )
    beside = Row(key="W8/others", what="other orders meanwhile", target="≥ 50 % of their pace")
    try:
        for _ in range(ground.runs):
            _one(ground, sku, fen, row)
            _with_others(ground, sku, fen, beside)
    finally:
        _set_stock(ground, sku, PIECES)
    return [_judged(row), _judged_pace(beside)]


def _one(ground: Ground, sku: int, fen: int, row: Row) -> None:
    _set_stock(ground, sku, SOLD)
    run = ground.once("flash.lua", connections=CONNECTIONS, BENCH_SKU=str(sku), BENCH_FEN=str(fen))
    other = BUYERS - int(run.more["s201"] + run.more["s409"])
    row.runs.append(replace(run, errors=other))  # here a 409 is a good answer
    _check(ground, sku, run, row)


def _with_others(ground: Ground, sku: int, fen: int, row: Row) -> None:
    """Other orders before the sale, and for as long as it lasts; the limit is their pace before."""
    _set_stock(ground, sku, SOLD)
    before = ground.load("place.lua", connections=FEW, **_OTHERS)
    row.limits.append(before.rate)
    feed = ground.feed.folder
    beside = generator.start_wrk("place.lua", ground.server.url, feed, connections=FEW, seconds=60.0, **_OTHERS)
    flash = ground.once("flash.lua", connections=CONNECTIONS, BENCH_SKU=str(sku), BENCH_FEN=str(fen))
    beside.send_signal(signal.SIGINT)  # it tells what it has counted so far
    during = generator.read(generator.result(beside.communicate()[0]))
    took_s = flash.more["took_us"] / 1e6
    row.runs.append(replace(during, rate=_meanwhile(ground, sku, took_s) / took_s))
    _check(ground, sku, flash, row)


def _meanwhile(ground: Ground, sku: int, took_s: float) -> int:
    """Orders of others from the sale's first one on, for as long as it took: not those before and after, at full pace."""

    async def count(connection: Any) -> int:
        return int(await connection.fetchval(_OTHERS_MEANWHILE, sku, took_s))

    return ground.stage.owner(ground.database, count)


def _check(ground: Ground, sku: int, run: Run, row: Row) -> None:
    """What was sold, by the answers and by the books."""

    async def look(connection: Any) -> tuple[int, int, int]:
        stock = await connection.fetchrow("SELECT available, reserved FROM stock WHERE sku_id = $1", sku)
        ordered = await connection.fetchval(
            "SELECT coalesce(sum(l.quantity), 0) FROM order_line l JOIN orders o ON o.id = l.order_id"
            " WHERE l.sku_id = $1 AND o.state = 'unpaid'",
            sku,
        )
        return int(stock[0]), int(stock[1]), int(ordered)

    available, reserved, ordered = ground.stage.owner(ground.database, look)
    sold, refused = int(run.more["s201"]), int(run.more["s409"])
    told = row.facts.setdefault("sales", [])
    told.append(
        {
            "201": sold,
            "409": refused,
            "other": BUYERS - sold - refused,
            "oversold": max(ordered - SOLD, 0),
            "stranded": max(SOLD - available - ordered, 0) + abs(reserved - ordered),
            "left": available,
            "sold_out_after_s": round(run.more["created_us"] / 1e6, 3),
            "all_told_after_s": round(run.more["took_us"] / 1e6, 3),
            "p99_ms": round(run.p99_ms, 1),
        }
    )


def _judged(row: Row) -> Row:
    sales = row.facts["sales"]
    slowest = sorted(one["sold_out_after_s"] for one in sales)[len(sales) // 2]
    row.passed = _right(row) and slowest <= _LAST_S and row.median("p99_ms") <= _LAST_S * 1000
    return row


def _judged_pace(row: Row) -> Row:
    row.wanted = _PACE
    row.judge()
    row.passed = row.passed is True and _right(row)
    return row


def _right(row: Row) -> bool:
    """Whether in each sale every piece was sold, none twice, and everybody told so or so."""
    return all(
        one["201"] == SOLD and not one["other"] and not one["oversold"] and not one["stranded"] and not one["left"]
        for one in row.facts["sales"]
    )


def _last_sku(ground: Ground) -> tuple[int, int]:
    async def look(connection: Any) -> tuple[int, int]:
        found = await connection.fetchrow("SELECT id, price_fen FROM sku ORDER BY id DESC LIMIT 1")
        return int(found[0]), int(found[1])

    sku, fen = ground.stage.owner(ground.database, look)
    freight = ground.preview_freight(sku)
    return sku, fen + freight


def _set_stock(ground: Ground, sku: int, pieces: int) -> None:
    """So many pieces for sale, by a correction that is logged as every movement is; earlier orders are cancelled."""

    async def work(connection: Any) -> None:
        await connection.execute(
            """
            WITH before AS (SELECT available FROM stock WHERE sku_id = $1 AND location_id = 1 FOR UPDATE),
            changed AS (UPDATE stock SET available = $2 WHERE sku_id = $1 AND location_id = 1)
            INSERT INTO stock_move
                (sku_id, location_id, delta_available, delta_reserved, delta_sold, reason, ref, actor, at)
            SELECT $1, 1, $2 - available, 0, 0, 'adjust', '', 'bench', now() FROM before WHERE available <> $2
            """,
            sku,
            pieces,
        )

    ground.clear()
    ground.stage.owner(ground.database, work)
