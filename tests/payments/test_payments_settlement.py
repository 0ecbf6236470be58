"""Money that does not fit: it goes back, it revives an order, or it waits for a person, as the shop says; and it is booked."""

from typing import Any

import asyncpg
import pytest
from cast import Buyer, Operator, Shop

POLICY = {
    "latePayment": "refund",
    "wrongAmount": "refund",
    "refundApprovalAboveFen": None,
    "payoutApprovalAboveFen": None,
}


async def _policy(operator: Operator, **changed: Any) -> None:
    headers = operator.headers
    answer = await operator.shop.http.put("/admin/v1/payment-policy", headers=headers, json={**POLICY, **changed})
    assert answer.status_code == 200, answer.text


async def _balances(operator: Operator) -> dict[str, int]:
    answer = await operator.get("/ledger/balances")
    assert answer.status_code == 200, answer.text
    return {row["account"]: row["balanceFen"] for row in answer.json()["accounts"]}


async def _paid_after_close(shop: Shop, buyer: Buyer, sku: int, pieces: int = 2) -> str:
    """An order that was cancelled while the buyer confirmed the payment: the money lands after the close."""
    no = await buyer.order({sku: pieces})
    out_trade_no = await buyer.prepay(no)
    await buyer.post(f"/orders/{no}/cancel", {})
    assert await buyer.state(no) == "cancelled"
    shop.world.pay(out_trade_no, raced=True)
    assert (await shop.notify()).status_code == 204
    return no


async def test_late_money_goes_back_unless_the_shop_says_otherwise(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    no = await _paid_after_close(shop, buyer, sku)
    assert await buyer.state(no) == "cancelled"
    assert await shop.sql.fetchval("SELECT count(*) FROM refund WHERE payable = $1", no) == 1


async def test_late_money_revives_the_order_while_the_goods_are_there(shop: Shop) -> None:
    buyer, operator = await shop.buyer("alice"), await shop.operator()
    await _policy(operator, latePayment="revive")
    (sku,) = await shop.stocked(5)
    no = await _paid_after_close(shop, buyer, sku)
    assert await buyer.state(no) == "paid"
    assert await shop.stock(sku) == (3, 0, 2)
    assert await shop.sql.fetchval("SELECT count(*) FROM refund") == 0
    log = [
        row["what"]
        for row in await shop.sql.fetch(
            "SELECT e.what FROM order_event e JOIN orders o ON o.id = e.order_id WHERE o.no = $1 ORDER BY e.id", no
        )
    ]
    assert log[-1] == "revived"
    assert await _balances(operator) == {"wechat": 2800, "sales": -2800}


async def test_late_money_goes_back_when_the_goods_are_gone(shop: Shop) -> None:
    alice, bob, operator = await shop.buyer("alice"), await shop.buyer("bob"), await shop.operator()
    await _policy(operator, latePayment="revive")
    (sku,) = await shop.stocked(2)
    no = await alice.order({sku: 2})
    out_trade_no = await alice.prepay(no)
    await alice.post(f"/orders/{no}/cancel", {})
    await bob.order({sku: 1})
    shop.world.pay(out_trade_no, raced=True)
    assert (await shop.notify()).status_code == 204
    assert await alice.state(no) == "cancelled"
    assert await shop.stock(sku) == (1, 1, 0)
    assert await shop.sql.fetchval("SELECT state FROM refund WHERE payable = $1", no) == "requested"


async def test_an_order_is_revived_once(shop: Shop) -> None:
    """Two attempts of one order both paid late: the first revives it, the second goes back."""
    buyer, operator = await shop.buyer("alice"), await shop.operator()
    await _policy(operator, latePayment="revive")
    (sku,) = await shop.stocked(9)
    no = await buyer.order({sku: 1})
    first = await buyer.prepay(no)
    shop.world.skip(minutes=115)  # the prepay_id is used up; WeChat closed nothing yet
    await shop.sql.execute(
        "UPDATE orders SET pay_by = pay_by + interval '3 hours', close_at = close_at + interval '3 hours'"
    )
    second = await buyer.prepay(no)
    assert first != second
    await buyer.post(f"/orders/{no}/cancel", {})
    for out_trade_no in (first, second):
        shop.world.pay(out_trade_no, raced=True)
        assert (await shop.notify()).status_code == 204
    assert await buyer.state(no) == "paid"
    states = await shop.sql.fetch("SELECT applied, refunded_fen FROM payment WHERE payable = $1 ORDER BY id", no)
    assert [tuple(row) for row in states] == [(True, 0), (False, 1800)]


async def _wrong_amount(shop: Shop, buyer: Buyer, sku: int) -> str:
    """WeChat takes another amount than we think we asked (the row is changed, as a fault of ours would)."""
    no = await buyer.order({sku: 1})
    out_trade_no = await buyer.prepay(no)
    await shop.sql.execute("UPDATE payment SET amount_fen = 900 WHERE out_trade_no = $1", out_trade_no)
    shop.world.pay(out_trade_no)
    assert (await shop.notify()).status_code == 204
    return no


async def test_a_wrong_amount_goes_back_at_once(shop: Shop) -> None:
    buyer, operator = await shop.buyer("alice"), await shop.operator()
    (sku,) = await shop.stocked(5)
    no = await _wrong_amount(shop, buyer, sku)
    assert await buyer.state(no) == "unpaid"
    (case,) = (await operator.get("/payment-exceptions", openOnly="true")).json()["items"]
    assert (case["kind"], case["facts"]["paid_fen"], case["refund"]["state"]) == ("amount_mismatch", 1800, "requested")
    assert case["actions"] == ["resolve"]


async def test_a_wrong_amount_waits_for_a_person_if_the_shop_wants_that(shop: Shop) -> None:
    buyer, operator = await shop.buyer("alice"), await shop.operator()
    await _policy(operator, wrongAmount="decide")
    (sku,) = await shop.stocked(5)
    no = await _wrong_amount(shop, buyer, sku)
    assert await shop.sql.fetchval("SELECT count(*) FROM refund") == 0
    assert await _balances(operator) == {"wechat": 1800, "unapplied": -1800}
    (case,) = (await operator.get("/payment-exceptions", openOnly="true")).json()["items"]
    assert case["actions"] == ["resolve", "sendBack", "apply"]
    sent = await operator.post(f"/payment-exceptions/{case['id']}/send-back")
    assert (sent.status_code, sent.json()["refund"]["state"]) == (200, "requested")
    assert (await operator.post(f"/payment-exceptions/{case['id']}/send-back")).json()["code"] == "already_resolved"
    await shop.run_jobs()
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    assert await shop.sql.fetchval("SELECT state FROM refund WHERE payable = $1", no) == "succeeded"
    assert await _balances(operator) == {"wechat": 0, "unapplied": 0, "refunds_payable": 0}


async def test_money_that_was_held_may_be_applied_when_it_fits(shop: Shop) -> None:
    buyer, operator = await shop.buyer("alice"), await shop.operator()
    await _policy(operator, wrongAmount="decide")
    (sku,) = await shop.stocked(5)
    no = await _wrong_amount(shop, buyer, sku)
    (case,) = (await operator.get("/payment-exceptions", openOnly="true")).json()["items"]
    await shop.sql.execute("UPDATE orders SET goods_fen = 900, total_fen = total_fen - 100 WHERE no = $1", no)
    refused = await operator.post(f"/payment-exceptions/{case['id']}/apply")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_applicable")
    assert await buyer.state(no) == "unpaid"
    await shop.sql.execute("UPDATE orders SET goods_fen = 1000, total_fen = total_fen + 100 WHERE no = $1", no)
    done = await operator.post(f"/payment-exceptions/{case['id']}/apply", key="apply-it-once")
    assert (done.status_code, done.json()["resolution"]) == (200, "applied")
    assert (await operator.post(f"/payment-exceptions/{case['id']}/apply", key="apply-it-once")).text == done.text
    assert await buyer.state(no) == "paid"
    assert await shop.stock(sku) == (4, 0, 1)
    assert await _balances(operator) == {"wechat": 1800, "unapplied": 0, "sales": -1800}


async def _refused_send_back(shop: Shop, operator: Operator, no: str) -> tuple[str, str]:
    """Held money was to go back, and WeChat refused that: the refund's number, and the case."""
    (case,) = (await operator.get("/payment-exceptions", openOnly="true")).json()["items"]
    sent = await operator.post(f"/payment-exceptions/{case['id']}/send-back")
    shop.world.faults(method="POST", path=".*/refunds", effect="refused", status=403, code="NO_AUTH")
    await shop.run_jobs()
    assert await shop.sql.fetchval("SELECT state FROM refund WHERE payable = $1", no) == "refused"
    (case,) = (await operator.get("/payment-exceptions", openOnly="true")).json()["items"]
    assert (case["kind"], case["actions"]) == ("refund_refused", ["resolve", "apply", "retryRefund"])
    return sent.json()["refund"]["outRefundNo"], case["id"]


async def test_money_that_wechat_sends_back_all_the_same_pays_nothing(shop: Shop) -> None:
    """Refused here and done there: applied on top of it, the goods would be given away."""
    buyer, operator = await shop.buyer("alice"), await shop.operator()
    await _policy(operator, wrongAmount="decide")
    (sku,) = await shop.stocked(5)
    no = await _wrong_amount(shop, buyer, sku)
    number, case = await _refused_send_back(shop, operator, no)
    out_trade_no = await shop.sql.fetchval("SELECT out_trade_no FROM payment WHERE payable = $1", no)
    await shop.worker.gateway.refund(
        out_refund_no=number, out_trade_no=out_trade_no, amount_fen=1800, total_fen=1800, reason="x"
    )
    shop.world.faults(method="GET", path=".*/refunds/", effect="refused", status=403, code="NO_AUTH")
    silent = await operator.post(f"/payment-exceptions/{case}/apply")
    assert (silent.status_code, silent.json()["code"]) == (503, "we_chat_pay_unknown")
    refused = await operator.post(f"/payment-exceptions/{case}/apply")
    assert (refused.status_code, refused.json()["code"]) == (409, "nothing_held")
    assert await buyer.state(no) == "unpaid"
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    assert await shop.sql.fetchval("SELECT state FROM refund WHERE payable = $1", no) == "succeeded"


async def test_money_whose_refund_wechat_never_had_may_still_pay(shop: Shop) -> None:
    buyer, operator = await shop.buyer("alice"), await shop.operator()
    await _policy(operator, wrongAmount="decide")
    (sku,) = await shop.stocked(5)
    no = await _wrong_amount(shop, buyer, sku)
    _number, case = await _refused_send_back(shop, operator, no)
    done = await operator.post(f"/payment-exceptions/{case}/apply", key="apply-it-once")
    assert (done.status_code, done.json()["resolution"], await buyer.state(no)) == (200, "applied", "paid")
    assert (await operator.post(f"/payment-exceptions/{case}/apply", key="apply-it-once")).text == done.text


async def test_money_of_another_currency_pays_nothing_by_any_of_its_cases(shop: Shop) -> None:
    """A hundred fen are not a hundred cents; only the first case says which they are, and the second is open."""
    buyer, operator = await shop.buyer("alice"), await shop.operator()
    await _policy(operator, wrongAmount="decide")
    (sku,) = await shop.stocked(5)
    no = await buyer.order({sku: 1})
    out_trade_no = await buyer.prepay(no)
    await shop.sql.execute("UPDATE payment SET currency = 'HKD' WHERE out_trade_no = $1", out_trade_no)
    shop.world.pay(out_trade_no)
    assert (await shop.notify()).status_code == 204
    _number, case = await _refused_send_back(shop, operator, no)
    refused = await operator.post(f"/payment-exceptions/{case}/apply")
    assert (refused.status_code, refused.json()["code"]) == (409, "not_applicable")
    assert "currency" in refused.json()["detail"]
    assert await buyer.state(no) == "unpaid"


async def test_money_that_is_applied_leaves_no_sheet_open_to_pay_twice(shop: Shop) -> None:
    buyer, operator = await shop.buyer("alice"), await shop.operator()
    await _policy(operator, wrongAmount="decide")
    (sku,) = await shop.stocked(5)
    no = await _wrong_amount(shop, buyer, sku)
    sheet = await buyer.prepay(no)
    (case,) = (await operator.get("/payment-exceptions", openOnly="true")).json()["items"]
    assert (await operator.post(f"/payment-exceptions/{case['id']}/apply")).status_code == 200
    await shop.run_jobs()
    trade = await shop.worker.gateway.query(sheet)
    assert trade is not None
    assert trade.trade_state == "CLOSED"
    assert await shop.sql.fetchval("SELECT state FROM payment WHERE out_trade_no = $1", sheet) == "closed"


async def test_the_ledger_tells_where_every_fen_is(shop: Shop) -> None:
    buyer, operator = await shop.buyer("alice"), await shop.operator()
    (sku,) = await shop.stocked(5)
    no = await shop.paid_order(buyer, {sku: 3})
    (line,) = (await buyer.get(f"/orders/{no}")).json()["lines"]
    await operator.refund(no, {line["id"]: 1})
    assert await _balances(operator) == {"wechat": 3800, "sales": -2800, "refunds_payable": -1000}
    await shop.run_jobs()
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    assert await _balances(operator) == {"wechat": 2800, "sales": -2800, "refunds_payable": 0}
    postings = (await operator.get("/ledger/postings", payable=no)).json()["items"]
    assert [p["cause"].partition(":")[0] for p in postings] == ["refunded", "refund", "received"]
    page = (await operator.get("/ledger/postings", account="sales", limit=1)).json()
    assert len(page["items"]) == 1
    assert page["nextCursor"]


async def test_the_ledger_cannot_be_changed(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    await shop.paid_order(buyer, {sku: 1})
    for statement in ("UPDATE posting SET amount_fen = 1", "DELETE FROM posting"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await shop.sql.execute(statement)


async def test_the_policy_is_whole_and_audited(shop: Shop) -> None:
    operator = await shop.operator()
    half = {k: v for k, v in POLICY.items() if k != "latePayment"}
    put = operator.shop.http.put
    assert (await put("/admin/v1/payment-policy", headers=operator.headers, json=half)).status_code == 400
    strange = {**POLICY, "wrongAmount": "keep"}
    assert (await put("/admin/v1/payment-policy", headers=operator.headers, json=strange)).status_code == 400
    await _policy(operator, refundApprovalAboveFen=50_000)
    assert (await operator.get("/payment-policy")).json() == {**POLICY, "refundApprovalAboveFen": 50_000}
    assert await shop.sql.fetchval("SELECT count(*) FROM audit_entry WHERE action = 'payment_policy.put'") == 1
    second = {
        "latePayment": "revive",
        "wrongAmount": "decide",
        "refundApprovalAboveFen": 100,
        "payoutApprovalAboveFen": 0,
    }
    await _policy(operator, **second)
    assert (await operator.get("/payment-policy")).json() == second
