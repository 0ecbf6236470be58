"""Restore to a named second by the very commands of docs/backup.md, after trade that went on to the last moment.

All orders answered up to that second are there and none that was asked for after it; what was paid after it is learned
from WeChat again.
"""

import asyncio
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from battle import Battle, crowd
from nodes import Node
from processes import ROOT, Part, broken, fetch, name
from till import until
from trialing import Rounds
from world import World

from dev.postgres import Cluster, programs
from payments.reconciliation import beijing
from shop import schema

VERIFIER = Path(__file__).with_name("verifying.py")
COMMANDS = dict(
    re.findall(
        r"<!-- tried: (\w+) -->\n```sh\n(.*?)```", (ROOT / "docs/backup.md").read_text(encoding="utf-8"), re.DOTALL
    )
)


class Keeper(Node):
    """Whoever runs the backups: PostgreSQL's account, its programs, and a folder."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        super().__init__(folder)
        self.cluster = cluster
        self.restored = self.home / "restored"
        self.words = {
            "BACKUP": str(self.home / "backup"),
            "SHOP": str(ROOT),
            "SUPERUSER": cluster.superuser_url(),
            "REPLICATION": cluster.superuser_url(),
            "RESTORED": str(self.restored),
            "PORT": str(self.port),
            "PATH": f"{self._verifier()}{programs()}:{os.environ['PATH']}",
            "LC_ALL": "C.UTF-8",
        }

    def _verifier(self) -> str:
        """A folder to look into first, where PostgreSQL's own program does not run."""
        asked = subprocess.run([programs() / "pg_verifybackup", "--version"], capture_output=True, check=False)
        if asked.returncode == 0:
            return ""
        folder = self.home / "bin"
        folder.mkdir()
        for made in (folder, Path(shutil.copy(VERIFIER, folder / "pg_verifybackup"))):
            made.chmod(0o700)
            self.runner.hand_over(made)
        return f"{folder}:"

    def does(self, what: str, **words: str) -> None:
        with (self.folder / f"{what}.log").open("wb") as log:  # the server that it starts writes there too
            done = subprocess.run(
                [*self.runner.prefix, "sh", "-c", COMMANDS[what]],
                cwd=self.home,
                env={**self.words, **words},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
                **self.options,
            )
        assert done.returncode == 0, (self.folder / f"{what}.log").read_text()

    def url(self, of: str) -> str:
        return of.replace(f":{self.cluster.port}/", f":{self.port}/")

    def stop(self) -> None:
        if (self.restored / "postmaster.pid").exists():
            argv = [programs() / "pg_ctl", "-D", self.restored, "-m", "immediate", "-w", "stop"]
            subprocess.run([*self.runner.prefix, *map(str, argv)], check=False, capture_output=True, **self.options)


class Restorable(Battle):
    """The shop of `Battle`, whose database can be had again."""

    keeper: Keeper
    restored = False

    @property
    def owner_url(self) -> str:
        url = self.cluster.owner_url()
        return self.keeper.url(url) if self.restored else url

    def superuser(self, statement: str) -> list[Any]:
        return fetch(self.cluster.superuser_url(), statement)

    def archive_all(self) -> None:
        """As a minute of `archive_timeout` would."""
        (row,) = self.superuser("SELECT pg_walfile_name(pg_switch_wal())")
        newest = "SELECT last_archived_wal >= $1 FROM pg_stat_archiver"
        url = self.cluster.superuser_url()
        until("the archive has it", lambda: fetch(url, newest, row[0])[0][0])

    def goes_on_restored(self) -> None:
        self.restored = True
        changed = {name: self.keeper.url(self.environment[name]) for name in ("DATABASE_URL", "DATABASE_OWNER_URL")}
        self.environment.update(changed)
        for part in [*self.serving, *self.working]:
            part.environment.update(changed)
            part.start()
        self.await_doors()


@pytest.fixture
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restorable]:
    folder = tmp_path_factory.mktemp("restoring")
    world = World(folder / "sandbox")
    try:
        with Cluster(folder / "pg") as cluster:
            asyncio.run(schema.migrate(cluster.owner_url(), "shop_app"))
            keeper = Keeper(folder / "keeper", cluster)
            keeper.does("once")
            cluster.stop()
            cluster.start()
            made = Restorable(folder, cluster, world)
            made.keeper = keeper
            yield made
            made.stop()
            keeper.stop()
    finally:
        world.stop()


_MOST_LEFT = 20
"""Orders that stay: there are fifty pieces, however long the trade goes on."""


class Trade:
    """Buyers who order until it is over; when each was asked and answered, by the wall's clock."""

    def __init__(self, battle: Battle, size: int) -> None:
        self.battle = battle
        self.buyers = [battle.buyer(name("trader"), number % 2) for number in range(size)]
        self.skus = [buyer.some_sku(50)["id"] for buyer in self.buyers]
        self.over = threading.Event()
        self.placed: dict[str, tuple[datetime, datetime]] = {}
        self.left = 0

    def act(self, number: int) -> None:
        buyer = self.buyers[number]
        wish = buyer.wish(self.skus[number])
        while not self.over.wait(0.05):
            asked = datetime.now(UTC)
            answer = buyer.post("/api/v1/orders", wish)
            assert answer.status_code == 201, answer.text
            no = str(answer.json()["no"])
            self.placed[no] = (asked, datetime.now(UTC))
            if len(self.placed) % 10 == 0 and self.left < _MOST_LEFT:
                self.left += 1
            else:
                assert buyer.post(f"/api/v1/orders/{no}/cancel", {}).status_code == 200

    def answered_by(self, moment: datetime) -> set[str]:
        return {no for no, (_, answered) in list(self.placed.items()) if answered < moment}

    def asked_after(self, moment: datetime) -> set[str]:
        return {no for no, (asked, _) in list(self.placed.items()) if asked > moment}


def _next_second() -> datetime:
    """The beginning of a second that trade goes through."""
    second = datetime.fromtimestamp(int(time.time()) + 1, UTC)
    while datetime.now(UTC) <= second:
        time.sleep(0.01)
    return second


@pytest.mark.trial("R23")
def test_a_named_second_is_had_again(shop: Restorable, rounds: Rounds) -> None:
    late = shop.buyer(name("late"))
    trade, keeper, worth = Trade(shop, 4), shop.keeper, rounds(20, 500)
    with crowd(4, trade.act, trade.over):
        until("there is something to lose", lambda: len(trade.placed) >= worth, max(30, worth))
        keeper.does("nightly")
        _only_its_owner_may_read(Path(keeper.words["BACKUP"]))
        open_before = late.order(late.some_sku()["id"])["no"]
        assert late.post(f"/api/v1/orders/{open_before}/prepay").status_code == 200
        _await_more(trade, 10)
        second = _next_second()
        _await_more(trade, 10)
        assert shop.pay(shop.attempt(open_before)), "paid after the second, for what was there before it"
        late.becomes(open_before, "paid")
        forgotten = late.order(late.some_sku()["id"])["no"]
        assert late.post(f"/api/v1/orders/{forgotten}/prepay").status_code == 200
        lost_payment = shop.attempt(forgotten)
        assert shop.pay(lost_payment)
        late.becomes(forgotten, "paid")
    shop.archive_all()
    shop.stop()
    shop.cluster.stop()

    keeper.restored.mkdir(mode=0o700)
    keeper.runner.hand_over(keeper.restored)
    keeper.does("restore", SECOND=second.isoformat(sep=" "))
    owner = keeper.url(shop.cluster.owner_url())
    until("it takes writes", lambda: not fetch(owner, "SELECT pg_is_in_recovery()")[0][0], 60)
    there = {row["no"] for row in fetch(owner, "SELECT no FROM orders")}
    assert trade.answered_by(second) - there == set(), "answered by that second, and not there"
    assert trade.asked_after(second) & there == set(), "asked for after that second, and there"
    assert len(trade.answered_by(second)) >= 10 <= len(trade.asked_after(second)), "the second was among trade"
    assert (open_before in there, forgotten in there) == (True, False)
    assert fetch(owner, "SELECT state FROM orders WHERE no = $1", open_before)[0][0] == "unpaid", "as it was then"
    assert broken(owner) == {}
    _the_world_knows(shop, late, open_before, lost_payment)


def _await_more(trade: Trade, orders: int) -> None:
    before = len(trade.placed)
    until("trade goes on", lambda: len(trade.placed) >= before + orders)


def _only_its_owner_may_read(backup: Path) -> None:
    modes = {path.stat().st_mode & 0o077 for path in [backup, *backup.rglob("*")]}
    assert modes == {0}


def _the_world_knows(shop: Restorable, late: Any, open_before: str, lost_payment: str) -> None:
    """`work` asks WeChat about what was open; the day's bill names the money of the order that is forgotten."""
    shop.goes_on_restored()
    shop.world.skip(minutes=31)
    late.becomes(open_before, "paid", patience_s=60)
    until("everything comes to rest", shop.settled, 60)
    assert broken(shop.owner_url) == {}
    last = beijing.day_of(shop.world.clock.now())
    shop.world.skip(days=2)
    reconcile = ["-m", "shop", "reconcile", "--from", str(last - timedelta(days=1)), "--to", str(last)]
    told = Part(reconcile, shop.environment, shop.folder / "reconcile.log")
    assert told.process.wait(60) == 1, told.log.read_text()
    rows = shop.fetch(
        "SELECT out_trade_no FROM bill_difference WHERE kind = 'bill_unknown_payment' AND gone_at IS NULL"
    )
    assert [row["out_trade_no"] for row in rows] == [lost_payment]
    assert shop.fetch("SELECT 1 FROM payment_exception WHERE kind = 'bill_unknown_payment' AND resolved_at IS NULL")
    assert broken(shop.owner_url) == {}
