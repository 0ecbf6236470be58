"""Fill databases: made once, kept where the data folder is kept."""

import hashlib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from bench.data import goods, history, people
from bench.size import Size
from bench.stage import ROOT, WORKERS, Stage
from dev.trouble import Trouble

Say = Callable[[str], None]


def ensure(stage: Stage, database: str, size: Size, say: Say, *, like: str | None = None) -> None:
    """Have `database` hold `size`: made if there is none, from a copy of `like` where that is given.

    Leaves the server running with the settings that count. Raises Trouble.
    """
    kept = stage.folder / f"{database}.json"
    if kept.exists():
        found = json.loads(kept.read_text())
        if found != _what(size):
            raise Trouble(f"{stage.folder} holds other data ({found}): name another folder, or remove it.")
        if not stage.running:
            stage.start()
        return
    began = time.monotonic()
    stage.start(loading=True)
    _create(stage, database, like, say)
    if like is None:
        _schema(stage, database)
        stage.owner(database, lambda connection: _goods_and_people(connection, size, say))
        _orders(stage, database, size, say)
    else:
        there = int(json.loads((stage.folder / f"{like}.json").read_text())["products"])
        stage.owner(database, lambda connection: goods.products(connection, there + 1, size.products))
    say(f"{database}: vacuum, checkpoint")
    stage.owner(database, lambda connection: connection.execute("VACUUM (ANALYZE)"))
    stage.checkpoint()
    stage.start()
    kept.write_text(json.dumps(_what(size)))
    say(f"{database}: filled in {time.monotonic() - began:.0f} s")


def _what(size: Size) -> dict[str, int | str]:
    """What is in a database: so much, as these loaders and this schema have it."""
    made_by = hashlib.sha256()
    for file in sorted((ROOT / "bench" / "data").glob("*.*")) + sorted((ROOT / "migrations" / "versions").glob("*.py")):
        made_by.update(file.read_bytes())
    return {**asdict(size), "made_by": made_by.hexdigest()[:12]}


def _create(stage: Stage, database: str, like: str | None, say: Say) -> None:
    if database == "shop":  # that one comes with the cluster
        return
    if like is not None:
        say(f"{database}: a copy of {like}")
    template = f"TEMPLATE {like} STRATEGY FILE_COPY" if like is not None else ""

    async def work(connection: Any) -> None:
        await connection.execute(f"DROP DATABASE IF EXISTS {database}")
        await connection.execute(f"CREATE DATABASE {database} OWNER shop_owner {template}", timeout=600)
        await connection.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC")
        await connection.execute(f"GRANT CONNECT ON DATABASE {database} TO shop_app")

    stage.superuser(work)


def _schema(stage: Stage, database: str) -> None:
    done = stage.command(database, "migrate")
    if done.returncode != 0:
        raise Trouble(f"The schema could not be made: {done.stderr.strip()[-400:]}")


async def _goods_and_people(connection: Any, size: Size, say: Say) -> None:
    say(f"{size.products} products")
    async with connection.transaction():
        await goods.categories(connection)
        await goods.products(connection, 1, size.products)
    say(f"{size.members} members")
    async with connection.transaction():
        await people.members(connection, size)
    await connection.execute("ANALYZE")


def _orders(stage: Stage, database: str, size: Size, say: Say) -> None:
    """Written over as many connections as there are cores."""
    batches, done = -(-size.orders // history.BATCH), 0
    if not batches:
        return

    def one_more() -> None:
        nonlocal done
        done += 1
        say(f"{min(done * history.BATCH, size.orders)} of {size.orders} orders")

    def writer(place: int) -> Callable[[Any], Awaitable[None]]:
        mine = range(place, batches, WORKERS)
        return lambda connection: history.past(connection, size, stage.merchant.mchid, mine, one_more)

    stage.owners(database, [writer(place) for place in range(min(WORKERS, batches))])
    stage.owner(database, lambda connection: goods.follow(connection, "orders"))
