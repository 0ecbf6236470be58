"""The example alerts name metrics that are there, fire for what they say, and each has its page in the runbook."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
import yaml
from cast import Shop
from prometheus_client.parser import text_string_to_metric_families

from shop.doctor import audit
from shop.watch import read

ROOT = Path(__file__).parent.parent
RULES = yaml.safe_load((ROOT / "deploy" / "alerts.yaml").read_text())["groups"][0]["rules"]
FROM_ELSEWHERE = {"shop_restore_tried_timestamp_seconds"}
"""Written beside the shop; docs/backup.md says how."""
_WORDS = re.compile(r"[a-z]+(?:_[a-z0-9]+)+(?=[{\s)>=\[]|$)")
_FUNCTIONS = {"histogram_quantile"}


async def _metrics(http: httpx.AsyncClient) -> dict[tuple[str, str], float]:
    """By name and first label."""
    answer = await http.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def _named(expression: str) -> set[str]:
    bare = re.sub(r"\{[^}]*\}", "", expression)
    return set(_WORDS.findall(bare)) - _FUNCTIONS


async def test_every_metric_of_every_rule_is_there(api: httpx.AsyncClient) -> None:
    await api.post("/wechat/pay/notify", content=b"{}", headers={"content-type": "application/json"})
    there = {name for name, _ in await _metrics(api)}
    for rule in RULES:
        names = _named(rule["expr"])
        assert names, rule["alert"]
        assert names <= there | FROM_ELSEWHERE, rule["alert"]


def test_every_alert_has_its_page() -> None:
    pages = re.findall(r"(?m)^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8"))
    assert pages == [rule["alert"] for rule in RULES]
    assert {rule["labels"]["severity"] for rule in RULES} == {"page", "ticket"}


@pytest.fixture
async def gauges(shop: Shop) -> Any:
    """What a look at the metrics would tell now, with no memory in between."""

    async def look() -> dict[tuple[str, str], float]:
        async with shop.db.begin() as session:
            await read(session, shop.world.clock.now())
        return await _metrics(shop.http)

    return look


async def test_a_quiet_shop_has_nothing_to_tell(gauges: Any) -> None:
    seen = await gauges()
    for name in ("jobs_failed", "jobs_waiting_oldest_seconds", "bill_days_not_agreed", "audit_broken_invariants"):
        assert seen[name, ""] == 0, name
    assert {seen["deadlines_overdue_seconds", of] for of in ("orders", "payments", "refunds", "notices")} == {0}
    assert seen["audit_age_seconds", ""] == float("inf")


async def test_what_is_late_shows(shop: Shop, gauges: Any) -> None:
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    no = await buyer.order({sku: 1})
    await buyer.prepay(no)
    shop.world.skip(hours=1)
    seen = await gauges()
    assert seen["deadlines_overdue_seconds", "orders"] > 300
    assert seen["deadlines_overdue_seconds", "payments"] > 300
    await shop.worker.close_orders()
    assert (await gauges())["deadlines_overdue_seconds", "orders"] == 0


async def test_refunds_that_wait_show_and_jobs_that_died(shop: Shop, gauges: Any) -> None:
    buyer, operator = await shop.buyer("alice"), await shop.operator()
    (sku,) = await shop.stocked(5)
    no = await shop.paid_order(buyer, {sku: 1})
    line = (await operator.get(f"/orders/{no}")).json()["lines"][0]["id"]
    assert (await operator.refund(no, {line: 1})).status_code == 201
    await shop.sql.execute("UPDATE pgqueuer SET status = 'failed'")
    shop.world.skip(hours=2)
    seen = await gauges()
    assert seen["deadlines_overdue_seconds", "refunds"] > 3600
    assert seen["refunds_waiting", "requested"] == 1
    assert seen["refunds_waiting_oldest_seconds", "requested"] >= 7200
    assert seen["jobs_failed", ""] == 1


async def test_a_day_that_does_not_agree_shows_once_its_bills_are_due(shop: Shop, gauges: Any) -> None:
    today = shop.world.clock.now().date()
    insert = "INSERT INTO bill_day (day, state, figures) VALUES ($1, 'differs', '{}')"
    await shop.sql.execute(insert, today)
    assert (await gauges())["bill_days_not_agreed", ""] == 0
    await shop.sql.execute(insert, today - timedelta(days=4))
    assert (await gauges())["bill_days_not_agreed", ""] == 1


async def test_the_last_audit_shows(shop: Shop, gauges: Any, settings: Any) -> None:
    url, now = settings.database_url, shop.world.clock.now()
    (sku,) = await shop.stocked(5)
    await shop.sql.execute("UPDATE stock SET available = available + 1 WHERE sku_id = $1", sku)
    await audit.record(url, await audit.take(url), now - timedelta(hours=3))
    seen = await gauges()
    assert seen["audit_broken_invariants", ""] == 1
    assert 3 * 3600 - 60 < seen["audit_age_seconds", ""] < 3 * 3600 + 600
    await shop.sql.execute("UPDATE stock SET available = available - 1 WHERE sku_id = $1", sku)
    await audit.record(url, await audit.take(url), now)
    seen = await gauges()
    assert (seen["audit_broken_invariants", ""], seen["audit_age_seconds", ""] < 600) == (0, True)


PAGES = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
BACKUP = (ROOT / "docs" / "backup.md").read_text(encoding="utf-8")
QUESTIONS = re.findall(r'psql -c "([^"]+)"', PAGES)


@pytest.mark.parametrize("question", QUESTIONS)
async def test_what_the_runbook_asks_the_database_the_shops_role_may_ask(clean: Any, question: str) -> None:
    connection = await asyncpg.connect(clean.app_url())
    try:
        await connection.fetch(question.replace("…", "1"))
    finally:
        await connection.close()


def test_the_routes_of_the_runbook_are_there() -> None:
    document = json.loads((ROOT / "tests" / "openapi.json").read_text(encoding="utf-8"))
    known = {re.sub(r"{\w+}", "{}", path) for path in document["paths"]}
    named = set(re.findall(r"(?:GET |POST |\$SHOP)(/admin/v1/[\w/{}-]+)", PAGES + BACKUP))
    assert len(named) > 5
    assert {path for path in named if re.sub(r"{\w+}", "{}", path) not in known} == set()
