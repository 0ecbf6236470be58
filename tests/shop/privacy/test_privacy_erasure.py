"""The end of an account: refused while something is under way, then whole; the same person may come again as somebody new."""

import asyncio
from contextvars import Context
from typing import Any

import pytest
from cast import Buyer, Operator, Shop

from shop.privacy import erasure


async def _erase(buyer: Buyer) -> Any:
    return await buyer.shop.http.delete("/api/v1/me", headers=buyer.headers)


async def _id(buyer: Buyer) -> int:
    return int((await buyer.get("/me")).json()["id"])


async def _completed(shop: Shop, buyer: Buyer, operator: Operator, sku: int) -> str:
    no = await shop.paid_order(buyer, {sku: 1})
    assert (await operator.post(f"/orders/{no}/ship", {"carrier": "SF", "trackingNo": "SF123456"})).is_success
    assert (await buyer.post(f"/orders/{no}/confirm")).status_code == 200
    return no


async def test_not_while_an_order_is_under_way(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    no = await buyer.order({sku: 1})
    answer = await _erase(buyer)
    assert (answer.status_code, answer.json()["code"], answer.json()["orders"]) == (409, "still_under_way", 1)
    assert (await buyer.get("/me")).status_code == 200
    await buyer.post(f"/orders/{no}/cancel", {"reason": "我是张三，不要了"})
    assert (await _erase(buyer)).status_code == 204


async def test_afterwards_nobody_is_signed_in_and_the_same_person_is_somebody_new(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    before = await _id(buyer)
    assert (await _erase(buyer)).status_code == 204
    assert (await buyer.get("/me")).status_code == 401
    answer = await shop.http.post("/api/v1/sign-in", json={"code": shop.world.code(buyer.name)})
    member = answer.json()["member"]
    assert (answer.status_code, member["isNew"], member["id"] != str(before)) == (200, True, True)
    row = await shop.sql.fetchrow("SELECT nickname, avatar_url, phone, status FROM member WHERE id = $1", before)
    assert tuple(row) == ("", "", None, "erased")


async def test_the_order_stays_and_can_still_be_refunded(shop: Shop) -> None:
    buyer, operator = await shop.buyer("alice"), await shop.operator()
    (sku,) = await shop.stocked(5)
    no = await _completed(shop, buyer, operator, sku)
    assert (await _erase(buyer)).status_code == 204
    await shop.run_jobs()
    seen = (await operator.get(f"/orders/{no}")).json()
    assert (seen["state"], seen["address"]["name"], seen["address"]["phone"]) == ("completed", "", "")
    assert seen["address"]["province"] == "广东省"
    line = seen["lines"][0]["id"]
    assert (await operator.refund(no, {line: 1})).status_code == 201
    await shop.run_jobs()
    shop.world.skip(seconds=60)
    await shop.worker.ask_refunds()
    assert await shop.sql.fetchval("SELECT state FROM refund WHERE payable = $1", no) == "succeeded"


@pytest.mark.parametrize("end", ["SUCCESS", "CLOSED"])
async def test_a_refund_long_after_it_leaves_no_word_behind(shop: Shop, end: str) -> None:
    buyer, operator = await shop.buyer("alice"), await shop.operator()
    (sku,) = await shop.stocked(5)
    no = await _completed(shop, buyer, operator, sku)
    assert (await _erase(buyer)).status_code == 204
    await shop.run_jobs()
    line = (await operator.get(f"/orders/{no}")).json()["lines"][0]["id"]
    assert (await operator.refund(no, {line: 1}, reason="张三少收了一件")).status_code == 201
    await shop.run_jobs()
    if end == "CLOSED":
        number = await shop.sql.fetchval("SELECT out_refund_no FROM refund")
        shop.world.tell(f"refunds/{number}/state", status=end)
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    await shop.run_jobs()
    words = "SELECT r.reason, r.user_received_account, s.reason FROM refund r, after_sale s"
    assert tuple(await shop.sql.fetchrow(words)) == ("", None, "")


async def test_staff_may_do_it_once_and_it_is_written_down(shop: Shop) -> None:
    buyer, operator = await shop.buyer("alice"), await shop.operator()
    member = await _id(buyer)
    assert (await operator.post(f"/members/{member}/erase")).status_code == 204
    assert (await buyer.get("/me")).status_code == 401
    for verb in ("enable", "disable"):
        answer = await operator.post(f"/members/{member}/{verb}")
        assert (answer.status_code, answer.json()["code"]) == (409, "member_erased")
    assert (await operator.post(f"/members/{member}/erase")).status_code == 204
    assert (await operator.post("/members/9007199254740991/erase")).status_code == 404
    written = await shop.sql.fetch("SELECT actor, subject, facts FROM audit_entry WHERE action = 'member.erase'")
    assert [(row["subject"], row["facts"]) for row in written] == [(str(member), "{}")] * 2
    assert {row["actor"].partition(":")[0] for row in written} == {"staff"}


async def test_what_came_in_behind_it_is_swept_later(shop: Shop) -> None:
    """An order that was being placed at that moment is placed, and its address goes when the order is over."""
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    no, member = await buyer.order({sku: 1}), await _id(buyer)
    async with shop.db.begin() as session:
        await erasure._sweep(session, member)  # as if the order had come a moment after the look
    await shop.sql.execute("""UPDATE orders SET address = address || '{"name": "张三"}' WHERE no = $1""", no)
    with pytest.raises(erasure.StillUnderWay):
        await shop.worker.erase_again(str(member))
    shop.world.skip(minutes=31)
    await shop.worker.close_orders()
    await shop.worker.erase_again(str(member))
    assert await shop.sql.fetchval("SELECT address ->> 'name' FROM orders WHERE no = $1", no) == ""


async def test_an_erasure_comes_again_by_itself(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    no = await buyer.order({sku: 1})
    await buyer.post(f"/orders/{no}/cancel", {})
    assert (await _erase(buyer)).status_code == 204
    await shop.sql.execute("UPDATE orders SET note = '请放张三门口'")  # as if it had been written in that moment
    await shop.run_jobs()
    assert await shop.sql.fetchval("SELECT note FROM orders") == ""


async def test_an_address_that_waits_for_an_erasure_is_not_written(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    member, place = await _id(buyer), (await buyer.get("/addresses")).json()["items"][0]
    wish = {name: value for name, value in place.items() if name != "id"}
    async with shop.db.begin() as session:
        await erasure.erase(session, member, by="member", at=shop.world.clock.now())
        writing = asyncio.create_task(buyer.post("/addresses", wish), context=Context())
        async with asyncio.timeout(5):
            while not await shop.sql.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
                await asyncio.sleep(0.01)
    answer = await writing
    assert (answer.status_code, answer.json()["code"]) == (401, "sign_in_needed")
    assert await shop.sql.fetchval("SELECT count(*) FROM address WHERE member_id = $1", member) == 0


async def test_a_living_member_is_not_swept(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    await shop.worker.erase_again(str(await _id(buyer)))
    assert (await buyer.get("/addresses")).json()["items"] != []


@pytest.mark.parametrize("turn", range(3))
async def test_signing_in_at_the_same_moment_is_before_or_after(shop: Shop, turn: int) -> None:
    """Never a session of nobody, never a 5xx."""
    buyer = await shop.buyer(f"racer{turn}")
    codes = [shop.world.code(buyer.name) for _ in range(6)]
    signing = [shop.http.post("/api/v1/sign-in", json={"code": code}) for code in codes]
    answers = await asyncio.gather(*signing[:3], _erase(buyer), *signing[3:])
    assert {answer.status_code for answer in answers} <= {200, 204}
    assert await shop.sql.fetchval("SELECT count(*) FROM identity") <= 1
    strays = "SELECT count(*) FROM member_session s JOIN member m ON m.id = s.member_id WHERE m.status = 'erased'"
    assert await shop.sql.fetchval(strays) == 0


async def test_money_sent_to_a_member_keeps_its_books_under_a_name_that_is_nobodys(shop: Shop) -> None:
    buyer, operator = await shop.buyer("alice"), await shop.operator()
    wish = {"cause": "thanks", "amountFen": 100, "remark": "谢谢张三", "sceneId": "1000"}
    wish["report"] = {"活动名称": "开业", "奖励说明": "新客"}
    no = (await operator.post(f"/members/{await _id(buyer)}/transfers", wish)).json()["outBillNo"]
    assert (await _erase(buyer)).json()["transfers"] == 1
    await shop.run_jobs()
    package = (await buyer.get(f"/transfers/{no}")).json()["confirm"]["package"]
    shop.world.tell(f"transfers/{no}/confirm", package_info=package)
    shop.world.skip(seconds=5)
    await shop.notify()
    assert (await _erase(buyer)).status_code == 409, "the cap of the day is not to begin anew"
    shop.world.skip(days=1, minutes=1)
    assert (await _erase(buyer)).status_code == 204
    row = await shop.sql.fetchrow("SELECT openid, remark, state FROM transfer")
    assert (row["openid"][:7], row["remark"], row["state"]) == ("erased-", "", "success")
    assert await shop.sql.fetchval("SELECT openid FROM transfer_day") == row["openid"]


async def test_money_that_is_promised_in_that_moment_waits_and_goes_to_nobody(shop: Shop) -> None:
    buyer, operator = await shop.buyer("alice"), await shop.operator()
    member = await _id(buyer)
    wish = {"cause": "thanks", "amountFen": 100, "remark": "谢谢张三", "sceneId": "1000"}
    wish["report"] = {"活动名称": "开业", "奖励说明": "新客"}
    async with shop.db.begin() as session:
        await erasure.erase(session, member, by="test", at=shop.world.clock.now())
        promising = asyncio.create_task(operator.post(f"/members/{member}/transfers", wish), context=Context())
        await _done_or_waiting(shop, promising)
    answer = await promising
    assert (answer.status_code, answer.json()["code"]) == (409, "no_identity_here")
    assert await shop.sql.fetchval("SELECT count(*) FROM transfer") == 0


async def _done_or_waiting(shop: Shop, task: "asyncio.Task[Any]") -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    while not task.done() and not await shop.sql.fetchval(waiting):
        await asyncio.sleep(0.005)
