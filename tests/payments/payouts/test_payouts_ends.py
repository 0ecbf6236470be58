"""How a transfer ends other than by its user: it lapses, fails, is taken back, or is told to have ended by news of all kinds."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from cast import Shop
from paying_out import Scene, balances, cases, promised, pursue, second_person, sign_in, state_of
from sqlalchemy import text

from kit.database import Database
from payments.payouts import pursuing, transferring
from payments.wechatpay.gateway import Unknown
from payments.wechatpay.transfers import TransferBill


async def test_unconfirmed_for_a_day_it_lapses(scene: Scene) -> None:
    shop, operator, _, member = scene
    no = await promised(operator, member)
    await shop.run_jobs()
    await second_person(shop, operator)
    shop.world.skip(hours=24, minutes=2)
    await shop.worker.pursue_payouts()  # no news was delivered
    operator = await sign_in(shop, "second")
    row = (await operator.get(f"/transfers/{no}")).json()
    assert (row["state"], row["failReason"]) == ("fail", "OVERDUE_CLOSE")
    assert (await balances(shop), await cases(shop)) == ({}, [])
    shop.mailbox.clear()


async def test_a_failure_is_a_case_and_the_money_stays(scene: Scene) -> None:
    shop, operator, _, member = scene
    no = await promised(operator, member)
    await shop.run_jobs()
    shop.world.tell(f"transfers/{no}/fail", reason="ACCOUNT_FROZEN")
    letter = shop.mailbox.take()
    for _ in range(3):
        assert (await shop.notify(letter)).status_code == 204
    assert (await operator.get(f"/transfers/{no}")).json()["failReason"] == "ACCOUNT_FROZEN"
    assert (await balances(shop), await cases(shop)) == ({}, ["transfer_fail"])


async def test_forged_news_moves_nothing(scene: Scene) -> None:
    shop, operator, _, member = scene
    no = await promised(operator, member)
    await shop.run_jobs()
    shop.world.tell(f"transfers/{no}/confirm")
    shop.world.skip(seconds=5)
    letter = shop.mailbox.take()
    forged = letter.headers["Wechatpay-Signature"][::-1]
    assert (await shop.notify(letter, **{"wechatpay-signature": forged})).status_code == 401
    assert await state_of(operator, no) == "wait_user_confirm"
    assert (await shop.notify(letter)).status_code == 204
    assert await state_of(operator, no) == "success"


async def test_staff_take_it_back(scene: Scene) -> None:
    shop, operator, buyer, member = scene
    no = await promised(operator, member)
    await shop.run_jobs()
    assert (await operator.post(f"/transfers/{no}/cancel")).status_code == 200
    await shop.run_jobs()
    assert (await buyer.get(f"/transfers/{no}")).json()["confirm"] is None
    shop.world.skip(seconds=30)
    await shop.worker.pursue_payouts()
    assert (await state_of(operator, no), await balances(shop)) == ("cancelled", {})
    assert (await operator.post(f"/transfers/{no}/cancel")).json()["state"] == "cancelled"
    shop.mailbox.clear()


async def test_who_takes_it_back_waits_for_who_sends_it(scene: Scene) -> None:
    """Called cancelled while it is on its way to WeChat, it could be promised, and paid, once more."""
    shop, operator, _, member = scene
    no = await promised(operator, member)
    async with shop.sql.transaction():
        await shop.sql.execute("UPDATE transfer SET attempts = 1")  # what the worker does before it sends it
        cancel = asyncio.create_task(operator.post(f"/transfers/{no}/cancel"))
        async with asyncio.timeout(10):
            while not await shop.sql.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.01)
    answer = await cancel
    assert (answer.status_code, answer.json()["state"]) == (200, "requested")
    assert await balances(shop) == {"payouts": 500, "payouts_payable": -500}
    assert await shop.sql.fetchval("SELECT cancel_wanted_by FROM transfer") is not None


async def test_a_cancel_whose_answer_is_lost_is_repeated(scene: Scene) -> None:
    shop, operator, _, member = scene
    no = await promised(operator, member)
    await shop.run_jobs()
    await operator.post(f"/transfers/{no}/cancel")
    shop.world.faults(method="POST", path="/cancel$", times=1, effect="500_after")
    with pytest.raises(Unknown):
        await pursue(shop, no)
    for _ in range(2):
        shop.world.skip(seconds=60)
        await shop.worker.pursue_payouts()
    assert (await state_of(operator, no), await balances(shop)) == ("cancelled", {})
    shop.mailbox.clear()


async def test_the_user_may_be_faster_than_the_cancel(scene: Scene) -> None:
    shop, operator, _, member = scene
    no = await promised(operator, member)
    await shop.run_jobs()
    await operator.post(f"/transfers/{no}/cancel")
    shop.world.tell(f"transfers/{no}/confirm")
    await shop.run_jobs()
    shop.world.skip(seconds=10)
    await shop.worker.pursue_payouts()
    assert (await state_of(operator, no), await balances(shop)) == ("success", {"payouts": 500, "wechat": -500})
    assert (await operator.post(f"/transfers/{no}/cancel")).json()["code"] == "not_cancellable"
    shop.mailbox.clear()


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        ({"transfer_amount": 501}, "transfer_mismatch"),
        ({"mch_id": "1999999999"}, "transfer_mismatch"),
        ({"openid": "oSomebodyElse00000000000001"}, "transfer_mismatch"),
        ({"state": "MELTED"}, "transfer_mismatch"),
        ({"out_bill_no": "T000000000"}, "unknown_transfer"),
    ],
)
async def test_news_that_contradicts_is_a_case_and_moves_nothing(
    scene: Scene, changed: dict[str, Any], kind: str
) -> None:
    shop, operator, _, member = scene
    no = await promised(operator, member)
    await shop.run_jobs()
    before = await balances(shop)
    said = {"out_bill_no": no, "state": "SUCCESS", "transfer_amount": 500, **changed}
    assert await _learn(shop, **said) == kind
    assert (await state_of(operator, no), await balances(shop), await cases(shop)) == (
        "wait_user_confirm",
        before,
        [kind],
    )


async def _learn(shop: Shop, **said: Any) -> str:
    bill = msgspec.json.decode(json.dumps(said), type=TransferBill)
    async with shop.db.begin() as session:
        return await transferring.learn(session, bill, shop.world.clock.now())


async def test_older_news_changes_nothing_and_other_ends_are_cases(scene: Scene) -> None:
    shop, operator, _, member = scene
    no = await promised(operator, member)
    await shop.run_jobs()
    for state in ("ACCEPTED", "PROCESSING", "WAIT_USER_CONFIRM"):
        assert await _learn(shop, out_bill_no=no, state=state) == "known"
    assert await _learn(shop, out_bill_no=no, state="SUCCESS") == "success"
    assert await _learn(shop, out_bill_no=no, state="SUCCESS") == "known"
    assert await _learn(shop, out_bill_no=no, state="TRANSFERING") == "known"
    assert await _learn(shop, out_bill_no=no, state="FAIL") == "transfer_after_end"
    assert await state_of(operator, no) == "success"


async def test_one_that_another_holds_up_holds_up_no_other(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    async def due(*_: Any) -> list[str]:
        return ["held up", "free"]

    async def pursue(db: Database, _gateway: Any, _clock: Any, number: str) -> None:
        async with db.begin() as session:
            if number == "held up":
                await session.execute(text("SELECT FROM location FOR UPDATE NOWAIT"))
            done.append(number)

    monkeypatch.setattr(pursuing, "NOUNS", [("payments.any", due, pursue)])
    async with shop.sql.transaction():
        await shop.sql.execute("SELECT FROM location FOR UPDATE")
        await shop.worker.pursue_payouts()
    assert done == ["free"]
