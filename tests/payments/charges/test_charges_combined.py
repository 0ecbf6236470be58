"""Several orders by one tap: one sheet, each part settled by itself, and only all of it closed."""

import asyncio
from typing import Any

import httpx
import pytest
from cast import Buyer, Shop
from sheets import at_wechat, attempts, opened

import payments.combined

COMBINED = "/v3/combine-transactions"


async def _orders(shop: Shop, count: int = 2) -> tuple[Buyer, list[str]]:
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(50)
    return buyer, [await buyer.order({sku: turn + 1}) for turn in range(count)]


async def _together(buyer: Buyer, nos: list[str], **more: Any) -> httpx.Response:
    return await buyer.post("/combined-payments", {"orderNos": nos, **more})


async def _number(shop: Shop, no: str) -> str:
    """The combination that an order's live attempt is part of."""
    row = "SELECT combine_no FROM payment WHERE payable = $1 AND state IN ('opening', 'open')"
    return str(await shop.sql.fetchval(row, no))


async def _states(shop: Shop, combine_no: str) -> set[str]:
    trades = await shop.worker.gateway.query_combined(combine_no)
    return {trade.trade_state for trade in trades or []}


async def test_three_orders_by_one_tap(shop: Shop) -> None:
    buyer, nos = await _orders(shop, 3)
    first, again = await _together(buyer, nos), await _together(buyer, list(reversed(nos)))
    assert first.status_code == 200, first.text
    assert first.json()["jsapi"]["package"] == again.json()["jsapi"]["package"]
    assert sorted(first.json()["orderNos"]) == sorted(nos)
    totals = await shop.sql.fetchval("SELECT sum(total_fen)::bigint FROM orders")
    assert first.json()["amountFen"] == totals
    shop.world.pay(await _number(shop, nos[0]))
    letter = shop.mailbox.take()
    answers = await asyncio.gather(*(shop.notify(letter) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {204}
    assert [await buyer.state(no) for no in nos] == ["paid"] * 3
    assert await shop.sql.fetchval("SELECT count(DISTINCT transaction_id) FROM payment WHERE applied") == 3
    assert await shop.sql.fetchval("SELECT count(*) FROM payment_exception") == 0
    assert await shop.sql.fetchval("SELECT outcome FROM notice") == "known known known"


async def test_without_a_notice(shop: Shop) -> None:
    """The worker asks once for the whole combination, and learns of every part."""
    buyer, nos = await _orders(shop)
    await _together(buyer, nos)
    shop.world.pay(await _number(shop, nos[0]))
    shop.mailbox.take()
    shop.world.skip(seconds=10)
    await shop.worker.ask_payments()
    assert [await buyer.state(no) for no in nos] == ["paid", "paid"]


async def test_a_single_sheet_replaces_the_combination_and_the_other_way(shop: Shop) -> None:
    buyer, nos = await _orders(shop)
    await _together(buyer, nos)
    combination = await _number(shop, nos[0])
    single = await buyer.prepay(nos[0])
    assert await _states(shop, combination) == {"CLOSED"}
    assert [state for _, state in await attempts(shop, nos[1])] == ["closed"]
    await _together(buyer, nos)
    assert await at_wechat(shop, single) == "CLOSED"
    assert await _states(shop, await _number(shop, nos[1])) == {"NOTPAY"}


async def test_another_choice_of_orders(shop: Shop) -> None:
    buyer, nos = await _orders(shop, 3)
    await _together(buyer, nos)
    whole = await _number(shop, nos[0])
    await _together(buyer, nos[:2])
    assert await _states(shop, whole) == {"CLOSED"}
    part = await _number(shop, nos[0])
    await _together(buyer, nos)
    assert await _states(shop, part) == {"CLOSED"}


async def test_cancelling_one_closes_all_of_the_sheet(shop: Shop) -> None:
    buyer, nos = await _orders(shop)
    await _together(buyer, nos)
    combination = await _number(shop, nos[0])
    assert (await buyer.post(f"/orders/{nos[0]}/cancel", {})).status_code == 200
    assert await _states(shop, combination) == {"CLOSED"}
    assert [await buyer.state(no) for no in nos] == ["cancelled", "unpaid"]
    await opened(buyer, nos[1], "jsapi")


async def test_repricing_one_closes_all_of_the_sheet(shop: Shop) -> None:
    buyer, nos = await _orders(shop)
    boss = await shop.operator()
    await _together(buyer, nos)
    combination = await _number(shop, nos[0])
    assert (await boss.post(f"/orders/{nos[1]}/reprice", {"totalFen": 999, "reason": "x"})).status_code == 200
    assert await _states(shop, combination) == {"CLOSED"}
    sheet = (await _together(buyer, nos)).json()
    assert sheet["amountFen"] == await shop.sql.fetchval("SELECT sum(total_fen)::bigint FROM orders")


async def test_paid_after_one_was_cancelled(shop: Shop) -> None:
    """Confirmed before the close, landing after: one order is paid, the other's money goes back."""
    buyer, nos = await _orders(shop)
    await _together(buyer, nos)
    combination = await _number(shop, nos[0])
    await buyer.post(f"/orders/{nos[0]}/cancel", {})
    shop.world.pay(combination, raced=True)
    assert (await shop.notify()).status_code == 204
    assert [await buyer.state(no) for no in nos] == ["cancelled", "paid"]
    await shop.run_jobs()
    assert await shop.sql.fetchval("SELECT count(*) FROM refund WHERE cause LIKE 'paid_after_close:%'") == 1


async def test_paid_while_one_is_cancelled(shop: Shop) -> None:
    buyer, nos = await _orders(shop)
    await _together(buyer, nos)
    shop.world.pay(await _number(shop, nos[0]))
    answer = await buyer.post(f"/orders/{nos[0]}/cancel", {})
    assert (answer.status_code, answer.json()["code"]) == (409, "already_paid")
    assert [await buyer.state(no) for no in nos] == ["paid", "paid"]
    assert (await shop.notify()).status_code == 204


async def test_a_refund_of_one_part(shop: Shop) -> None:
    buyer, nos = await _orders(shop)
    boss = await shop.operator()
    await _together(buyer, nos)
    shop.mailbox.clear()  # news of an earlier test
    shop.world.pay(await _number(shop, nos[0]))
    assert (await shop.notify()).status_code == 204
    line = (await buyer.get(f"/orders/{nos[1]}")).json()["lines"][0]
    answer = await boss.refund(nos[1], {line["id"]: line["quantity"]}, freight=True)
    if answer.status_code == 400:
        answer = await boss.refund(nos[1], {line["id"]: line["quantity"]})
    assert answer.status_code == 201, answer.text
    await shop.run_jobs()
    assert await shop.sql.fetchval("SELECT state FROM refund") in ("processing", "succeeded")


@pytest.mark.parametrize("effect", ["500", "500_after"])
async def test_the_wire_dies_between_intent_and_answer(shop: Shop, effect: str) -> None:
    buyer, nos = await _orders(shop)
    shop.world.faults(path=f"{COMBINED}/jsapi", effect=effect)
    assert (await _together(buyer, nos)).status_code == 503
    combination = await _number(shop, nos[0])
    assert (await _together(buyer, nos)).status_code == 200
    assert await _number(shop, nos[0]) == combination
    assert await _states(shop, combination) == {"NOTPAY"}


async def test_wechat_is_silent_while_closing(shop: Shop) -> None:
    buyer, nos = await _orders(shop)
    await _together(buyer, nos)
    shop.world.faults(path=f"{COMBINED}/out-trade-no", effect="500", times=2)
    assert (await buyer.post(f"/orders/{nos[0]}/cancel", {})).status_code == 503
    assert await buyer.state(nos[0]) == "closing"
    shop.world.heal()
    shop.world.skip(seconds=30)
    await shop.worker.close_orders()
    assert [await buyer.state(no) for no in nos] == ["cancelled", "unpaid"]


async def test_parts_are_locked_in_one_order_whoever_locks_them(shop: Shop) -> None:
    """A notification has only numbers, so they are the order: whoever closes takes the smaller one first."""
    buyer, nos = await _orders(shop)
    shop.world.faults(path=f"{COMBINED}/jsapi", effect="500")
    assert (await _together(buyer, nos)).status_code == 503  # WeChat has none of it
    combination = await _number(shop, nos[0])
    await shop.sql.execute("UPDATE payment SET out_trade_no = 'P000000' || (9 - id % 10)")
    numbers = 'SELECT id FROM payment WHERE out_trade_no = (SELECT {}(out_trade_no COLLATE "C") FROM payment)'
    holder = shop.sql.transaction()
    await holder.start()
    await shop.sql.fetchval(numbers.format("min") + " FOR UPDATE")
    worker = shop.worker
    closing = asyncio.create_task(
        payments.combined.close(worker.db, worker.gateway, worker.payee, worker.clock, combination)
    )
    waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    async with asyncio.timeout(10):
        while not await shop.sql.fetchval(waits):
            await asyncio.sleep(0.02)
    await shop.sql.fetchval(numbers.format("max") + " FOR UPDATE NOWAIT")  # not held by who waits for the other one
    await holder.rollback()
    await closing
    assert [state for _, state in await attempts(shop, nos[0])] == ["closed"]


async def test_all_kinds_of_sheets_at_once(shop: Shop) -> None:
    buyer, nos = await _orders(shop, 3)
    wishes: list[Any] = []
    for turn in range(5):
        wishes += [_together(buyer, nos), _together(buyer, nos[:2]), buyer.post(f"/orders/{nos[turn % 3]}/prepay")]
    answers = await asyncio.gather(*wishes)
    assert {answer.status_code for answer in answers} <= {200, 409, 503}
    await shop.run_jobs()
    sheet = await _together(buyer, nos)
    assert sheet.status_code == 200, sheet.text
    shop.world.pay(await _number(shop, nos[0]))
    assert (await shop.notify()).status_code == 204
    assert [await buyer.state(no) for no in nos] == ["paid"] * 3


async def test_strange_wishes(shop: Shop) -> None:
    buyer, nos = await _orders(shop)
    stranger = await shop.buyer("mallory")
    assert (await _together(buyer, nos[:1])).status_code == 400
    assert (await _together(buyer, [*nos, *nos])).json()["code"] == "same_order_twice"
    assert (await _together(buyer, [nos[0], "D000000"])).status_code == 404
    assert (await _together(stranger, nos)).status_code == 404
    assert (await _together(buyer, nos, expectedFen=1)).json()["code"] == "total_changed"
    assert await shop.sql.fetchval("SELECT count(*) FROM payment") == 0
