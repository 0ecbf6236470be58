"""Above a limit a second person decides."""

import asyncio

from cast import Shop
from till_and_staff import another, ask, bought, heard, late_money, policy


async def test_above_the_limit_another_person_approves(shop: Shop) -> None:
    first = await shop.operator()
    second, clerk = await another(first), await another(first, "clerk", "clerk")
    await policy(first, refundApprovalAboveFen=1000)
    order = await bought(shop)
    answer = await ask(first, order.no, lines=[{"lineId": order.line, "quantity": 2}])
    assert (answer.status_code, answer.json()["refund"]["state"]) == (201, "waiting")
    number = answer.json()["refund"]["no"]
    assert await shop.sql.fetchval("SELECT count(*) FROM pgqueuer") == 0
    assert (await order.seen())["refundedFen"] == order.total_fen, "what waits is claimed"
    assert await shop.stock(order.sku) == (8, 0, 2), "and its goods wait with it"
    assert (await ask(second, order.no, amountFen=1)).status_code == 422
    listed = (await second.get("/refunds", state="waiting")).json()["items"]
    assert [(row["outRefundNo"], row["actions"]) for row in listed] == [(number, ["approve", "reject"])]
    assert (await first.get(f"/refunds/{number}")).json()["actions"] == []

    own = await first.post(f"/refunds/{number}/approve")
    assert (own.status_code, own.json()["code"]) == (403, "own_refund")
    own = await first.post(f"/refunds/{number}/reject", {"reason": "x"})
    assert (own.status_code, own.json()["code"]) == (403, "own_refund")
    weak = await clerk.post(f"/refunds/{number}/approve")
    assert (weak.status_code, weak.json()["code"]) == (403, "not_permitted")

    approved = await second.post(f"/refunds/{number}/approve", key="approve-once")
    assert (approved.status_code, approved.json()["state"]) == (200, "requested")
    assert (await second.post(f"/refunds/{number}/approve", key="approve-once")).text == approved.text
    twice = await second.post(f"/refunds/{number}/approve")
    assert (twice.status_code, twice.json()["code"]) == (409, "refund_not_waiting")
    await heard(shop)
    assert (await order.seen())["state"] == "refunded"
    assert await shop.stock(order.sku) == (10, 0, 0)
    (row,) = await order.rows()
    assert (row["requested_by"] != row["decided_by"], row["state"]) == (True, "succeeded")
    done = await shop.sql.fetch("SELECT action FROM audit_entry WHERE subject = $1", number)
    assert [entry["action"] for entry in done] == ["refund.approve"]


async def test_a_rejection_frees_what_was_claimed_and_the_order_is_told(shop: Shop) -> None:
    first = await shop.operator()
    second = await another(first)
    await policy(first, refundApprovalAboveFen=1000)
    order = await bought(shop)
    number = (await ask(first, order.no, amountFen=order.total_fen)).json()["refund"]["no"]
    answer = await second.post(f"/refunds/{number}/reject", {"reason": "货已签收"})
    assert (answer.status_code, answer.json()["state"], answer.json()["actions"]) == (200, "rejected", [])
    seen = await order.seen()
    assert (seen["refundedFen"], seen["refunds"][0]["state"], seen["refunds"][0]["stateText"]) == (
        0,
        "rejected",
        "商家未同意退款",
    )
    assert await shop.stock(order.sku) == (8, 0, 2)
    sales = (await order.buyer.get(f"/orders/{order.no}/after-sales")).json()
    assert (sales[0]["state"], sales[0]["refund"]["state"]) == ("failed", "rejected")
    log = (await first.get(f"/orders/{order.no}")).json()["events"]
    assert log[-1]["what"] == "refund_rejected"
    assert log[-1]["by"].startswith("staff:")
    assert (await first.get(f"/refunds/{number}")).json()["lastError"] == "货已签收"
    assert await shop.sql.fetchval("SELECT facts FROM audit_entry WHERE action = 'refund.reject'") == "{}"
    assert [(cause.partition(":")[0], fen) for cause, _, _, fen in (await order.postings())[1:]] == [
        ("refund", order.total_fen),
        ("refund_ended", order.total_fen),
    ]
    assert (await ask(first, order.no, amountFen=order.total_fen)).json()["refund"]["state"] == "waiting"


async def test_many_small_refunds_are_no_way_around_the_limit(shop: Shop) -> None:
    first = await shop.operator()
    second = await another(first)
    await policy(first, refundApprovalAboveFen=1000)
    order = await bought(shop)
    states = [(await ask(first, order.no, amountFen=400)).json()["refund"]["state"] for _ in range(3)]
    assert states == ["requested", "requested", "waiting"]
    waiting = (await order.rows())[-1]["out_refund_no"]
    assert (await second.post(f"/refunds/{waiting}/approve")).status_code == 200
    assert (await ask(first, order.no, amountFen=200)).json()["refund"]["state"] == "requested", (
        "800 + 200, the rest approved"
    )
    assert (await ask(second, order.no, amountFen=1)).json()["refund"]["state"] == "waiting", "whoever asks"


async def test_an_approval_and_a_rejection_at_once_are_one_decision(shop: Shop) -> None:
    first = await shop.operator()
    second = await another(first)
    third = await another(first, "third")
    await policy(first, refundApprovalAboveFen=0)
    for _ in range(4):
        order = await bought(shop)
        number = (await ask(first, order.no, amountFen=500)).json()["refund"]["no"]
        answers = await asyncio.gather(
            second.post(f"/refunds/{number}/approve"), third.post(f"/refunds/{number}/reject", {"reason": "x"})
        )
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        (row,) = await order.rows()
        assert row["state"] == ("requested" if answers[0].status_code == 200 else "rejected")
        assert (await order.payment())["refunded_fen"] == (500 if answers[0].status_code == 200 else 0)


async def test_money_that_must_not_stay_waits_for_nobody(shop: Shop) -> None:
    await policy(await shop.operator(), refundApprovalAboveFen=0)
    late = await late_money(shop)
    assert [row["state"] for row in await late.rows()] == ["requested"]
    assert [entry[:3] for entry in await late.postings()] == [
        (f"received:{late.out_trade_no}", "wechat", "unapplied"),
        (f"refund:{(await late.rows())[0]['out_refund_no']}", "unapplied", "refunds_payable"),
    ]


async def test_money_of_nobody_that_is_not_sent_back_stays_in_sight(shop: Shop) -> None:
    """A wrong amount that a person decides on: one wants it back, the other says no, and it is still nobody's."""
    first = await shop.operator()
    second = await another(first)
    await policy(first, wrongAmount="decide", refundApprovalAboveFen=0)
    buyer = await shop.buyer("odd")
    (sku,) = await shop.stocked(5)
    no = await buyer.order({sku: 1})
    out_trade_no = await buyer.prepay(no)
    await shop.sql.execute("UPDATE payment SET amount_fen = amount_fen + 1 WHERE out_trade_no = $1", out_trade_no)
    shop.world.pay(out_trade_no)
    assert (await shop.notify()).status_code == 204
    (case,) = (await first.get("/payment-exceptions", openOnly=True)).json()["items"]
    sent = await first.post(f"/payment-exceptions/{case['id']}/send-back")
    assert sent.json()["refund"]["state"] == "waiting"
    number = sent.json()["refund"]["outRefundNo"]
    assert (await second.post(f"/refunds/{number}/reject", {"reason": "客户改变主意"})).status_code == 200
    (case,) = (await first.get("/payment-exceptions", openOnly=True)).json()["items"]
    assert (case["kind"], case["actions"]) == ("refund_rejected", ["resolve", "sendBack", "apply"])
    again = await first.post(f"/payment-exceptions/{case['id']}/send-back")
    number = again.json()["refund"]["outRefundNo"]
    assert (await second.post(f"/refunds/{number}/approve")).json()["state"] == "requested"


async def test_wechat_has_a_refund_that_still_waits_here(shop: Shop) -> None:
    """A yes that was lost with a restored database: what WeChat did counts, and a person looks."""
    first = await shop.operator()
    await policy(first, refundApprovalAboveFen=1000)
    order = await bought(shop)
    number = (await ask(first, order.no, amountFen=order.total_fen)).json()["refund"]["no"]
    await shop.worker.gateway.refund(
        out_refund_no=number,
        out_trade_no=order.out_trade_no,
        amount_fen=order.total_fen,
        total_fen=order.total_fen,
        reason="x",
    )
    await heard(shop)
    assert (await order.seen())["state"] == "refunded"
    (case,) = (await first.get("/payment-exceptions", openOnly="true")).json()["items"]
    assert (case["kind"], case["reference"]) == ("refund_unapproved", number)
