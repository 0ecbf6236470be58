"""Profit sharing: no more than was received, each part booked, and back before a refund goes out."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from cast import Shop
from frozen import MERCHANT, RULES, Stage
from paying_out import balances, cases

from payments.payouts import return_pursuit, sharing_pursuit
from payments.wechatpay.gateway import Unknown
from payments.wechatpay.sharing import SharingOrder, SharingReturn


async def _received(stage: Stage) -> int:
    return int(await stage.shop.sql.fetchval("SELECT received_fen FROM payment"))


async def test_a_share_is_done_and_booked(stage: Stage) -> None:
    received = await _received(stage)
    await stage.shared(2000)
    assert await stage.parts() == [("success", 0)]
    assert (await stage.shares())[0]["state"] == "finished"
    assert await balances(stage.shop) == {"sales": -received, "wechat": received - 2000, "shared": 2000}


async def test_a_connections_twelfth_share_is_as_good_as_its_first(stage: Stage) -> None:
    """From its sixth execution on a statement has one plan for all, which knows no values."""
    for n in range(12):
        assert (await stage.share(100, cause=f"commission:{n}")).status_code == 201
        await stage.go_on()
    assert len(await stage.parts()) == 12


async def test_what_may_not_be_shared_is_named(stage: Stage) -> None:
    most = await _received(stage) * 3000 // 10_000
    over = (await stage.share(most + 1)).json()
    assert (over["code"], over["leftFen"]) == ("share_too_much", most)
    assert (await stage.share(100, receiver="999")).json()["code"] == "receiver_not_active"
    assert (await stage.share(100, parts=[])).status_code == 400
    part = {"receiverId": stage.receiver, "amountFen": 100, "description": "货款"}
    twice = await stage.share(100, parts=[part, {**part, "amountFen": 200}])
    assert (twice.status_code, [error["field"] for error in twice.json()["errors"]]) == (400, ["parts"])
    await stage.shared(most)
    assert (await stage.share(1, cause="more")).json()["code"] == "share_too_much"
    assert (await stage.share(1)).json()["code"] == "share_too_much"


async def test_at_once_after_the_payment_it_is_too_soon(shop: Shop) -> None:
    operator, buyer = await shop.operator(), await shop.buyer("bob")
    assert (await shop.http.put("/admin/v1/payout-policy", headers=operator.headers, json=RULES)).status_code == 200
    (sku,) = await shop.stocked(9, price_fen=5000)
    no = await shop.paid_order(buyer, {sku: 1})
    out_trade_no = await shop.sql.fetchval("SELECT out_trade_no FROM payment WHERE payable = $1", no)
    wish = {"cause": "c", "unfreeze": True, "description": "解冻"}
    assert (await operator.post(f"/payments/{out_trade_no}/shares", wish)).json()["code"] == "too_soon_to_share"
    assert (await operator.post("/payments/P00000000/shares", wish)).json()["code"] == "payment_not_found"


async def test_a_payment_that_was_not_opened_for_it_is_not_shared(shop: Shop) -> None:
    operator, buyer = await shop.operator(), await shop.buyer("bob")
    (sku,) = await shop.stocked(9)
    no = await shop.paid_order(buyer, {sku: 1})
    out_trade_no = await shop.sql.fetchval("SELECT out_trade_no FROM payment WHERE payable = $1", no)
    wish = {"cause": "c", "unfreeze": True, "description": "解冻"}
    assert (await operator.post(f"/payments/{out_trade_no}/shares", wish)).json()["code"] == "not_shared"


async def test_money_that_pays_for_nothing_is_neither_shared_nor_declared(shop: Shop) -> None:
    """A wrong amount, on which a person must decide: it may have to go back whole."""
    operator, buyer = await shop.operator(), await shop.buyer("odd")
    decide = {"latePayment": "refund", "wrongAmount": "decide"}
    for path, body in (
        ("payout-policy", RULES),
        ("payment-policy", {**decide, "refundApprovalAboveFen": None, "payoutApprovalAboveFen": None}),
    ):
        assert (await shop.http.put(f"/admin/v1/{path}", headers=operator.headers, json=body)).status_code == 200
    (sku,) = await shop.stocked(9, price_fen=5000)
    out_trade_no = await buyer.prepay(await buyer.order({sku: 1}))
    await shop.sql.execute("UPDATE payment SET amount_fen = amount_fen + 1")
    shop.world.pay(out_trade_no)
    assert (await shop.notify()).status_code == 204
    shop.world.skip(minutes=2)
    for path, wish, code in (
        ("shares", {"cause": "c", "unfreeze": True, "description": "解冻"}, "not_shared"),
        ("declarations", {"customs": "NINGBO", "merchantCustomsNo": "310114K001"}, "not_declarable"),
    ):
        answer = await operator.post(f"/payments/{out_trade_no}/{path}", wish)
        assert (answer.status_code, answer.json()["code"]) == (409, code)


@pytest.mark.parametrize("effect", ["timeout_after", "500_after", "500", "unsigned"])
async def test_a_lost_answer_shares_once(stage: Stage, effect: str) -> None:
    number = (await stage.share(2000)).json()["outOrderNo"]
    stage.shop.world.faults(method="POST", path="profitsharing/orders$", times=1, effect=effect, seconds=0.01)
    with pytest.raises(Unknown):
        await stage.shop.worker.handlers()["payments.share"](number)
    await stage.go_on(2)
    assert await stage.parts() == [("success", 0)]
    assert (await balances(stage.shop))["shared"] == 2000
    orders = stage.shop.world.http.get("/_sandbox/sharing").json()["orders"]
    assert len([order for order in orders if order["out_order_no"] == number]) == 1


async def test_two_staff_at_once_share_no_more_than_there_is(stage: Stage) -> None:
    most = await _received(stage) * 3000 // 10_000
    each = most // 2
    answers = await asyncio.gather(*(stage.share(each, cause=f"c{n}") for n in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 422, 422, 422]
    await stage.go_on(2)
    assert (await balances(stage.shop))["shared"] == 2 * each


async def test_a_part_that_wechat_closes_is_free_again(stage: Stage) -> None:
    stage.shop.world.tell("sharing/accounts", account=MERCHANT, share_fails="RECEIVER_HIGH_RISK")
    await stage.shared(2000)
    (share,) = await stage.shares()
    assert (share["parts"][0]["state"], share["parts"][0]["failReason"]) == ("closed", "RECEIVER_HIGH_RISK")
    assert await stage.shop.sql.fetchval("SELECT shared_fen FROM payment") == 0
    assert "shared" not in await balances(stage.shop)
    assert await cases(stage.shop) == ["share_closed"]
    stage.shop.world.tell("sharing/accounts", account=MERCHANT)
    await stage.shared(2000, cause="again")
    assert (await balances(stage.shop))["shared"] == 2000


async def test_with_the_rest_unfrozen_nothing_more_is_shared(stage: Stage) -> None:
    await stage.shared(2000, unfreeze=True)
    assert (await stage.share(1, cause="more")).json()["code"] == "sharing_over"
    assert await cases(stage.shop) == []


async def test_after_thirty_days_nothing_is_frozen(stage: Stage) -> None:
    async with stage.shop.db.begin() as session:
        from payments.payouts import locking, sharing  # noqa: PLC0415

        payment = await locking.by_number(session, stage.out_trade_no)
        at = payment.received_at
        assert at is not None
        assert not await sharing.is_unfrozen(session, payment, at)
        assert await sharing.is_unfrozen(session, payment, at + sharing.SHARE_UNTIL)


async def test_part_of_a_share_comes_back(stage: Stage) -> None:
    number = await stage.shared(2000)
    path, wish = f"/shares/{number}/parts/1/returns", {"amountFen": 500, "description": "多分了"}
    assert (await stage.operator.post(path, wish)).status_code == 201
    assert (await stage.operator.post(path, wish | {"amountFen": 1501})).json()["code"] == "return_too_much"
    assert (await stage.operator.post(f"/shares/{number}/parts/2/returns", wish)).json()["code"] == "part_not_found"
    stage.shop.world.faults(method="POST", path="return-orders$", times=1, effect="500_after")
    with pytest.raises(Unknown):
        await stage.go_on()
    await stage.go_on(2)
    assert await stage.parts() == [("success", 500)]
    assert (await balances(stage.shop))["shared"] == 1500
    assert await stage.shop.sql.fetchval("SELECT shared_fen FROM payment") == 1500


async def test_a_refund_waits_for_the_shares_and_then_goes_by_itself(stage: Stage) -> None:
    received = await _received(stage)
    await stage.shared(2000)
    await stage.refund()
    await stage.shop.run_jobs()
    waits = await stage.shop.sql.fetchrow("SELECT state, waiting_for FROM refund")
    assert tuple(waits) == ("requested", "shares")
    await stage.go_on(6)
    assert await stage.parts() == [("success", 2000)]
    assert [share["unfreeze"] for share in await stage.shares()] == [False, True]
    assert await stage.refund_state() == "succeeded"
    refunded = int(await stage.shop.sql.fetchval("SELECT amount_fen FROM refund"))
    assert await balances(stage.shop) == {"sales": refunded - received, "wechat": received - refunded}
    assert await cases(stage.shop) == []
    stage.shop.mailbox.clear()


async def test_a_refund_of_what_nobody_shared_does_not_wait(stage: Stage) -> None:
    await stage.refund()
    await stage.go_on(1)
    assert (await stage.refund_state(), await stage.shares()) == ("succeeded", [])
    stage.shop.mailbox.clear()


async def test_nothing_is_shared_that_is_promised_back(stage: Stage) -> None:
    received = await _received(stage)
    answer = await stage.operator.refund(stage.no, {stage.line: 2})
    assert answer.status_code == 201
    refunded = int(await stage.shop.sql.fetchval("SELECT refunded_fen FROM payment"))
    assert (await stage.share(1)).json()["leftFen"] == min(received * 3 // 10, received - refunded)
    with pytest.raises(Exception, match="shares and refunds exceed"):
        await stage.shop.sql.execute("UPDATE payment SET shared_fen = received_fen")
    await stage.go_on(1)
    stage.shop.mailbox.clear()


async def test_a_return_that_fails_is_a_case_and_tried_again(stage: Stage) -> None:
    await stage.shared(2000)
    stage.shop.world.tell("sharing/accounts", account=MERCHANT, return_fails="BALANCE_NOT_ENOUGH")
    await stage.refund()
    await stage.go_on(3)
    assert (await stage.refund_state(), await cases(stage.shop)) == ("requested", ["share_return_failed"])
    stage.shop.world.tell("sharing/accounts", account=MERCHANT)
    stage.shop.world.skip(minutes=10)
    await stage.go_on(6)
    assert (await stage.refund_state(), await stage.parts()) == ("succeeded", [("success", 2000)])
    stage.shop.mailbox.clear()


async def test_what_staff_brought_back_before_is_no_try_in_vain(stage: Stage) -> None:
    number = await stage.shared(2000)
    wish = {"amountFen": 500, "description": "多分了"}
    assert (await stage.operator.post(f"/shares/{number}/parts/1/returns", wish)).status_code == 201
    await stage.go_on()
    assert await stage.parts() == [("success", 500)]
    await stage.refund()
    await stage.go_on(2)
    assert await stage.parts() == [("success", 2000)], "the rest is fetched at once"
    await stage.go_on(4)
    assert (await stage.refund_state(), await cases(stage.shop)) == ("succeeded", [])
    stage.shop.mailbox.clear()


async def test_a_person_cannot_give_back_so_somebody_must_look(stage: Stage) -> None:
    openid = await stage.shop.sql.fetchval("SELECT openid FROM identity LIMIT 1")
    person = await stage.receiver_of(openid, kind="PERSONAL_OPENID", relation="STAFF", name=None)
    number = await stage.shared(2000, receiver=person)
    back = await stage.operator.post(f"/shares/{number}/parts/1/returns", {"amountFen": 1, "description": "x"})
    assert (back.json()["code"], back.json()["why"]) == ("not_returnable", "personal")
    answer = await stage.operator.refund(stage.no, {stage.line: 2})
    assert answer.status_code == 201
    await stage.go_on(2)
    assert (await stage.refund_state(), await cases(stage.shop)) == ("requested", ["share_not_returnable"])


async def test_news_that_contradicts_is_a_case_and_books_nothing(stage: Stage) -> None:
    number = (await stage.share(2000)).json()["outOrderNo"]
    part = {"type": "MERCHANT_ID", "account": MERCHANT, "amount": 2000, "result": "SUCCESS"}
    lies: list[dict[str, Any]] = [
        {"receivers": [{**part, "amount": 2001}]},
        {"receivers": [{**part, "account": "1600000002"}]},
        {"receivers": []},
        {"receivers": [part], "transaction_id": "4200000000000000000000000000"},
        {"receivers": [part], "state": "MELTED"},
    ]
    for changed in lies:
        said = json.dumps({"out_order_no": number, "state": "FINISHED", **changed})
        order = msgspec.json.decode(said, type=SharingOrder)
        async with stage.shop.db.begin() as session:
            assert await sharing_pursuit.learn(session, order, stage.shop.world.clock.now()) == "share_mismatch"
    assert (await stage.parts(), await cases(stage.shop)) == ([("pending", 0)], ["share_mismatch"])
    await stage.go_on(1)


async def test_a_return_of_another_amount_is_a_case(stage: Stage) -> None:
    number = await stage.shared(2000)
    wish = {"amountFen": 500, "description": "多分了"}
    back = (await stage.operator.post(f"/shares/{number}/parts/1/returns", wish)).json()["outReturnNo"]
    said = SharingReturn(out_return_no=back, result="SUCCESS", amount=501)
    async with stage.shop.db.begin() as session:
        outcome = await return_pursuit.learn(session, said, stage.shop.world.clock.now())
    assert (outcome, await stage.shop.sql.fetchval("SELECT shared_fen FROM payment")) == ("share_return_mismatch", 2000)


async def test_a_receiver_is_added_once_and_removed(stage: Stage) -> None:
    wish = {"kind": "MERCHANT_ID", "account": MERCHANT, "relation": "SUPPLIER", "name": "茶农合作社"}
    assert (await stage.operator.post("/share-receivers", wish)).json()["code"] == "receiver_there"
    kept = await stage.shop.sql.fetchrow("SELECT state, sealed_name, named FROM share_receiver")
    assert tuple(kept) == ("active", None, True)
    assert (await stage.operator.post(f"/share-receivers/{stage.receiver}/remove")).json()["state"] == "removing"
    await stage.shop.run_jobs()
    assert (await stage.share(100)).json()["code"] == "receiver_not_active"
    nameless = {**wish, "account": "1600000003", "name": None}
    assert (await stage.operator.post("/share-receivers", nameless)).status_code == 400
    refused = await stage.receiver_of("123")
    rows = (await stage.operator.get("/share-receivers")).json()["items"]
    assert {row["id"]: row["state"] for row in rows}[refused] == "refused"
    assert await cases(stage.shop) == ["receiver_refused"]
