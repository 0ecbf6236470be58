"""Refunds that nobody asked us for, and news in the wrong order."""

import asyncio
from typing import Any

import pytest
from cast import Shop
from till_and_staff import Bought, ask, at_wechat, bought, late_money, swept

from payments import refunds
from payments.trades import RefundAmount, RefundTrade
from payments.wechatpay.gateway import Refused


async def _by_hand(order: Bought, number: str, amount_fen: int, total_fen: int | None = None) -> None:
    """Somebody refunds in the merchant portal: WeChat knows, and tells us."""
    gateway = order.shop.worker.gateway
    body = {
        "out_refund_no": number,
        "out_trade_no": order.out_trade_no,
        "notify_url": gateway.notify_url,
        "amount": {"refund": amount_fen, "total": total_fen or order.total_fen, "currency": "CNY"},
    }
    await gateway.connection.call("POST", "/v3/refund/domestic/refunds", body)


async def _letters(shop: Shop, times: int = 1) -> None:
    shop.world.skip(seconds=5)
    for _ in range(times):
        assert (await shop.notify()).status_code == 204


async def _learn(shop: Shop, trade: RefundTrade) -> str:
    async with shop.db.begin() as session:
        return await refunds.learn(session, shop.worker.payee, trade, shop.world.clock.now())


async def test_a_refund_made_in_the_portal_is_booked_like_ours(shop: Shop) -> None:
    order = await bought(shop, price_fen=999, quantity=3)
    await _by_hand(order, "50300808952026_|*@-1", 1000)
    await _letters(shop)
    (row,) = await order.rows()
    assert (row["out_refund_no"], row["origin"], row["state"]) == ("50300808952026_|*@-1", "portal", "succeeded")
    seen = await order.seen()
    assert (seen["refundedFen"], seen["state"], seen["lines"][0]["refundedQuantity"]) == (1000, "paid", 0)
    assert (await order.payment())["refunded_fen"] == 1000
    assert [(debit, credit) for _, debit, credit, _ in await order.postings()] == [
        ("wechat", "sales"),
        ("sales", "refunds_payable"),
        ("refunds_payable", "wechat"),
    ]
    operator = await shop.operator()
    shown = await operator.get("/refunds/50300808952026_|*@-1")
    assert (shown.status_code, shown.json()["origin"], len(shown.json()["postings"])) == (200, "portal", 2)
    await _by_hand(order, "50300808952026_|*@-2", order.total_fen - 1000)
    await _letters(shop)
    assert (await order.seen())["state"] == "refunded"
    assert await shop.stock(order.sku) == (10, 0, 0), "nothing will be sent, so it is on sale again"


async def test_a_refund_heard_of_before_its_payment(shop: Shop) -> None:
    buyer = await shop.buyer("early")
    (sku,) = await shop.stocked(5)
    no = await buyer.order({sku: 1})
    out_trade_no = await buyer.prepay(no)
    paid = shop.world.pay(out_trade_no)
    payment_letter = shop.mailbox.take()
    total_fen = int(
        paid["amount"]["total"] if "amount" in paid else await shop.sql.fetchval("SELECT amount_fen FROM payment")
    )
    order = Bought(shop, buyer, no, "", sku, total_fen, out_trade_no)
    await _by_hand(order, "5030000000001", 300)
    await _letters(shop)
    assert await buyer.state(no) == "unpaid"
    assert await shop.sql.fetchval("SELECT count(*) FROM payment_exception") == 0
    await shop.run_jobs()
    seen = await order.seen()
    assert (seen["state"], seen["refundedFen"]) == ("paid", 300)
    assert (await order.rows())[0]["state"] == "succeeded"
    assert (await shop.notify(payment_letter)).status_code == 204
    assert (await order.seen())["state"] == "paid"
    assert await shop.sql.fetchval("SELECT count(*) FROM payment_exception") == 0


async def test_by_hand_and_by_us_at_once_comes_out_even(shop: Shop) -> None:
    """Our refund of late money and one by hand: WeChat takes only one, and we find out which."""
    late = await late_money(shop)
    await _by_hand(late, "5030000000002", late.total_fen)
    await _letters(shop)
    case = await shop.sql.fetchrow(
        "SELECT kind, payment_id, facts FROM payment_exception WHERE kind = 'unknown_refund'"
    )
    assert case["payment_id"] is not None
    number = (await late.rows())[0]["out_refund_no"]
    for _ in range(6):
        with pytest.raises(Refused, match="INVALIDREQUEST"):
            await shop.worker.submit_refund(number)
    await shop.worker.submit_refund(number)
    await shop.sql.execute("DELETE FROM pgqueuer WHERE entrypoint = 'payments.refund'")
    await shop.run_jobs()
    assert [(row["state"], row["origin"]) for row in await late.rows()] == [
        ("refused", "system"),
        ("succeeded", "portal"),
    ]
    open_kinds = await shop.sql.fetch(
        "SELECT kind FROM payment_exception WHERE resolved_at IS NULL AND kind LIKE '%refund'"
    )
    assert not open_kinds


async def test_a_refund_of_no_payment_of_ours_is_a_case(shop: Shop) -> None:
    await bought(shop)
    trade = RefundTrade(out_refund_no="X1", out_trade_no="Pnobody00001", status="SUCCESS")
    assert await _learn(shop, trade) == "unknown_refund"


async def test_staff_may_have_wechat_asked_about_any_number(shop: Shop) -> None:
    """A bill named it, or the portal: its news was lost."""
    operator, order = await shop.operator(), await bought(shop)
    assert (await operator.post("/refunds/5030000000003/refresh")).status_code == 404
    await _by_hand(order, "5030000000003", 250)
    shop.world.skip(seconds=5)
    shown = await operator.post("/refunds/5030000000003/refresh")
    assert (shown.status_code, shown.json()["state"], shown.json()["amountFen"]) == (200, "succeeded", 250)
    shop.mailbox.clear()


async def test_the_answer_the_news_and_our_question_at_once_end_it_once(shop: Shop) -> None:
    operator, order = await shop.operator(), await bought(shop)
    for part in range(3):
        number = (await ask(operator, order.no, amountFen=100)).json()["refund"]["no"]
        await swept(shop, seconds=70 * part + 1)
        shop.world.skip(seconds=5)
        letter = shop.mailbox.take()
        trade: Any = await shop.worker.gateway.query_refund(number)
        worker = shop.worker
        await asyncio.gather(
            shop.notify(letter),
            shop.notify(letter),
            _learn(shop, trade),
            refunds.ask(worker.db, worker.gateway, worker.payee, worker.clock, number),
        )
    assert [row["state"] for row in await order.rows()] == ["succeeded"] * 3
    done = [cause for cause, *_ in await order.postings() if cause.startswith("refunded:")]
    assert len(done) == 3
    events = (await operator.get(f"/orders/{order.no}")).json()["events"]
    assert [event["what"] for event in events].count("refund_done") == 3
    assert {refund["status"] for refund in at_wechat(shop) if refund["out_trade_no"] == order.out_trade_no} == {
        "SUCCESS"
    }


async def test_two_who_hear_of_it_at_once_write_it_down_once(shop: Shop) -> None:
    """The news and a question: the second waits for the payment, and finds what the first has written."""
    order = await bought(shop)
    await _by_hand(order, "5030000000004", order.total_fen)
    shop.world.skip(seconds=5)
    trade: Any = await shop.worker.gateway.query_refund("5030000000004")
    async with shop.sql.transaction():
        await shop.sql.execute("SELECT FROM payment WHERE out_trade_no = $1 FOR UPDATE", order.out_trade_no)
        both = [asyncio.create_task(_learn(shop, trade)) for _ in range(2)]
        async with asyncio.timeout(10):
            while await shop.sql.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") < len(both):
                await asyncio.sleep(0.01)
    assert sorted(await asyncio.gather(*both)) == ["known", "succeeded"]
    assert [row["state"] for row in await order.rows()] == ["succeeded"]
    assert await shop.sql.fetchval("SELECT count(*) FROM payment_exception") == 0
    shop.mailbox.clear()


@pytest.mark.parametrize(
    "theirs",
    [{"mchid": "1999999999"}, {"sub_mchid": "1999999998"}, {"transaction_id": "4200000000202601010000000000"}],
)
async def test_one_of_another_account_or_payment_is_not_ours(shop: Shop, theirs: dict[str, Any]) -> None:
    """It names a number of ours all the same."""
    order = await bought(shop)
    said = {"out_refund_no": "5030000000005", "out_trade_no": order.out_trade_no, "status": "SUCCESS"}
    trade = RefundTrade(**said, amount=RefundAmount(refund=100), **theirs)
    assert await _learn(shop, trade) == "unknown_refund"
    assert (await order.rows(), (await order.payment())["refunded_fen"]) == ([], 0)


@pytest.mark.parametrize(
    "theirs",
    [
        {"amount": RefundAmount(refund=501)},
        {"mchid": "1999999999"},
        {"sub_mchid": "1999999998"},
        {"out_trade_no": "Pnobody00001"},
        {"transaction_id": "4200000000202601010000000000"},
        {"status": "MELTED"},
    ],
)
async def test_news_that_contradicts_what_we_asked_is_a_case_and_moves_nothing(
    shop: Shop, theirs: dict[str, Any]
) -> None:
    operator, order = await shop.operator(), await bought(shop)
    number = (await ask(operator, order.no, amountFen=500)).json()["refund"]["no"]
    trade = RefundTrade(**{"out_refund_no": number, "status": "SUCCESS", **theirs})
    assert await _learn(shop, trade) == "refund_mismatch"
    shown = (await operator.get(f"/refunds/{number}")).json()
    assert (shown["state"], [case["kind"] for case in shown["cases"]]) == ("requested", ["refund_mismatch"])
    assert [posting["cause"] for posting in shown["postings"]] == [f"refund:{number}"]
