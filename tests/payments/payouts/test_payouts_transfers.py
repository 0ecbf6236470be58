"""Transfers to a user: promised once, confirmed by the user, never sent twice, and booked whatever is lost on the way."""

import asyncio
from typing import Any

import pytest
from cast import Shop
from paying_out import (
    REPORT,
    TRANSFERS,
    Scene,
    allow,
    balances,
    cases,
    member_id,
    promise,
    promised,
    pursue,
    second_person,
    state_of,
)

from payments.wechatpay.gateway import Unknown


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
        await pursue(shop, no)
    assert await state_of(operator, no) == "requested"
    await pursue(shop, no)
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
    assert await state_of(operator, no) == "wait_user_confirm"


async def test_the_same_cause_is_paid_once(scene: Scene) -> None:
    shop, operator, _, member = scene
    answers = await asyncio.gather(*(promise(operator, member, cause="bonus:2026-03") for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"cause_used"}
    (no,) = [row["out_bill_no"] for row in await shop.sql.fetch("SELECT out_bill_no FROM transfer")]
    assert (await operator.post(f"/transfers/{no}/cancel")).json()["state"] == "cancelled"
    assert (await promise(operator, member, cause="bonus:2026-03")).status_code == 201  # that one ended without money
    assert await balances(shop) == {"payouts": 500, "payouts_payable": -500}


async def test_a_connections_twelfth_transfer_is_as_good_as_its_first(scene: Scene) -> None:
    """From its sixth execution on a statement has one plan for all, which knows no values."""
    shop, operator, _, member = scene
    assert len({await promised(operator, member, 100) for _ in range(12)}) == 12
    await shop.run_jobs()


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
    await allow(operator, 10_000_000)
    wish = {"cause": "bonus:named", "key": "named-transfer"}
    first = await promise(operator, member, 250_000, realName="欧阳锦鲤", **wish)
    again = await promise(operator, member, 250_000, realName="欧阳锦", **wish)
    assert (first.status_code, again.status_code, again.text) == (201, 201, first.text)
    other = await promise(operator, member, 250_001, realName="欧阳锦鲤", **wish)
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    assert await shop.sql.fetchval("SELECT count(*) FROM transfer") == 1


async def test_a_name_is_sealed_and_forgotten(scene: Scene, capfd: pytest.CaptureFixture[str]) -> None:
    shop, operator, buyer, member = scene
    await allow(operator, 10_000_000)
    no = await promised(operator, member, 250_000, realName="欧阳锦鲤")
    shop.world.faults(method="POST", path=TRANSFERS, times=1, effect="500_after")
    with pytest.raises(Unknown):
        await pursue(shop, no)
    kept = await shop.sql.fetchrow("SELECT * FROM transfer")
    assert kept["sealed_name"] is not None
    await pursue(shop, no)  # with the same name, without anybody
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


async def test_too_small_a_balance_is_waited_for_under_the_same_number(shop_of_its_own: Shop) -> None:
    """In a world of its own: what others left unconfirmed would hold some of the balance."""
    shop = shop_of_its_own
    operator, member = await shop.operator(), await member_id(shop, await shop.buyer("alice"))
    shop.world.tell("merchant/balance", fen=100)
    try:
        no = await promised(operator, member, 500)
        await shop.run_jobs()
        assert await state_of(operator, no) == "processing"
        shop.world.tell("merchant/balance", fen=10_000)
        shop.world.skip(minutes=1)
        await shop.worker.pursue_payouts()
        assert await state_of(operator, no) == "wait_user_confirm"
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
    assert (await state_of(operator, no), await balances(shop), await cases(shop)) == (
        "refused",
        {},
        ["transfer_refused"],
    )
    await shop.sql.execute("UPDATE transfer_day SET promised_fen = 0")  # of the openid that was changed above


async def test_two_staff_and_two_workers_at_once_send_one(scene: Scene) -> None:
    shop, operator, _, member = scene
    other = await second_person(shop, operator)
    no = await promised(operator, member)
    await asyncio.gather(*(pursue(shop, no) for _ in range(4)))
    answers = await asyncio.gather(*(who.post(f"/transfers/{no}/cancel") for who in (operator, other) * 2))
    assert {answer.status_code for answer in answers} == {200}
    await asyncio.gather(*(pursue(shop, no) for _ in range(3)), return_exceptions=True)
    shop.world.skip(seconds=60)
    await shop.worker.pursue_payouts()
    assert (await state_of(operator, no), await balances(shop)) == ("cancelled", {})
    assert len([t for t in _theirs(shop) if t["out_bill_no"] == no]) == 1
    shop.mailbox.clear()
