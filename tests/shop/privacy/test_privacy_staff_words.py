"""What staff wrote about a buyer is erased with the buyer: it stands nowhere that cannot be changed."""

from typing import Any

import pytest
from cast import Buyer, Operator, Shop

POLICY = {
    "latePayment": "refund",
    "wrongAmount": "refund",
    "refundApprovalAboveFen": 0,
    "payoutApprovalAboveFen": None,
}
SF = {"carrier": "SF", "trackingNo": "SF1234567890"}


async def _where(shop: Shop, words: str) -> list[str]:
    """The tables in which it stands, plain or in bytes."""
    rows = await shop.sql.fetch("SELECT format('%I', tablename) FROM pg_tables WHERE schemaname = 'public'")
    holds = "SELECT count(*) FROM {} t WHERE strpos(t::text, $1) + strpos(t::text, $2) > 0"
    return [row[0] for row in rows if await shop.sql.fetchval(holds.format(row[0]), words, words.encode().hex())]


async def _another(operator: Operator) -> Operator:
    account = {"login": "second", "password": "a long enough one"}
    assert (await operator.post("/staff", {**account, "name": "Second", "role": "manager"})).status_code == 201
    answer = await operator.shop.http.post("/admin/v1/sign-in", json=account)
    return Operator(operator.shop, answer.json()["accessToken"])


async def _done(asked: Any) -> dict[str, Any]:
    answer = await asked
    assert answer.is_success, answer.text
    return dict(answer.json() if answer.content else {})


@pytest.fixture
async def staff(shop: Shop) -> tuple[Operator, Operator]:
    """Two managers: every refund takes both."""
    first = await shop.operator()
    await _done(shop.http.put("/admin/v1/payment-policy", headers=first.headers, json=POLICY))
    return first, await _another(first)


async def _left_unpaid(shop: Shop, buyer: Buyer, boss: Operator, sku: int) -> list[str]:
    no = await buyer.order({sku: 1})
    await _done(boss.post(f"/orders/{no}/reprice", {"totalFen": 900, "reason": "words-of-a-new-price"}))
    await _done(boss.post(f"/orders/{no}/close", {"reason": "words-of-an-end"}))
    return ["words-of-a-new-price", "words-of-an-end"]


async def _refunds(shop: Shop, no: str, first: Operator, second: Operator) -> list[str]:
    """One that is rejected, and one that WeChat closes, so that somebody has to deal with it."""
    asked = await _done(first.refund(no, {}, amountFen=100, reason="words-of-a-wish"))
    await _done(second.post(f"/refunds/{asked['refund']['no']}/reject", {"reason": "words-of-a-no"}))
    asked = await _done(first.refund(no, {}, amountFen=200, reason="words-of-another-wish"))
    await _done(second.post(f"/refunds/{asked['refund']['no']}/approve"))
    await shop.run_jobs()
    shop.world.tell(f"refunds/{asked['refund']['no']}/state", status="CLOSED")
    assert (await shop.notify()).status_code == 204
    await _resolve(first, "refund_closed", "words-of-a-solution")
    return ["words-of-a-wish", "words-of-a-no", "words-of-another-wish", "words-of-a-solution"]


async def _resolve(boss: Operator, kind: str, words: str) -> None:
    (case,) = (await boss.get("/payment-exceptions", kind=kind)).json()["items"]
    await _done(boss.post(f"/payment-exceptions/{case['id']}/resolve", {"resolution": words}))


async def _completed(boss: Operator, buyer: Buyer, no: str) -> None:
    await _done(boss.post(f"/orders/{no}/ship", SF))
    await _done(buyer.post(f"/orders/{no}/confirm"))


async def _erased(buyer: Buyer) -> None:
    answer = await buyer.shop.http.delete("/api/v1/me", headers=buyer.headers)
    assert answer.status_code == 204, answer.text


async def test_what_staff_wrote_about_a_buyer_goes_with_the_buyer(shop: Shop, staff: tuple[Operator, Operator]) -> None:
    first, second = staff
    buyer, other = await shop.buyer("alice"), await shop.buyer("bob")
    (sku,) = await shop.stocked(20)
    words = await _left_unpaid(shop, buyer, first, sku)
    no = await shop.paid_order(buyer, {sku: 2})
    words += await _refunds(shop, no, first, second)
    await _completed(first, buyer, no)
    others = await other.order({sku: 1})
    await _done(first.post(f"/orders/{others}/reprice", {"totalFen": 800, "reason": "words-of-another-buyer"}))

    assert all([await _where(shop, each) for each in words]), "the search finds what is there"
    await _erased(buyer)
    assert {each: await _where(shop, each) for each in words} == {each: [] for each in words}
    assert await _where(shop, "words-of-another-buyer")
    prices = await shop.sql.fetch("SELECT s FROM orders, jsonb_array_elements(trace) s WHERE s ->> 'step' = 'reprice'")
    assert len(prices) == 2, "how the price came about stays"


async def test_staff_see_why_a_price_was_changed(shop: Shop, staff: tuple[Operator, Operator]) -> None:
    first, _ = staff
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    no = await buyer.order({sku: 1})
    changed = await _done(first.post(f"/orders/{no}/reprice", {"totalFen": 900, "reason": "熟客"}))
    assert [step["step"] for step in changed["trace"]] == ["goods", "freight", "reprice"]
    assert (changed["trace"][-1]["totalFen"], changed["trace"][-1]["reason"]) == (900, "熟客")
    assert "trace" not in (await buyer.get(f"/orders/{no}")).json()


async def test_a_no_goes_with_the_buyer_though_wechat_had_said_yes(
    shop: Shop, staff: tuple[Operator, Operator]
) -> None:
    first, second = staff
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    no = await shop.paid_order(buyer, {sku: 2})
    refund = (await _done(first.refund(no, {}, amountFen=100)))["refund"]
    await _done(second.post(f"/refunds/{refund['no']}/reject", {"reason": "words-of-a-no"}))
    payment = await shop.sql.fetchrow("SELECT out_trade_no, received_fen FROM payment WHERE applied")
    await shop.worker.gateway.refund(
        out_refund_no=refund["no"],
        out_trade_no=payment["out_trade_no"],
        amount_fen=100,
        total_fen=payment["received_fen"],
        reason="x",
    )
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    assert (await _done(first.get(f"/refunds/{refund['no']}")))["state"] == "succeeded"
    await _completed(first, buyer, no)
    assert await _where(shop, "words-of-a-no")
    await _erased(buyer)
    assert await _where(shop, "words-of-a-no") == []


async def test_what_was_written_of_money_to_a_buyer_goes_with_the_buyer(
    shop: Shop, staff: tuple[Operator, Operator]
) -> None:
    first, _ = staff
    buyer = await shop.buyer("alice")
    wish = {"cause": "thanks", "amountFen": 100, "remark": "words-of-thanks", "sceneId": "1000"}
    wish["report"] = {"活动名称": "开业", "奖励说明": "新客"}
    member = (await buyer.get("/me")).json()["id"]
    no = (await _done(first.post(f"/members/{member}/transfers", wish)))["outBillNo"]
    await shop.run_jobs()
    shop.world.tell(f"transfers/{no}/fail", reason="ACCOUNT_FROZEN")
    assert (await shop.notify()).status_code == 204
    await _resolve(first, "transfer_fail", "words-of-a-solution")
    shop.world.skip(days=1, minutes=1)
    for words in ("words-of-thanks", "words-of-a-solution"):
        assert await _where(shop, words), words
    await _erased(buyer)
    for words in ("words-of-thanks", "words-of-a-solution"):
        assert await _where(shop, words) == [], words
