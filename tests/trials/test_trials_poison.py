"""A job that always fails, and news of one order that never end: nobody else notices, and staff see what is wrong."""

import asyncio
import random
import threading

import pytest
from battle import Battle, crowd, joined
from deeds import Deeds
from purchases import Purchases, attempt_of
from till import until
from trialing import Rounds

from kit import jobs
from kit.database import Database
from payments.settlement import CLOSE_JOB

pytestmark = pytest.mark.trial("R35")

_ABOUT = "/v3/pay/transactions/out-trade-no/"


def test_a_poisoned_job_holds_up_nobody(battle: Battle, rounds: Rounds) -> None:
    deeds, operator = Deeds(battle), battle.operator()
    no, end = deeds.prepay()
    number = attempt_of(battle, no)
    battle.world.faults(path=_ABOUT + number, effect="500", times=1_000_000)
    asyncio.run(_promise(battle, number))
    last_tries = rounds(3, jobs._MAX_ATTEMPTS)
    battle.fetch("UPDATE pgqueuer SET attempts = $2 WHERE entrypoint = $1", CLOSE_JOB, jobs._MAX_ATTEMPTS - last_tries)
    for _ in range(rounds(1, 20)):
        other, _ = deeds.refund()
        deeds.buyer.becomes(other, "refunded", patience_s=60)

    def given_up() -> list[str]:
        # Its pauses grow up to ten minutes: nobody waits for them here.
        battle.fetch("UPDATE pgqueuer SET execute_after = now() WHERE entrypoint = $1 AND status = 'queued'", CLOSE_JOB)
        failed = operator.get("/admin/v1/jobs/failed")["items"]
        return [job["id"] for job in failed if (job["name"], job["reference"]) == (CLOSE_JOB, number)]

    (job,) = until("staff see it among the failed", given_up, 120)
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

    with Purchases(battle, 4, chance) as purchases:
        storm = crowd(8, blow)
        purchases.more(rounds(12, 600))
        over.set()
        joined(storm)
    assert len(statuses) > len(purchases.acknowledged), "that was no storm"
    assert set(statuses) == {204}
    assert len(battle.fetch("SELECT 1 FROM payment WHERE payable = $1 AND state = 'received'", no)) == 1
    assert len(battle.fetch("SELECT 1 FROM posting WHERE payable = $1", no)) == 1
