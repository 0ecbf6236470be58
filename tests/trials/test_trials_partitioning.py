"""Tables are divided while the shop writes into them: no row lost, nobody refused, nobody held up for long.

`--all-trials` makes the tables as large as the page `docs/growing.md` tells of; `-s` shows the figures.
"""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from peer_wire import free_environment
from processes import ROOT, broken, fetch
from till import until
from trialing import Rounds
from world import World

from dev.postgres import Cluster
from shop import schema
from shop.partitioning import TABLES

ORDERS, SKUS, PROCESSES = 200, 200, 2
STALL_S = 2.0
"""The shop's own lock_timeout: who waits longer is refused."""
_LOAD = Path(__file__).with_name("partition_load.py")
_SEED = """
    INSERT INTO category (level, name, position, hidden) VALUES (1, '茶', 0, false);
    INSERT INTO product (category_id, title, subtitle, images, detail_images, description, specs, tags, min_price_fen,
        max_price_fen, priority, sold_before, sold, status, version, search_vector, created_at, updated_at)
    VALUES (1, '龙井', '', '[]', '[]', '', '[]', '[]', 1, 1, 0, 0, 0, 'on_sale', 1, '', now(), now());
    INSERT INTO sku (product_id, position, code, options, price_fen, weight_g, enabled)
    SELECT 1, g, g, '[]', 1, 1, true FROM generate_series(1, {skus}) g;
    INSERT INTO stock_move (sku_id, location_id, delta_available, delta_reserved, delta_sold, reason, ref, actor, at)
    SELECT g % {skus} + 1, 1, 1, 0, 0, 'receive', '', 'test', now() FROM generate_series(1, {rows}) g;
    INSERT INTO stock (sku_id, location_id, available, reserved, sold)
    SELECT sku_id, 1, count(*), 0, 0 FROM stock_move GROUP BY 1;
    INSERT INTO member (created_at) VALUES (now());
    INSERT INTO orders (no, member_id, channel, source, state, goods_fen, discount_fen, freight_fen, total_fen, trace,
        address, note, pay_by, close_at, created_at)
    SELECT 'D' || g, 1, 'mini_program', '{{}}', 'cancelled', 1, 0, 0, 1, '[]', '{{}}', '', now(), now(), now()
    FROM generate_series(1, {orders}) g;
    INSERT INTO order_line (order_id, sku_id, product_id, title, options, image, unit_fen, quantity, paid_fen)
    SELECT g, 1, 1, '龙井', '[]', '', 1, 1, 1 FROM generate_series(1, {orders}) g;
    INSERT INTO order_event (order_id, what, from_state, to_state, by, facts, at)
    SELECT g % {orders} + 1, 'remark', CASE WHEN g > 2 * {orders} THEN 'cancelled' WHEN g > {orders} THEN 'unpaid' END,
        CASE WHEN g > {orders} THEN 'cancelled' ELSE 'unpaid' END, 'test', '{{}}', now()
    FROM generate_series(1, {rows}) g;
    INSERT INTO audit_entry (at, actor, action, subject_kind, subject, facts)
    SELECT now(), 'test', 'order.remark', 'order', 'D' || g % {orders} + 1, '{{}}' FROM generate_series(1, {rows}) g;"""


@pytest.fixture
def rows(rounds: Rounds) -> int:
    return rounds(50_000, 1_000_000)


@pytest.fixture
def grown(rows: int, tmp_path: Path) -> Iterator[Cluster]:
    """A database with `rows` rows in each table, and with every safety on."""

    async def seed(url: str) -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(_SEED.format(rows=rows, skus=SKUS, orders=ORDERS))
        await connection.execute("VACUUM ANALYZE")
        await connection.close()

    with Cluster(tmp_path / "pg") as cluster:
        asyncio.run(schema.migrate(cluster.owner_url(), "shop_app"))
        asyncio.run(seed(cluster.owner_url()))
        yield cluster


class Load:
    """Writers in processes of their own."""

    def __init__(self, cluster: Cluster) -> None:
        environment = {**free_environment(), "PYTHONPATH": str(ROOT)}
        self.processes = [
            subprocess.Popen(
                [sys.executable, str(_LOAD), cluster.app_url(), str(ORDERS), str(SKUS), str(number)],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number in range(PROCESSES)
        ]
        self.spans: list[tuple[float, float]] = []
        self.refused: dict[str, int] = {}

    def end(self) -> None:
        for process in self.processes:
            told = json.loads(process.communicate("", timeout=60)[0])
            self.spans += [tuple(span) for span in told["spans"]]
            self.refused |= told["refused"]

    def between(self, first: float, last: float) -> list[float]:
        """How long those transactions took that were under way then, in seconds, longest last."""
        return sorted(took for began, took in self.spans if began < last and began + took > first)


def _divide(cluster: Cluster, world: World, folder: Path, table: str) -> tuple[float, float, str]:
    urls = {"DATABASE_URL": cluster.app_url(), "DATABASE_OWNER_URL": cluster.owner_url(), "SHOP_DATA_DIR": str(folder)}
    command = [sys.executable, "-m", "shop", "partition", table, "--rows", "100000"]
    began = time.time()
    done = subprocess.run(
        command, cwd=ROOT, env=free_environment() | world.env | urls, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return began, time.time(), done.stdout


@pytest.mark.trial("R36")
def test_tables_are_divided_under_load(grown: Cluster, rows: int, wechat_world: World, tmp_path: Path) -> None:
    url = grown.owner_url()
    counted = "SELECT " + ", ".join(f"(SELECT count(*) FROM {table})" for table in TABLES)
    assert broken(url) == {}
    load = Load(grown)
    try:
        until("they write", lambda: fetch(url, counted)[0][0] > rows + 200)
        quiet = time.time()
        time.sleep(2)
        divided = {table: _divide(grown, wechat_world, tmp_path, table) for table in TABLES}
        time.sleep(1)
    finally:
        load.end()
    busy = next(iter(divided.values()))[0]
    _show("before", load.between(quiet, busy), "")
    for table, (first, last, said) in divided.items():
        _show(table, load.between(first, last), said)
        assert load.between(first, last)[-1] < STALL_S
    _show("after", load.between(last, last + 1), "")
    assert load.refused == {}
    done = len(load.spans)
    moves, events, entries = fetch(url, counted)[0]
    assert (moves, events, entries) == (rows + 4 * done, rows + done, rows + done), "a row was lost, or came twice"
    assert broken(url) == {}
    assert (
        fetch(url, "SELECT count(*) FROM pg_class WHERE relkind = 'p' AND relname = ANY($1)", list(TABLES))[0][0] == 3
    )


def _show(what: str, took: list[float], said: str) -> None:
    middle, most = took[len(took) // 2] * 1000, took[len(took) * 99 // 100] * 1000
    print(f"{what}: {len(took)} transactions, p50 {middle:.1f} p99 {most:.1f} longest {took[-1] * 1000:.1f} ms", said)
