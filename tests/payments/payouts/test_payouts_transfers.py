"""Transfers to a user: promised once, confirmed by the user, never sent twice, and booked whatever is lost on the way."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from cast import Buyer, Operator, Shop
from paying_out import REPORT, balances, cases, member_id, promise, promised, second_person, sign_in

from payments.payouts import transferring
from payments.wechatpay.gateway import Unknown
from payments.wechatpay.transfers import TransferBill

TRANSFERS = r"transfer-bills$"


@pytest.fixture
async def scene(shop: Shop) -> tuple[Shop, Operator, Buyer, str]:
    buyer = await shop.buyer("alice")
    return shop, await shop.operator(), buyer, await member_id(shop, buyer)


Scene = tuple[Shop, Operator, Buyer, str]


async def _state(operator: Operator, no: str) -> str:
    return str((await operator.get(f"/transfers/{no}")).json()["state"])


async def _pursue(shop: Shop, no: str) -> None:
    await shop.worker.handlers()["payments.transfer"](no)


async def test_the_user_confirms_and_has_the_money(scene: Scene) -> None:
    shop, operator, buyer, member = scene
    no = await promised(operator, member, 500)
    assert await balances(shop) == {"payouts": 500, "payouts_payable": -500}
    await shop.run_jobs()
    mine = (await buyer.get(f"/transfers/{no}")).json()
    assert (mine["state"], mine["amountFen"]) == ("wait_user_confirm", 500)
    assert set(mine["confirm"]) == {"mchId", "appId", "package"}
    shop.world.tell(f"transfers/{no}/confirm", package_info=mine["confirm"]["package"])
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    mine = (await buyer.get(f"/transfers/{no}")).json()
    assert (mine["state"], mine["confirm"]) == ("success", None)
    assert await balances(shop) == {"payouts": 500, "wechat": -500}
    assert (await buyer.get("/transfers")).json()["items"][0]["outBillNo"] == no


async def test_nobody_else_sees_it(scene: Scene) -> None:
    shop, operator, _, member = scene
    no = await promised(operator, member)
    await shop.run_jobs()
    mallory = await shop.buyer("mallory")
    assert (await mallory.get(f"/transfers/{no}")).status_code == 404
    assert (await mallory.get("/transfers")).json()["items"] == []


@pytest.mark.parametrize("effect", ["timeout_after", "500_after", "502_html", "unsigned", "bad_response_signature"])
async def test_a_lost_answer_is_asked_for_and_the_package_still_comes(scene: Scene, effect: str) -> None:
    shop, operator, buyer, member = scene
    no = await promised(operator, member)
    shop.world.faults(method="POST", path=TRANSFERS, times=1, effect=effect, seconds=0.01)
    with pytest.raises(Unknown):
        await _pursue(shop, no)
    assert await _state(operator, no) == "requested"
    await _pursue(shop, no)
    assert (await buyer.get(f"/transfers/{no}")).json()["confirm"] is not None
    assert len([t for t in _theirs(shop) if t["out_bill_no"] == no]) == 1


def _theirs(shop: Shop) -> list[dict[str, Any]]:
    return list(shop.world.http.get("/_sandbox/transfers").json()["items"])


async def test_a_worker_that_died_half_way_is_followed_by_the_sweep(scene: Scene) -> None:
    """The intent is committed, the job is lost: the sweep finds the row by its time."""
    shop, operator, _, member = scene
    no = await promised(operator, member)
    await shop.sql.execute("DELETE FROM pgqueuer")
    shop.world.skip(minutes=1)
    await shop.worker.pursue_payouts()
    assert await _state(operator, no) == "wait_user_confirm"


async def test_the_same_cause_is_paid_once(scene: Scene) -> None:
    shop, operator, _, member = scene
    answers = await asyncio.gather(*(promise(operator, member, cause="bonus:2026-03") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"cause_used"}
    (no,) = [row["out_bill_no"] for row in await shop.sql.fetch("SELECT out_bill_no FROM transfer")]
    assert (await operator.post(f"/transfers/{no}/cancel")).json()["state"] == "cancelled"
    assert (await promise(operator, member, cause="bonus:2026-03")).status_code == 201  # that one ended without money
    assert await balances(shop) == {"payouts": 500, "payouts_payable": -500}


async def test_the_same_key_is_answered_once(scene: Scene) -> None:
    shop, operator, _, member = scene
    answers = [await promise(operator, member, cause="bonus:1", key="the-same-key") for _ in range(3)]
    assert {answer.status_code for answer in answers} == {201}
    assert await shop.sql.fetchval("SELECT count(*) FROM transfer") == 1


async def test_what_is_wrong_is_named(scene: Scene) -> None:
    _, operator, _, member = scene
    for changed, field in (
        ({"sceneId": "1001"}, "sceneId"),
        ({"report": {"活动名称": "x"}}, "report.奖励说明"),
        ({"report": {**REPORT, "岗位类型": "x"}}, "report.岗位类型"),
        ({"amountFen": 200_000}, "realName"),
        ({"amountFen": 29, "realName": "张三"}, "realName"),
        ({"remark": "一二三四五六七八九十十一"}, "remark"),
    ):
        answer = await promise(operator, member, **changed)
        assert answer.status_code == 400, answer.text
        assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await promise(operator, "9007199254740991")).json()["code"] == "member_not_found"


async def test_not_even_a_hash_of_a_name_is_kept(scene: Scene) -> None:
    """A few characters could be found by trying, so the key does not tell whether the name is the same one."""
    shop, operator, _, member = scene
    await _allow(operator, 10_000_000)
    wish = {"cause": "bonus:named", "key": "named-transfer"}
    first = await promise(operator, member, 250_000, realName="欧阳锦鲤", **wish)
    again = await promise(operator, member, 250_000, realName="欧阳锦", **wish)
    assert (first.status_code, again.status_code, again.text) == (201, 201, first.text)
    other = await promise(operator, member, 250_001, realName="欧阳锦鲤", **wish)
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    assert await shop.sql.fetchval("SELECT count(*) FROM transfer") == 1


async def test_a_name_is_sealed_and_forgotten(scene: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    shop, operator, buyer, member = scene
    await _allow(operator, 10_000_000)
    no = await promised(operator, member, 250_000, realName="欧阳锦鲤")
    shop.world.faults(method="POST", path=TRANSFERS, times=1, effect="500_after")
    with pytest.raises(Unknown):
        await _pursue(shop, no)
    kept = await shop.sql.fetchrow("SELECT * FROM transfer")
    assert kept["sealed_name"] is not None
    await _pursue(shop, no)  # with the same name, without anybody
    assert (await buyer.get(f"/transfers/{no}")).json()["confirm"] is not None
    after = await shop.sql.fetchrow("SELECT * FROM transfer")
    assert (after["sealed_name"], after["sealed_for"], after["named"]) == (None, None, True)
    everything = [
        kept,
        after,
        *await shop.sql.fetch("SELECT * FROM audit_entry"),
        *await shop.sql.fetch("TABLE posting"),
    ]
    assert "欧阳锦鲤" not in "".join(str(dict(row)) for row in everything) + "".join(capfd.readouterr())


async def _allow(operator: Operator, cap_fen: int) -> None:
    rules = {"dailyCapFen": cap_fen, "shareOrders": False, "shareAtMostBp": 3000}
    answer = await operator.shop.http.put("/admin/v1/payout-policy", headers=operator.headers, json=rules)
    assert answer.status_code == 200, answer.text


async def test_one_user_gets_no_more_than_the_cap_in_a_day(scene: Scene) -> None:
    shop, operator, _, member = scene
    await _allow(operator, 1000)
    answers = await asyncio.gather(*(promise(operator, member, 300) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 201, 422, 422, 422]
    assert {a.json()["leftFen"] for a in answers if a.status_code == 422} == {100}
    no = next(a.json()["outBillNo"] for a in answers if a.status_code == 201)
    await operator.post(f"/transfers/{no}/cancel")  # its amount is free again
    assert (await promise(operator, member, 400)).status_code == 201
    await second_person(shop, operator)
    shop.world.skip(days=1)
    operator = await sign_in(shop, "second")
    assert (await promise(operator, member, 1000)).status_code == 201
    assert (await promise(operator, member, 1001)).status_code == 422


async def test_many_small_transfers_are_no_way_around_the_limit(scene: Scene) -> None:
    """What one user was promised that day, and nobody else agreed to, counts as one sum."""
    shop, operator, _, member = scene
    await _allow(operator, 1_000_000)
    policy = {"latePayment": "refund", "wrongAmount": "refund", "refundApprovalAboveFen": None}
    path, body = "/admin/v1/payment-policy", {**policy, "payoutApprovalAboveFen": 1000}
    assert (await shop.http.put(path, headers=operator.headers, json=body)).status_code == 200
    answers = await asyncio.gather(*(promise(operator, member, 400) for _ in range(4)))
    assert sorted(answer.json()["state"] for answer in answers) == [
        "requested",
        "requested",
        "to_approve",
        "to_approve",
    ]
    assert await balances(shop) == {"payouts": 800, "payouts_payable": -800}
    first, second = (a.json()["outBillNo"] for a in answers if a.json()["state"] == "to_approve")
    other = await second_person(shop, operator)
    assert (await other.post(f"/transfers/{first}/approve")).status_code == 200
    assert (await operator.post(f"/transfers/{second}/cancel")).status_code == 200
    assert (await promise(operator, member, 200)).json()["state"] == "requested", "800 + 200, the rest was agreed to"
    assert (await promise(other, member, 30)).json()["state"] == "to_approve", "whoever asks"


async def test_above_the_limit_a_second_person_agrees(scene: Scene) -> None:
    shop, operator, buyer, member = scene
    policy = {"latePayment": "refund", "wrongAmount": "refund"}
    limits = {"refundApprovalAboveFen": None, "payoutApprovalAboveFen": 1000}
    path, body = "/admin/v1/payment-policy", {**policy, **limits}
    assert (await shop.http.put(path, headers=operator.headers, json=body)).status_code == 200
    no = await promised(operator, member, 1001)
    await shop.run_jobs()
    assert (await _state(operator, no), await balances(shop)) == ("to_approve", {})
    assert (await buyer.get(f"/transfers/{no}")).status_code == 404
    answer = await operator.post(f"/transfers/{no}/approve")
    assert (answer.status_code, answer.json()["code"]) == (403, "second_person_needed")
    other = await second_person(shop, operator)
    assert (await other.post(f"/transfers/{no}/approve")).json()["state"] == "requested"
    assert (await other.post(f"/transfers/{no}/approve")).json()["code"] == "not_to_approve"
    await shop.run_jobs()
    assert await _state(operator, no) == "wait_user_confirm"
    small = await promised(operator, member, 1000)
    assert await _state(operator, small) == "requested"


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
    assert await _state(operator, no) == "wait_user_confirm"
    assert (await shop.notify(letter)).status_code == 204
    assert await _state(operator, no) == "success"


async def test_staff_take_it_back(scene: Scene) -> None:
    shop, operator, buyer, member = scene
    no = await promised(operator, member)
    await shop.run_jobs()
    assert (await operator.post(f"/transfers/{no}/cancel")).status_code == 200
    await shop.run_jobs()
    assert (await buyer.get(f"/transfers/{no}")).json()["confirm"] is None
    shop.world.skip(seconds=30)
    await shop.worker.pursue_payouts()
    assert (await _state(operator, no), await balances(shop)) == ("cancelled", {})
    assert (await operator.post(f"/transfers/{no}/cancel")).json()["state"] == "cancelled"
    shop.mailbox.clear()


async def test_a_cancel_whose_answer_is_lost_is_repeated(scene: Scene) -> None:
    shop, operator, _, member = scene
    no = await promised(operator, member)
    await shop.run_jobs()
    await operator.post(f"/transfers/{no}/cancel")
    shop.world.faults(method="POST", path="/cancel$", times=1, effect="500_after")
    with pytest.raises(Unknown):
        await _pursue(shop, no)
    for _ in range(2):
        shop.world.skip(seconds=60)
        await shop.worker.pursue_payouts()
    assert (await _state(operator, no), await balances(shop)) == ("cancelled", {})
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
    assert (await _state(operator, no), await balances(shop)) == ("success", {"payouts": 500, "wechat": -500})
    assert (await operator.post(f"/transfers/{no}/cancel")).json()["code"] == "not_cancellable"
    shop.mailbox.clear()


async def test_too_small_a_balance_is_waited_for_under_the_same_number(scene: Scene) -> None:
    shop, operator, _, member = scene
    shop.world.tell("merchant/balance", fen=100)
    try:
        no = await promised(operator, member, 500)
        await shop.run_jobs()
        assert await _state(operator, no) == "processing"
        shop.world.tell("merchant/balance", fen=10_000)
        shop.world.skip(minutes=1)
        await shop.worker.pursue_payouts()
        assert await _state(operator, no) == "wait_user_confirm"
        shop.world.tell(f"transfers/{no}/confirm")
        shop.world.skip(seconds=5)
        assert (await shop.notify()).status_code == 204
        assert (await balances(shop))["wechat"] == -500
        assert shop.world.http.get("/_sandbox/settings").json()["balance_fen"] == 10_000 - 500
    finally:
        shop.world.tell("merchant/balance", fen=None)


async def test_a_refusal_is_believed_when_the_query_finds_nothing(scene: Scene) -> None:
    shop, operator, _, member = scene
    no = await promised(operator, member)
    await shop.sql.execute("UPDATE transfer SET openid = 'oNobodyWhoEverCame0000000001'")
    await shop.run_jobs()
    assert (await _state(operator, no), await balances(shop), await cases(shop)) == (
        "refused",
        {},
        ["transfer_refused"],
    )
    await shop.sql.execute("UPDATE transfer_day SET promised_fen = 0")  # of the openid that was changed above


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
    assert (await _state(operator, no), await balances(shop), await cases(shop)) == (
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
    assert await _state(operator, no) == "success"


async def test_two_staff_and_two_workers_at_once_send_one(scene: Scene) -> None:
    shop, operator, _, member = scene
    other = await second_person(shop, operator)
    no = await promised(operator, member)
    await asyncio.gather(*(_pursue(shop, no) for _ in range(4)))
    answers = await asyncio.gather(*(who.post(f"/transfers/{no}/cancel") for who in (operator, other) * 2))
    assert {answer.status_code for answer in answers} == {200}
    await asyncio.gather(*(_pursue(shop, no) for _ in range(3)), return_exceptions=True)
    shop.world.skip(seconds=60)
    await shop.worker.pursue_payouts()
    assert (await _state(operator, no), await balances(shop)) == ("cancelled", {})
    assert len([t for t in _theirs(shop) if t["out_bill_no"] == no]) == 1
    shop.mailbox.clear()


async def test_a_clerk_moves_no_money(scene: Scene) -> None:
    shop, operator, _, member = scene
    body = {"login": "clerk1", "name": "Wang", "password": "a long enough word", "role": "clerk"}
    await operator.post("/staff", body)
    clerk = await sign_in(shop, "clerk1")
    assert (await promise(clerk, member)).json()["code"] == "not_permitted"
