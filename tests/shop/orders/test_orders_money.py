"""Money and goods: paid is shipped, unpaid goes back on sale, and what arrives too late returns by itself."""

import asyncio
from base64 import b64decode
from pathlib import Path
from typing import Any

from cast import Shop
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key


async def test_a_purchase(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    no = await buyer.order({a: 2})
    params = (await buyer.post(f"/orders/{no}/prepay")).json()
    assert params["signType"] == "RSA"
    assert params["package"].startswith("prepay_id=wx")
    _check_pay_sign(shop, params)
    out_trade_no = await buyer.prepay(no)
    shop.world.pay(out_trade_no)
    assert (await shop.notify()).status_code == 204
    order = (await buyer.get(f"/orders/{no}")).json()
    assert (order["state"], order["actions"], order["payLeftMs"]) == ("paid", [], None)
    assert await shop.stock(a) == (3, 0, 2)


def _check_pay_sign(shop: Shop, params: dict[str, str]) -> None:
    """Four lines, each ended by LF, signed with the merchant's key (WeChat Pay v3, `wx.requestPayment`)."""
    key: Any = load_pem_private_key(Path(shop.world.env["WECHAT_PAY_PRIVATE_KEY"]).read_bytes(), None)
    lines = [shop.world.env["WECHAT_APP_ID"], params["timeStamp"], params["nonceStr"], params["package"]]
    key.public_key().verify(
        b64decode(params["paySign"]), "".join(f"{x}\n" for x in lines).encode(), PKCS1v15(), SHA256()
    )


async def test_prepaying_again_reuses_the_attempt(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    no = await buyer.order({a: 1})
    first, second = await asyncio.gather(buyer.post(f"/orders/{no}/prepay"), buyer.post(f"/orders/{no}/prepay"))
    assert {first.status_code, second.status_code} == {200}
    assert await shop.sql.fetchval("SELECT count(*) FROM payment WHERE payable = $1", no) == 1


async def test_the_same_notice_fifty_times_at_once(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    no = await buyer.order({a: 1})
    shop.world.pay(await buyer.prepay(no))
    letter = shop.mailbox.take()
    answers = await asyncio.gather(*(shop.notify(letter) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {204}
    assert await shop.sql.fetchval("SELECT count(*) FROM order_event WHERE what = 'paid'") == 1
    assert await shop.stock(a) == (4, 0, 1)


async def test_a_late_notice_is_not_waited_for(shop: Shop) -> None:
    """The worker asks WeChat; the notice that comes at last changes nothing."""
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    no = await buyer.order({a: 1})
    shop.world.pay(await buyer.prepay(no))
    letter = shop.mailbox.take()
    shop.world.skip(seconds=10)
    await shop.worker.ask_payments()
    assert await buyer.state(no) == "paid"
    assert (await shop.notify(letter)).status_code == 204
    assert await shop.sql.fetchval("SELECT count(*) FROM payment_exception") == 0


async def test_the_client_may_have_wechat_asked(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    no = await buyer.order({a: 1})
    out_trade_no = await buyer.prepay(no)
    assert (await buyer.post(f"/orders/{no}/payment/refresh")).json()["state"] == "unpaid"
    shop.world.pay(out_trade_no)
    assert (await buyer.post(f"/orders/{no}/payment/refresh")).json()["state"] == "paid"


async def test_cancel_closes_at_wechat_first(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    no = await buyer.order({a: 2})
    out_trade_no = await buyer.prepay(no)
    answer = await buyer.post(f"/orders/{no}/cancel", {"reason": "不想要了"}, key="cancel-it-once")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert await shop.stock(a) == (5, 0, 0)
    assert [p["state"] for p in _payments(shop) if p["out_trade_no"] == out_trade_no] == ["CLOSED"]
    again = await buyer.post(f"/orders/{no}/cancel", {"reason": "不想要了"}, key="cancel-it-once")
    assert again.text == answer.text
    assert (await buyer.post(f"/orders/{no}/cancel", {})).status_code == 409
    assert (await buyer.post(f"/orders/{no}/prepay")).status_code == 409


def _payments(shop: Shop) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = shop.world.http.get("/_sandbox/payments").json()["items"]
    return items


async def test_cancel_of_what_was_paid_settles_it_and_is_a_409(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    no = await buyer.order({a: 2})
    shop.world.pay(await buyer.prepay(no))
    answer = await buyer.post(f"/orders/{no}/cancel", {})
    assert (answer.status_code, answer.json()["code"]) == (409, "already_paid")
    assert await buyer.state(no) == "paid"
    assert await shop.stock(a) == (3, 0, 2)


async def test_while_wechat_is_silent_goods_stay_reserved(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    no = await buyer.order({a: 2})
    await buyer.prepay(no)
    shop.world.faults(method="POST", path=".*/close", times=1, effect="500")
    answer = await buyer.post(f"/orders/{no}/cancel", {})
    assert (answer.status_code, answer.json()["code"]) == (503, "we_chat_pay_unknown")
    assert await buyer.state(no) == "closing"
    assert await shop.stock(a) == (3, 2, 0)
    assert (await buyer.post(f"/orders/{no}/prepay")).status_code == 409
    shop.world.skip(seconds=30)
    await shop.worker.close_orders()
    assert await buyer.state(no) == "cancelled"
    assert await shop.stock(a) == (5, 0, 0)


async def test_unpaid_orders_close_at_their_time(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    opened, untouched, paid = [await buyer.order({a: 1}) for _ in range(3)]
    await buyer.prepay(opened)
    shop.world.pay(await buyer.prepay(paid))
    shop.world.skip(minutes=29)
    await shop.worker.close_orders()
    assert [await buyer.state(no) for no in (opened, untouched)] == ["unpaid", "unpaid"]
    shop.world.skip(minutes=1, seconds=1)
    await shop.worker.close_orders()
    assert [await buyer.state(no) for no in (opened, untouched, paid)] == ["cancelled", "cancelled", "paid"]
    assert await shop.stock(a) == (4, 0, 1)


async def test_money_for_a_closed_order_goes_back_by_itself(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    no = await buyer.order({a: 1})
    out_trade_no = await buyer.prepay(no)
    shop.world.skip(minutes=31)
    await shop.worker.close_orders()
    assert await buyer.state(no) == "cancelled"
    shop.world.pay(out_trade_no, raced=True)
    assert (await shop.notify()).status_code == 204
    assert await buyer.state(no) == "cancelled"
    case = await shop.sql.fetchrow("SELECT kind, refund_id FROM payment_exception")
    assert case["kind"] == "paid_after_close"
    await shop.run_jobs()
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    refunds = (await buyer.get(f"/orders/{no}")).json()["refunds"]
    assert [refund["state"] for refund in refunds] == ["succeeded"]
    assert await shop.stock(a) == (5, 0, 0)


async def test_pay_and_cancel_at_the_same_moment(shop: Shop) -> None:
    """Paid, or cancelled with the money on its way back: never both, never neither."""
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(50)
    for _ in range(8):
        no = await buyer.order({a: 1})
        out_trade_no = await buyer.prepay(no)
        pay = asyncio.to_thread(shop.world.http.post, f"/_sandbox/payments/{out_trade_no}/pay", json={})
        cancelled, paid = await asyncio.gather(buyer.post(f"/orders/{no}/cancel", {}), pay)
        if paid.status_code == 200:
            assert (await shop.notify()).status_code == 204
        state = await buyer.state(no)
        assert (paid.status_code == 200, state) in {(True, "paid"), (False, "cancelled")}, (cancelled.text, paid.text)


async def test_a_wrong_amount_is_not_applied_and_goes_back(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    no = await buyer.order({a: 1})
    out_trade_no = await buyer.prepay(no)
    await shop.sql.execute("UPDATE payment SET amount_fen = amount_fen + 1 WHERE out_trade_no = $1", out_trade_no)
    shop.world.pay(out_trade_no)
    assert (await shop.notify()).status_code == 204
    assert await buyer.state(no) == "unpaid"
    assert await shop.sql.fetchval("SELECT kind FROM payment_exception") == "amount_mismatch"
    assert await shop.sql.fetchval("SELECT count(*) FROM refund WHERE state = 'requested'") == 1


async def test_money_for_a_number_that_is_not_ours_is_a_case(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    no = await buyer.order({a: 1})
    out_trade_no = await buyer.prepay(no)
    await shop.sql.execute("UPDATE payment SET out_trade_no = 'Psomethingelse0' WHERE out_trade_no = $1", out_trade_no)
    shop.world.pay(out_trade_no)
    assert (await shop.notify()).status_code == 204
    assert await shop.sql.fetchval("SELECT kind FROM payment_exception") == "unknown_order"
    assert await buyer.state(no) == "unpaid"


async def test_an_unknown_outcome_is_asked_with_the_same_number(shop: Shop) -> None:
    """The answer to prepay is lost after the work was done: the next try uses the same number and succeeds."""
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    no = await buyer.order({a: 1})
    shop.world.faults(method="POST", path=".*/jsapi", times=1, effect="500_after")
    answer = await buyer.post(f"/orders/{no}/prepay")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    first = await shop.sql.fetchval("SELECT out_trade_no FROM payment")
    assert await buyer.prepay(no) == first


async def test_an_answer_with_a_bad_signature_is_not_believed(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    (a,) = await shop.stocked(5)
    no = await buyer.order({a: 1})
    shop.world.faults(method="POST", path=".*/jsapi", times=1, effect="bad_response_signature")
    assert (await buyer.post(f"/orders/{no}/prepay")).status_code == 503
    assert (await buyer.post(f"/orders/{no}/prepay")).status_code == 200
