"""What the database hears of one purchase: whose transaction is open when, and which rows it locks in which order."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from cast import Shop

from dev.postgres import Cluster
from shop import schema
from shop.aftersales import refunding

pytestmark = [pytest.mark.usefixtures("quiet"), pytest.mark.trial("R6")]

RANK = {"payment": 1, "orders": 2, "refund": 3, "after_sale": 3, "stock": 5}
"""Locks are taken in this order; inserts may stand anywhere."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """One that writes every statement down, each line with the process that serves the connection."""
    settings = {"fsync": "off", "log_statement": "all", "log_line_prefix": "%p|%x|"}
    with Cluster(tmp_path_factory.mktemp("told") / "pg", settings=settings) as running:
        asyncio.run(schema.migrate(running.owner_url(), "shop_app"))
        yield running


@dataclass
class Transaction:
    """One transaction's statements, in order."""

    statements: list[str] = field(default_factory=list)

    def locked(self) -> list[str]:
        """The tables of which it locked rows that were there before, first come first."""
        found = []
        for statement in self.statements:
            text = " ".join(statement.split())
            if "SKIP LOCKED" in text:
                continue  # waits for nobody
            table = re.search(r"UPDATE (stock) s", text) or re.match(r"UPDATE (\w+) ", text)
            table = table or re.search(r"FROM (\w+).* FOR (?:NO KEY )?UPDATE", text)
            if table is not None:
                found.append(table[1])
        return found


def transactions(log: str) -> list[Transaction]:
    open_ones: dict[str, Transaction] = {}
    done: list[Transaction] = []
    for entry in re.split(r"\n(?=\d+\|\d+\|)", log):
        head = re.match(r"(\d+)\|\d+\|LOG:\s+(?:statement|execute [^:]*): (.*)", entry, re.DOTALL)
        if head is None:
            continue
        pid, statement = head[1], head[2].strip()
        if statement.startswith("BEGIN"):
            open_ones[pid] = Transaction()
        elif statement.startswith(("COMMIT", "ROLLBACK")):
            done.append(open_ones.pop(pid, Transaction()))
        elif pid in open_ones:
            open_ones[pid].statements.append(statement)
    return done


async def test_locks_are_taken_in_one_order(shop: Shop, cluster: Cluster) -> None:
    """A purchase, its refund, a cancelled order, late money: no transaction goes back up the ladder."""
    begins = cluster.log.stat().st_size
    await _everything(shop)
    with cluster.log.open("rb") as log:
        log.seek(begins)
        told = transactions(log.read().decode())
    seen = set()
    for transaction in told:
        ranks = [(RANK[table], table) for table in transaction.locked() if table in RANK]
        seen |= {table for _, table in ranks}
        firsts = list(dict.fromkeys(ranks))
        assert firsts == sorted(firsts, key=lambda rank: rank[0]), transaction.statements
    assert seen == set(RANK), "the log was not understood"


async def _everything(shop: Shop) -> None:
    buyer = await shop.buyer("told")
    (sku,) = await shop.stocked(9)
    no = await shop.paid_order(buyer, {sku: 2})
    await _refund_one(shop, no)
    await shop.run_jobs()
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    cancelled = await buyer.order({sku: 1})
    await buyer.prepay(cancelled)
    assert (await buyer.post(f"/orders/{cancelled}/cancel", {})).status_code == 200
    late = await buyer.order({sku: 1})
    out_trade_no = await buyer.prepay(late)
    shop.world.skip(minutes=31)
    await shop.worker.close_orders()
    shop.world.pay(out_trade_no, raced=True)
    assert (await shop.notify()).status_code == 204
    await shop.run_jobs()
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204


async def _refund_one(shop: Shop, no: str) -> None:
    line = await shop.sql.fetchval("SELECT l.id FROM order_line l JOIN orders o ON o.id = l.order_id WHERE no = $1", no)
    async with shop.db.begin() as session:
        claims = [refunding.Claim(line, 1)]
        at = shop.world.clock.now()
        await refunding.request(session, no, claims, freight_fen=0, reason="少发", restock=None, by="staff:1", at=at)


async def test_no_transaction_is_open_while_wechat_is_called(shop: Shop) -> None:
    """WeChat keeps us waiting in every kind of call; the database is asked meanwhile who has a transaction open."""
    buyer = await shop.buyer("told")
    (sku,) = await shop.stocked(9)
    no = await buyer.order({sku: 1})
    shop.world.faults(method="POST", path=".*/jsapi", times=1, effect="timeout_after", seconds=0.6)
    assert await _idle_while(shop, buyer.post(f"/orders/{no}/prepay")) == 0
    await buyer.prepay(no)
    shop.world.faults(method="GET", path=".*/out-trade-no/.*", times=1, effect="timeout_before", seconds=0.6)
    assert await _idle_while(shop, buyer.post(f"/orders/{no}/payment/refresh")) == 0
    shop.world.faults(method="POST", path=".*/close", times=1, effect="timeout_after", seconds=0.6)
    assert await _idle_while(shop, buyer.post(f"/orders/{no}/cancel", {})) == 0
    paid = await shop.paid_order(buyer, {sku: 1})
    await _refund_one(shop, paid)
    shop.world.faults(method="POST", path=".*/refunds", times=1, effect="timeout_after", seconds=0.6)
    assert await _idle_while(shop, asyncio.gather(shop.run_jobs(), return_exceptions=True)) == 0


async def _idle_while(shop: Shop, call: Any) -> int:
    """Transactions of the shop that were open in the middle of the call."""
    running = asyncio.ensure_future(call)
    await asyncio.sleep(0.3)  # the call is at WeChat, which holds the line for twice as long
    assert not running.done()
    open_ones = await shop.sql.fetchval(
        """SELECT count(*) FROM pg_stat_activity WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid()
        AND datname = current_database() AND backend_type = 'client backend'"""
    )
    await running
    return int(open_ones)
