"""Money that is held until a person decides: of whom, and what is left of it when some of it went another way."""

import asyncio

from cast import Operator, Shop
from till_and_staff import Bought, another, heard, held_money, policy, swept

from payments import refunds


async def _by_hand(order: Bought, number: str, amount_fen: int) -> None:
    """Somebody refunds in the merchant portal."""
    await order.shop.worker.gateway.refund(
        out_refund_no=number,
        out_trade_no=order.out_trade_no,
        amount_fen=amount_fen,
        total_fen=order.total_fen,
        reason="x",
    )


async def _balances(operator: Operator) -> dict[str, int]:
    rows = (await operator.get("/ledger/balances")).json()["accounts"]
    return {row["account"]: row["balanceFen"] for row in rows}


async def test_of_money_that_went_back_in_part_the_rest_goes_back(shop: Shop) -> None:
    operator = await shop.operator()
    order, case = await held_money(shop, operator)
    await _by_hand(order, "5030000000101", 300)
    await heard(shop)
    sent = await operator.post(f"{case}/send-back")
    assert sent.status_code == 200, sent.text
    assert sent.json()["refund"]["amountFen"] == order.total_fen - 300
    await swept(shop, seconds=70)  # WeChat wants a minute between the parts
    await heard(shop)
    assert [(row["state"], row["amount_fen"]) for row in await order.rows()] == [
        ("succeeded", 300),
        ("succeeded", order.total_fen - 300),
    ]
    assert await _balances(operator) == {"wechat": 0, "unapplied": 0, "refunds_payable": 0}


async def test_the_rest_goes_back_also_when_all_of_it_was_to_go_before(shop: Shop) -> None:
    """A second person said no to all of it, and no again; then a part was refunded by hand."""
    first = await shop.operator()
    second = await another(first)
    order, case = await held_money(shop, first)
    await policy(first, wrongAmount="decide", refundApprovalAboveFen=0)
    for _ in range(2):
        number = (await first.post(f"{case}/send-back")).json()["refund"]["outRefundNo"]
        assert (await second.post(f"/refunds/{number}/reject", {"reason": "客户改变主意"})).status_code == 200
        (again,) = (await first.get("/payment-exceptions", openOnly="true")).json()["items"]
        case = f"/payment-exceptions/{again['id']}"
    await _by_hand(order, "5030000000102", 300)
    await heard(shop)
    sent = await first.post(f"{case}/send-back")
    assert sent.status_code == 200, sent.text
    assert sent.json()["refund"]["amountFen"] == order.total_fen - 300


async def test_money_that_went_back_in_part_pays_for_nothing(shop: Shop) -> None:
    operator = await shop.operator()
    order, case = await held_money(shop, operator)
    await _by_hand(order, "5030000000103", 300)
    await heard(shop)
    refused = await operator.post(f"{case}/apply")
    assert (refused.status_code, refused.json()["code"]) == (409, "nothing_held")
    assert (await order.seen())["state"] == "unpaid"


async def test_who_applies_money_waits_for_who_hears_that_it_went_back(shop: Shop) -> None:
    operator = await shop.operator()
    order, case = await held_money(shop, operator)
    await _by_hand(order, "5030000000104", order.total_fen)
    trade = await shop.worker.gateway.query_refund("5030000000104")
    assert trade is not None
    written, seen = asyncio.Event(), asyncio.Event()

    async def hear() -> None:
        async with shop.db.begin() as session:
            await refunds.learn(session, shop.worker.payee, trade, shop.world.clock.now())
            written.set()
            await seen.wait()

    hearing = asyncio.create_task(hear())
    await written.wait()
    applying = asyncio.create_task(operator.post(f"{case}/apply"))
    async with asyncio.timeout(10):
        while not applying.done() and not await shop.sql.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            await asyncio.sleep(0.02)
    seen.set()
    await hearing
    answer = await applying
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_held")
    assert (await order.seen())["state"] == "unpaid"


async def test_the_audit_says_who_decided(shop: Shop) -> None:
    operator, buyer = await shop.operator(), await shop.buyer("odd")
    me = (await operator.get("/me")).json()["id"]
    for verb, body in (("resolve", {"resolution": "已线下退款"}), ("send-back", None), ("apply", None)):
        _order, case = await held_money(shop, operator, buyer)
        assert (await operator.post(f"{case}/{verb}", body)).is_success, verb
    entries = await shop.sql.fetch("SELECT action, actor FROM audit_entry WHERE subject_kind = 'payment_exception'")
    assert sorted(map(tuple, entries)) == [
        (f"payment_exception.{done}", f"staff:{me}") for done in ("apply", "resolve", "send_back")
    ]
