"""The schema goes on to the newest revision while the shop sells and somebody reads for long: no request is refused."""

import asyncio
import threading
import time
from collections.abc import Iterator

import asyncpg
import pytest
from alembic.script import ScriptDirectory
from battle import Battle, crowd
from processes import broken, name
from till import until
from trialing import Rounds
from world import World

from dev.postgres import Cluster
from shop import schema

BEFORE = "0014"
"""The newest revision without which the processes of today cannot serve: those of before are they."""
HOLDS_S = 5.0
"""So long somebody reads in one transaction, as a dump does: longer than anybody of the shop would wait."""
MOST_S = 3.0
_OLD_TRADE = """
    WITH people AS (
        INSERT INTO member (created_at) SELECT now() FROM generate_series(1, $1::int / 10) RETURNING id
    ), numbered AS (SELECT id, row_number() OVER () AS n FROM people)
    INSERT INTO orders (no, member_id, channel, source, state, goods_fen, discount_fen, freight_fen, total_fen,
        trace, address, note, pay_by, close_at, created_at, cancelled_at)
    SELECT 'OLD' || n || '-' || i, id, 'mini_program', '{}', 'cancelled', 100, 0, 0, 100, '[]', '{}', '', now(), now(),
        now(), now() FROM numbered, generate_series(1, 10) i"""


@pytest.fixture
def before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Battle]:
    """A shop whose schema is that of some revisions ago."""
    folder = tmp_path_factory.mktemp("migrating")
    world = World(folder / "sandbox")
    try:
        with Cluster(folder / "pg") as cluster:
            asyncio.run(schema.migrate(cluster.owner_url(), "shop_app", to=BEFORE))
            made = Battle(folder, cluster, world)
            yield made
            made.stop()
    finally:
        world.stop()


class Shoppers:
    """They ask once each time, and remember what they were told and how long it took."""

    def __init__(self, battle: Battle, size: int) -> None:
        self.buyers = [battle.buyer(name("shopper"), number % 2) for number in range(size)]
        self.wishes = [buyer.wish(buyer.some_sku(30)["id"]) for buyer in self.buyers]
        self.over = threading.Event()
        self.told: list[tuple[int, str]] = []
        self.longest_s = 0.0
        self.placed = 0

    def act(self, number: int) -> None:
        buyer = self.buyers[number]
        while not self.over.wait(0.05):
            began = time.monotonic()
            answer = buyer.post("/api/v1/orders", self.wishes[number])
            if answer.status_code == 201:
                self.placed += 1
                answer = buyer.post(f"/api/v1/orders/{answer.json()['no']}/cancel", {})
            self.longest_s = max(self.longest_s, (time.monotonic() - began) / 2)
            if answer.status_code != 200:
                self.told.append((answer.status_code, answer.text))


async def _read_for_long(battle: Battle, begun: asyncio.Event) -> None:
    connection = await asyncpg.connect(battle.owner_url)
    try:
        async with connection.transaction():
            await connection.fetch("SELECT count(*) FROM member")
            await connection.fetch("SELECT count(*) FROM orders")
            begun.set()
            await asyncio.sleep(HOLDS_S)
    finally:
        await connection.close()


async def _migrate_beside_readers(battle: Battle) -> list[float]:
    """One revision after the other, each beside somebody who reads; how long each took."""
    scripts = ScriptDirectory.from_config(schema.config())
    revisions = [script.revision for script in scripts.walk_revisions()][::-1]
    took = []
    for revision in revisions[revisions.index(BEFORE) + 1 :]:
        begun = asyncio.Event()
        reader = asyncio.create_task(_read_for_long(battle, begun))
        async with asyncio.timeout(30):
            await begun.wait()
        began = time.monotonic()
        await schema.migrate(battle.owner_url, "shop_app", to=revision)
        took.append(time.monotonic() - began)
        await reader
    return took


@pytest.mark.trial("R36")
def test_nobody_is_refused_while_the_schema_goes_on(before: Battle, rounds: Rounds) -> None:
    before.fetch(_OLD_TRADE, rounds(20_000, 500_000))
    before.fetch("INSERT INTO order_event (order_id, what, to_state, by, facts, at)"
                 " SELECT id, 'old', 'unpaid', 'system', '{}', now() FROM orders")  # fmt: skip
    before.fetch("INSERT INTO order_event (order_id, what, from_state, to_state, by, facts, at)"
                 " SELECT id, 'old', 'unpaid', 'cancelled', 'system', '{}', now() FROM orders")  # fmt: skip
    shoppers = Shoppers(before, 4)
    with crowd(4, shoppers.act, shoppers.over):
        took = asyncio.run(_migrate_beside_readers(before))
        placed = shoppers.placed
        until("the processes of before go on with the schema of after", lambda: shoppers.placed >= placed + 4, 60)
    assert max(took) >= HOLDS_S - 1, "nobody was in the way"
    assert shoppers.told == []
    assert shoppers.longest_s < MOST_S
    (row,) = before.fetch("SELECT version_num FROM alembic_version")
    assert row[0] > BEFORE
    assert before.fetch("SELECT 1 FROM pg_index WHERE NOT indisvalid") == []
    falsified = {"an order's goods are its lines'"}  # old orders were made without lines
    assert set(broken(before.owner_url)) <= falsified
