"""Staff change a price: nobody pays the old one any more, and the lines add up to the fen."""

import asyncio
import itertools
from typing import Any

import pytest
from cast import Shop
from sheets import at_wechat, attempts, live, open_payment, opened, ordered, total

from shop.orders import repricing


async def test_the_open_sheet_is_closed_before_the_price_changes(shop: Shop) -> None:
    buyer, no = await ordered(shop, 3)
    boss = await shop.operator()
    old = await buyer.prepay(no)
    before = total((await buyer.get(f"/orders/{no}")).json())
    answer = await boss.post(f"/orders/{no}/reprice", {"totalFen": before - 101, "reason": "熟客"})
    assert answer.status_code == 200, answer.text
    assert total(answer.json()) == before - 101
    assert answer.json()["events"][-1]["what"] == "repriced"
    assert await at_wechat(shop, old) == "CLOSED"
    assert await attempts(shop, no) == [("jsapi", "closed")]
    shop.world.pay(await buyer.prepay(no))
    assert (await shop.notify()).status_code == 204
    assert await buyer.state(no) == "paid"
    audit = await shop.sql.fetchval("SELECT facts::text FROM audit_entry WHERE action = 'order.reprice'")
    assert str(before) in audit


async def test_shares_of_several_lines(shop: Shop) -> None:
    """Whatever the discount, the lines' shares add up; and all of it can go back."""
    buyer = await shop.buyer("alice")
    boss = await shop.operator()
    a, b, c = await shop.stocked(9, 9, 9, price_fen=333)
    no = await buyer.order({a: 1, b: 2, c: 4})
    for discount in (1, 100, 2330, 0, 777):
        answer = await boss.post(f"/orders/{no}/reprice", {"discountFen": discount, "reason": "x"})
        assert answer.status_code == 200, answer.text
        total(answer.json())
    free = await boss.post(f"/orders/{no}/reprice", {"discountFen": 500, "freightFen": 0, "reason": "x"})
    assert total(free.json()) == 333 * 7 - 500
    trace = await shop.sql.fetchval("SELECT trace::text FROM orders WHERE no = $1", no)
    assert trace.count('"reprice"') == 6


async def test_paid_meanwhile(shop: Shop) -> None:
    buyer, no = await ordered(shop, 2)
    boss = await shop.operator()
    shop.world.pay(await buyer.prepay(no))
    answer = await boss.post(f"/orders/{no}/reprice", {"totalFen": 900, "reason": "x"})
    assert (answer.status_code, answer.json()["code"]) == (409, "already_paid")
    assert await buyer.state(no) == "paid"
    assert (await boss.post(f"/orders/{no}/reprice", {"totalFen": 900, "reason": "x"})).status_code == 409


async def test_paid_between_the_close_and_the_price(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """WeChat had let the buyer pay when it took the close; the news is there before the new price would hold."""
    buyer, no = await ordered(shop, 2)
    boss = await shop.operator()
    old = await buyer.prepay(no)
    before = (await buyer.get(f"/orders/{no}")).json()["totalFen"]
    decide, decisions = repricing._decide, itertools.count(1)

    async def after_the_news(*given: Any, **more: Any) -> Any:
        if next(decisions) == 2:
            assert await at_wechat(shop, old) == "CLOSED"
            shop.world.pay(old, raced=True)
            assert (await shop.notify()).status_code == 204
        return await decide(*given, **more)

    monkeypatch.setattr(repricing, "_decide", after_the_news)
    answer = await boss.post(f"/orders/{no}/reprice", {"totalFen": 900, "reason": "x"})
    assert (answer.status_code, answer.json()["code"]) == (409, "already_paid")
    assert (await buyer.get(f"/orders/{no}")).json()["totalFen"] == before
    assert await buyer.state(no) == "paid"


@pytest.mark.parametrize(("paid", "status"), [(True, 409), (False, 503)])
async def test_a_buyer_who_opens_one_sheet_after_the_other(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, paid: bool, status: int
) -> None:
    """After so many the price is left as it is; money on the last one is told all the same."""
    buyer, no = await ordered(shop, 2)
    boss = await shop.operator()
    await buyer.prepay(no)
    before = (await buyer.get(f"/orders/{no}")).json()["totalFen"]
    decide, decisions = repricing._decide, itertools.count(1)

    async def with_another_sheet(*given: Any, **more: Any) -> Any:
        number, last = next(decisions), repricing._TRIES
        if 1 < number <= (last if paid else last + 1):
            await buyer.prepay(no)
        found = await decide(*given, **more)
        if number == last and paid:
            shop.world.pay(await live(shop, no))  # and nobody hears of it before the close
        return found

    monkeypatch.setattr(repricing, "_decide", with_another_sheet)
    answer = await boss.post(f"/orders/{no}/reprice", {"totalFen": 900, "reason": "x"})
    assert answer.status_code == status, answer.text
    assert (await buyer.get(f"/orders/{no}")).json()["totalFen"] == before
    assert await buyer.state(no) == ("paid" if paid else "unpaid")


async def test_the_old_amount_lands_after_all(shop: Shop) -> None:
    """Confirmed before the close, landing after the new price: it is not taken silently, it goes back."""
    buyer, no = await ordered(shop, 2)
    boss = await shop.operator()
    old = await buyer.prepay(no)
    assert (await boss.post(f"/orders/{no}/reprice", {"totalFen": 1500, "reason": "x"})).status_code == 200
    shop.world.pay(old, raced=True)
    assert (await shop.notify()).status_code == 204
    assert await buyer.state(no) == "unpaid"
    assert await shop.sql.fetchval("SELECT kind FROM payment_exception") == "amount_mismatch"
    assert await shop.sql.fetchval("SELECT count(*) FROM refund") == 1


async def test_wechat_is_silent(shop: Shop) -> None:
    """Then the price stays: the old one may just be being paid."""
    buyer, no = await ordered(shop)
    boss = await shop.operator()
    await opened(buyer, no, "native")
    before = (await buyer.get(f"/orders/{no}")).json()["totalFen"]
    shop.world.faults(path="/v3/pay/transactions/out-trade-no", effect="500", times=2)
    answer = await boss.post(f"/orders/{no}/reprice", {"totalFen": before - 1, "reason": "x"}, key="reprice-once")
    assert answer.status_code == 503
    assert (await buyer.get(f"/orders/{no}")).json()["totalFen"] == before
    shop.world.heal()
    again = await boss.post(f"/orders/{no}/reprice", {"totalFen": before - 1, "reason": "x"}, key="reprice-once")
    assert again.json()["totalFen"] == before - 1


async def test_prices_and_sheets_at_once(shop: Shop) -> None:
    """Ten new prices while the buyer opens sheets: the attempt that lives asks for the price that holds."""
    buyer, no = await ordered(shop, 5)
    boss = await shop.operator()
    wishes: list[Any] = []
    for turn in range(10):
        wishes.append(boss.post(f"/orders/{no}/reprice", {"discountFen": turn * 7, "reason": "x"}))
        wishes.append(open_payment(buyer, no, ("native", "jsapi")[turn % 2]))
    answers = await asyncio.gather(*wishes)
    assert {answer.status_code for answer in answers} <= {200, 409, 503}
    await shop.run_jobs()
    sheet = await opened(buyer, no, "native")
    assert sheet["amountFen"] == total((await buyer.get(f"/orders/{no}")).json())
    shop.world.pay(await live(shop, no))
    assert (await shop.notify()).status_code == 204
    assert await buyer.state(no) == "paid"


@pytest.mark.parametrize("by_total", [False, True])
async def test_freight_may_be_waived_and_put_back_and_not_raised(shop: Shop, by_total: bool) -> None:
    """The buyer agreed to what was quoted when the order was placed."""
    buyer, no = await ordered(shop)
    boss = await shop.operator()
    placed = (await buyer.get(f"/orders/{no}")).json()
    goods_fen, quoted_fen = placed["goodsFen"], placed["freightFen"]

    async def ask(freight_fen: int) -> Any:
        wish = {"totalFen": goods_fen + freight_fen} if by_total else {}
        return await boss.post(f"/orders/{no}/reprice", {**wish, "freightFen": freight_fen, "reason": "x"})

    for freight_fen in (0, quoted_fen):
        assert total((await ask(freight_fen)).json()) == goods_fen + freight_fen
        more = await ask(quoted_fen + 1)
        assert (more.status_code, more.json().get("code")) == (422, "price_out_of_range")
        assert more.json()["mostFen"] == goods_fen + quoted_fen
        assert total((await buyer.get(f"/orders/{no}")).json()) == goods_fen + freight_fen


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"totalFen": 0, "reason": "x"}, 422),
        ({"totalFen": 99999999, "reason": "x"}, 422),
        ({"discountFen": 1001, "reason": "x"}, 422),
        ({"discountFen": 1000, "freightFen": 0, "reason": "x"}, 422),
        ({"totalFen": 900, "discountFen": 100, "reason": "x"}, 400),
        ({"reason": "x"}, 400),
        ({"totalFen": 900}, 400),
        ({"totalFen": -5, "reason": "x"}, 400),
        ({"totalFen": 900.0, "reason": "x"}, 400),
    ],
)
async def test_prices_that_cannot_be(shop: Shop, body: dict[str, Any], status: int) -> None:
    _, no = await ordered(shop)
    boss = await shop.operator()
    answer = await boss.post(f"/orders/{no}/reprice", body)
    assert answer.status_code == status, answer.text
