"""Each example alert fires for what it says and for nothing else, and its metric tells what is so."""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml
from prometheus_client import REGISTRY

from dev.postgres import Cluster
from kit.clock import ManualClock
from kit.database import Database
from payments.cases import ALARMS
from shop import schema
from shop.watch import read

pytestmark = pytest.mark.anyio
FILE = Path(__file__).parent.parent / "deploy" / "alerts.yaml"
RULES = {rule["alert"]: rule["expr"] for rule in yaml.safe_load(FILE.read_text())["groups"][0]["rules"]}
_FORM = re.compile(
    r'(max|min)(?: by \((?P<by>\w+)\))? ?\((?P<metric>\w+)(?:\{(?P<label>\w+)(?P<how>=~?)"(?P<what>[^"]*)"\})?\)'
    r" (?P<than>[>=]+) (?P<bound>\d+)"
)
OTHERS = {"ShopDown", "NotifySlow", "NotifyRefused", "Errors", "ExceptionsOpen", "RestoreNotTried"}
"""Of another form than the rest, which is all that is evaluated here."""
FIRES: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "DatabaseDown": ((1, 0), (1, 1)),
    "NoWorker": ((0, 0), (0, 1)),
    "NoticesLate": ((0, 180), (0, 60)),
    "DeadlinesOverdue": ((0, 600), (0, 60)),
    "JobsLate": ((0, 600), (0, 60)),
    "JobsDead": ((0, 1), (0, 0)),
    "PaymentAlarm": ((0, 1), (0, 0)),
    "RefundsToApprove": ((0, 2 * 86400), (0, 3600)),
    "RefundsStuck": ((0, 2 * 3600), (0, 600)),
    "BillNotAgreed": ((0, 1), (0, 0)),
    "BooksBroken": ((0, 1), (0, 0)),
    "BooksNotAudited": ((float("inf"), 2 * 86400), (float("inf"), 86400)),
    "ArchiveFailing": ((0, 1), (0, 0)),
    "ArchiveOff": ((0, 0), (0, 1)),
}
"""What two machines tell when somebody must come, and when nobody need."""
ABOUT = {
    "PaymentAlarm": ALARMS,
    "RefundsToApprove": {"waiting"},
    "RefundsStuck": {"requested", "abnormal"},
}
"""What the one label must be, where a rule asks for it."""


def test_all_are_evaluated() -> None:
    assert set(FIRES) | OTHERS == set(RULES)
    assert {alert for alert, expression in RULES.items() if _FORM.fullmatch(expression)} == set(FIRES)


@pytest.mark.parametrize("alert", FIRES)
def test_it_fires_when_somebody_must_come_and_only_then(alert: str) -> None:
    rule = _FORM.fullmatch(RULES[alert])
    assert rule is not None
    told, well = ({"max": max, "min": min}[rule[1]](values) for values in FIRES[alert])
    bound = float(rule["bound"])
    assert [{">": value > bound, "==": value == bound}[rule["than"]] for value in (told, well)] == [True, False]


@pytest.mark.parametrize("alert", ABOUT)
def test_it_fires_for_what_it_is_about(alert: str) -> None:
    rule = _FORM.fullmatch(RULES[alert])
    assert rule is not None
    assert set(rule["what"].split("|")) == ABOUT[alert]
    assert rule["how"] == "=~" or len(ABOUT[alert]) == 1


def _gauge(name: str, **labels: str) -> float:
    value = REGISTRY.get_sample_value(name, labels)
    assert value is not None
    return value


async def _look(db: Database, now: datetime) -> None:
    async with db.begin() as session:
        await read(session, now)


async def test_workers_are_counted_and_nobody_else(clean: Cluster, db: Database, clock: ManualClock) -> None:
    serves, works = (Database(clean.app_url(), name=name) for name in ("shop", "shop-worker"))
    try:
        for other, found in ((serves, 0), (works, 1)):
            await _look(other, clock.now())
            await _look(db, clock.now())
            assert _gauge("workers_connected") == found
    finally:
        await serves.close()
        await works.close()


async def test_a_notice_that_is_late_shows(db: Database, sql: Any, clock: ManualClock) -> None:
    row = "INSERT INTO notice (id, event_type, original_type, body, received_at, retry_at) VALUES ('EV-7', 'x', 'x', '', $1, $1)"
    await sql.execute(row, clock.now())
    await _look(db, clock.now() + timedelta(minutes=10))
    assert _gauge("deadlines_overdue_seconds", of="notices") == 600


async def test_bills_are_due_two_days_after_by_the_day_of_beijing(db: Database, sql: Any) -> None:
    for day in (date(2026, 2, 27), date(2026, 2, 28), date(2026, 3, 1)):
        await sql.execute("INSERT INTO bill_day (day, state, figures) VALUES ($1, 'differs', '{}')", day)
    midnight = datetime(2026, 3, 2, 16, tzinfo=UTC)
    for now, due in ((midnight - timedelta(minutes=1), 2), (midnight + timedelta(minutes=1), 3)):
        await _look(db, now)
        assert _gauge("bill_days_not_agreed") == due


@pytest.fixture
def archiving(tmp_path: Path) -> Iterator[Cluster]:
    """A database that archives its log, and is not told how yet."""
    with Cluster(tmp_path / "pg", settings={"fsync": "off", "archive_mode": "on"}) as cluster:
        yield cluster


async def test_a_log_that_cannot_be_archived_shows(archiving: Cluster, clock: ManualClock) -> None:
    await schema.migrate(archiving.owner_url(), "shop_app")
    db = Database(archiving.app_url(), name="test")
    root = await asyncpg.connect(archiving.superuser_url())
    try:
        for command, counted, failing in (("false", "failed_count", 1), ("true", "archived_count", 0)):
            await root.execute(f"ALTER SYSTEM SET archive_command = '{command}'")
            await root.execute("SELECT pg_reload_conf()")
            await root.execute("SELECT pg_switch_wal()")
            async with asyncio.timeout(60):
                while not await root.fetchval(f"SELECT {counted} FROM pg_stat_archiver"):
                    await asyncio.sleep(0.05)
            await _look(db, clock.now())
            assert (_gauge("wal_archive_on"), _gauge("wal_archive_failing")) == (1, failing)
    finally:
        await root.close()
        await db.close()
