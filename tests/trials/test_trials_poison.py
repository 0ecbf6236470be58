"""A job that always fails, news of one order that never end, staff who search whole tables: nobody else notices, and what
is wrong is seen."""

import asyncio
import random
import threading

import pytest
from battle import Battle, crowd
from deeds import Deeds
from purchases import Purchases, attempt_of
from till import until
from trialing import Rounds

from kit import jobs
from kit.database import Database
from payments.settlement import CLOSE_JOB

pytestmark = pytest.mark.trial("R35")

TRIES = 12
"""Then it waits for a person, as docs/runbook.md says."""
_ABOUT = "/v3/pay/transactions/out-trade-no/"
_LARGE = 100_000
SEARCHED = 12
_SLOWEST_S = 2.0
"""The shop's own lock_timeout: whoever waits longer for a row is refused."""
_YEARS_AGO = (
    "INSERT INTO member (created_at) VALUES (now())",
    f"""INSERT INTO orders (no, member_id, channel, source, state, goods_fen, discount_fen, freight_fen, total_fen, trace,
        address, note, pay_by, close_at, created_at, cancelled_at)
    SELECT 'DOLD' || g, (SELECT max(id) FROM member), 'mini_program', '{{}}', 'cancelled', 1, 0, 0, 1, '[]',
        '{{"phone": "13700000000"}}', '', now(), now(), now() - interval '2 years', now() - interval '2 years'
    FROM generate_series(1, {_LARGE}) g""",
    """INSERT INTO order_line (order_id, sku_id, product_id, title, options, image, unit_fen, quantity, paid_fen)
    SELECT o.id, k.id, k.product_id, '龙井', '[]', '', 1, 1, 1
    FROM orders o, (SELECT id, product_id FROM sku LIMIT 1) k WHERE o.no LIKE 'DOLD%'""",
    """INSERT INTO order_event (order_id, what, from_state, to_state, by, facts, at)
    SELECT o.id, said.what, said.before, said.after, 'system', '{}', o.created_at
    FROM orders o, (VALUES ('placed', NULL, 'unpaid'), ('overdue', 'unpaid', 'cancelled')) said (what, before, after)
    WHERE o.no LIKE 'DOLD%'""",
    f"""INSERT INTO audit_entry (at, actor, action, subject_kind, subject, facts)
    SELECT now() - interval '2 years', 'test', 'order.remark', 'order', 'DOLD' || g, '{{}}'
    FROM generate_series(1, {_LARGE}) g""",
    "ANALYZE",
)
_SEARCHES = (
    ("/admin/v1/orders", {"phone": "13611112222"}),
    ("/admin/v1/audit", {"action": "nobody.did"}),
    ("/admin/v1/audit", {"actor": "staff:987654"}),
)
"""Each finds nothing, and looks at all there is for it."""


def test_a_poisoned_job_holds_up_nobody(battle: Battle, rounds: Rounds) -> None:
    deeds, operator = Deeds(battle), battle.operator()
    no, end = deeds.prepay()
    number = attempt_of(battle, no)
    battle.world.faults(path=_ABOUT + number, effect="500", times=1_000_000)
    asyncio.run(_promise(battle, number))
    last_tries = rounds(3, TRIES)
    battle.fetch("UPDATE pgqueuer SET attempts = $2 WHERE entrypoint = $1", CLOSE_JOB, TRIES - last_tries)
    for _ in range(rounds(1, 20)):
        other, _ = deeds.refund()
        deeds.buyer.becomes(other, "refunded", patience_s=60)

    def given_up() -> list[str]:
        # Its pauses grow up to ten minutes: nobody waits for them here.
        battle.fetch("UPDATE pgqueuer SET execute_after = now() WHERE entrypoint = $1 AND status = 'queued'", CLOSE_JOB)
        failed = operator.get("/admin/v1/jobs/failed")["items"]
        return [job["id"] for job in failed if (job["name"], job["reference"]) == (CLOSE_JOB, number)]

    (job,) = until("staff see it among the failed", given_up, 60)
    assert deeds.buyer.seen(no)["state"] == "unpaid"
    battle.world.heal()
    assert operator.until_answered("POST", f"/admin/v1/jobs/{job}/retry").status_code == 200
    closed = "SELECT 1 FROM payment WHERE out_trade_no = $1 AND state = 'closed'"
    until("it is done once the cause is mended", lambda: battle.fetch(closed, number))
    battle.verdict(deeds.acknowledged)
    assert deeds.buyer.seen(no)["state"] == end


async def _promise(battle: Battle, number: str) -> None:
    db = Database(battle.environment["DATABASE_URL"], pool_size=1, name="trial")
    async with db.begin() as session:
        await jobs.enqueue(session, CLOSE_JOB, number)
    await db.close()


def test_a_storm_of_one_orders_news_keeps_nobody_from_buying(
    battle: Battle, rounds: Rounds, chance: random.Random
) -> None:
    deeds, over = Deeds(battle), threading.Event()
    no, _ = deeds.pay()
    deeds.buyer.becomes(no, "paid", patience_s=60)
    number = battle.attempt(no)
    (letter,) = battle.world.http.get("/_sandbox/notifications", params={"subject": number}).json()["items"]
    statuses: list[int] = []

    def blow(_number: int) -> None:
        while not over.is_set():
            statuses.append(battle.world.tell(f"notifications/{letter['id']}/deliver")["status"])

    with Purchases(battle, 4, chance) as purchases, crowd(8, blow, over):
        purchases.more(rounds(12, 600))
    assert len(statuses) > len(purchases.acknowledged), "that was no storm"
    assert set(statuses) == {204}
    assert len(battle.fetch("SELECT 1 FROM payment WHERE payable = $1 AND state = 'received'", no)) == 1
    assert len(battle.fetch("SELECT 1 FROM posting WHERE payable = $1", no)) == 1


@pytest.mark.alone
def test_staff_who_search_whole_tables_keep_nobody_from_buying(
    battle: Battle, rounds: Rounds, chance: random.Random
) -> None:
    for statement in _YEARS_AGO:
        battle.fetch(statement)
    over, found = threading.Event(), []

    def search(_number: int) -> None:
        operator = battle.operator()
        while not over.is_set():
            path, query = _SEARCHES[len(found) % len(_SEARCHES)]
            found.append(operator.get(path, **query)["items"])

    read = "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables"
    before = battle.fetch(read)[0][0]
    with Purchases(battle, 4, chance) as purchases:
        with crowd(4, search, over):
            purchases.more(rounds(12, 600))
            until("whole tables were searched a few times", lambda: len(found) >= SEARCHED, 60)
        slowest_s, busy = purchases.slowest_s, purchases.busy
    print(
        f"{len(found)} searches beside {len(purchases.acknowledged)} orders, the slowest answer after {slowest_s:.2f} s"
    )
    assert set(map(len, found)) == {0}
    whole = SEARCHED * _LARGE
    until("whole tables were read, as far as PostgreSQL counts", lambda: battle.fetch(read)[0][0] - before >= whole, 20)
    assert busy == 0
    assert slowest_s <= _SLOWEST_S
