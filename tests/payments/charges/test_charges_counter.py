"""The payment code at the counter: paid at once, after a password, not at all; lost, and never charged twice."""

import asyncio

import pytest
from cast import Shop
from payment_codes import charge, state_of, waiting
from sheets import at_wechat, attempts, ordered

pytestmark = pytest.mark.usefixtures("ordinary")
CODEPAY = "/v3/pay/transactions/codepay"


async def test_paid_at_once(shop: Shop) -> None:
    buyer, no = await ordered(shop)
    boss = await shop.operator()
    sheet = await buyer.prepay(no)  # the buyer had it open on the phone
    code = shop.world.code("bob", "payment")
    answer = await charge(boss, shop, no, key="till-0001", code=code)
    assert answer.status_code == 200, answer.text
    assert (answer.json()["state"], answer.json()["orderState"]) == ("paid", "paid")
    assert await at_wechat(shop, sheet) == "CLOSED"
    assert await attempts(shop, no) == [("jsapi", "closed"), ("code", "received")]
    same = await charge(boss, shop, no, key="till-0001")
    assert same.json() == answer.json()
    rows = await shop.sql.fetch("SELECT p::text FROM payment p UNION SELECT k::text FROM idempotency_key k")
    assert not any(code in row[0] for row in rows)
    assert await buyer.state(no) == "paid"


@pytest.mark.parametrize("said", ["202", "200"])
async def test_after_a_password(shop: Shop, said: str) -> None:
    shop.world.tell("settings", user_paying=said)
    buyer, boss, no, number = await waiting(shop)
    assert (await charge(boss, shop, no)).json()["code"] == "charge_under_way"
    shop.world.pay(number)
    shop.world.skip(seconds=6)
    await shop.worker.ask_payments()
    assert await state_of(boss, no) == ("paid", None)
    assert await buyer.state(no) == "paid"


async def test_tapped_away(shop: Shop) -> None:
    buyer, boss, no, number = await waiting(shop)
    shop.world.tell(f"payments/{number}/cancel")
    shop.world.skip(seconds=6)
    await shop.worker.ask_payments()
    assert await state_of(boss, no) == ("closed", "PAYERROR")
    shop.world.tell("settings", code_payment="at_once")
    assert (await charge(boss, shop, no)).json()["state"] == "paid"
    assert await buyer.state(no) == "paid"


@pytest.mark.parametrize("how", ["error", "invalid"])
async def test_refused(shop: Shop, how: str) -> None:
    shop.world.tell("settings", code_payment="error" if how == "error" else "at_once")
    _, no = await ordered(shop)
    boss = await shop.operator()
    answer = await charge(boss, shop, no, code=None if how == "error" else "100000000000000000")
    assert answer.json()["state"] == "closed", answer.text
    assert answer.json()["reason"] == ("PAYERROR" if how == "error" else "INVALIDREQUEST")


@pytest.mark.parametrize("effect", ["500", "500_after", "bad_response_signature"])
async def test_the_answer_to_the_charge_is_lost(shop: Shop, effect: str) -> None:
    """The code is never sent twice; a query finds out."""
    buyer, no = await ordered(shop)
    boss = await shop.operator()
    shop.world.faults(path=CODEPAY, effect=effect)
    answer = await charge(boss, shop, no)
    assert answer.json()["state"] == "userpaying", answer.text
    for _ in range(10):
        shop.world.skip(seconds=6)
        await shop.worker.ask_payments()
    if effect == "500":
        assert (await state_of(boss, no))[0] == "closed"
        assert await buyer.state(no) == "unpaid"
    else:
        assert await state_of(boss, no) == ("paid", None)
        assert await buyer.state(no) == "paid"


async def test_ten_tills_at_once(shop: Shop) -> None:
    """One code is charged; the others hear that."""
    buyer, no = await ordered(shop)
    boss = await shop.operator()
    codes = [shop.world.code(f"bob-{turn}", "payment") for turn in range(10)]
    answers = await asyncio.gather(*(charge(boss, shop, no, code=code) for code in codes))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 9
    assert await shop.sql.fetchval("SELECT count(*) FROM payment WHERE state = 'received'") == 1
    assert await buyer.state(no) == "paid"


async def test_strange_wishes(shop: Shop) -> None:
    _, no = await ordered(shop)
    boss = await shop.operator()
    for code in ("160000000000000000", "13000000000000000", "13000000000000000x", "1300000000000000001", ""):
        assert (await boss.post(f"/orders/{no}/charge-code", {"authCode": code})).status_code == 400
    assert (await boss.get(f"/orders/{no}/charge-code")).json()["code"] == "no_charge"
    assert (await boss.get("/orders/D000000/charge-code")).json()["code"] == "order_not_found"
    assert await shop.sql.fetchval("SELECT count(*) FROM payment") == 0
