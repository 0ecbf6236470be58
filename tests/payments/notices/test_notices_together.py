"""Notices that come at the same moment: the plain ones are settled together, the odd ones as if they had come alone."""

import asyncio
from typing import Any

import pytest
from cast import Shop
from liar import Liar

from payments import inbox


async def _waiting(shop: Shop, liar: Liar, count: int, sku: int) -> list[tuple[str, dict[str, Any]]]:
    """Unpaid orders with an open sheet, and what WeChat would say if each were paid."""
    found = []
    for number in range(count):
        buyer = await shop.buyer(f"payer{number}")
        no = await buyer.order({sku: 1})
        out_trade_no = await buyer.prepay(no)
        total = await shop.sql.fetchval("SELECT amount_fen FROM payment WHERE out_trade_no = $1", out_trade_no)
        trade = {
            "mchid": liar.settings.pay.mch_id,
            "appid": liar.settings.wechat.app_id,
            "out_trade_no": out_trade_no,
            "transaction_id": f"42000099992026030211111{number:05d}",
            "trade_type": "JSAPI",
            "trade_state": "SUCCESS",
            "success_time": "2026-03-02T12:00:00+08:00",
            "amount": {"total": total, "payer_total": total, "currency": "CNY", "payer_currency": "CNY"},
        }
        found.append((no, trade))
    return found


async def _states(shop: Shop) -> dict[str, str]:
    return {row["no"]: row["state"] for row in await shop.sql.fetch("SELECT no, state FROM orders")}


async def test_plain_ones_and_odd_ones_come_at_once(shop: Shop, liar: Liar) -> None:
    (sku,) = await shop.stocked(50)
    waiting = await _waiting(shop, liar, 8, sku)
    trades = [trade for _, trade in waiting]
    trades[1]["amount"]["total"] += 1  # a wrong amount
    trades[2]["mchid"] = "1900009999"  # somebody else's account
    trades[3]["transaction_id"] = trades[4]["transaction_id"]  # one transaction for two payments
    trades[5]["out_trade_no"] = "P9999999999999999999"  # nobody's
    envelopes = [liar.envelope(trade) for trade in trades]
    again = [envelopes[0]] * 3  # repeats of the same notice
    second = [liar.envelope(trades[6])]  # the same payment told by another notice
    answers = await asyncio.gather(*(liar.send(body) for body in [*envelopes, *again, *second]))
    assert {answer.status_code for answer in answers} == {204}
    state = await _states(shop)
    paid = [state[no] == "paid" for no, _ in waiting]
    assert [paid[place] for place in (0, 1, 2, 5, 6, 7)] == [True, False, False, False, True, True]
    assert sorted([paid[3], paid[4]]) == [False, True]
    kinds = {row["kind"] for row in await shop.sql.fetch("SELECT kind FROM payment_exception")}
    assert kinds == {"amount_mismatch", "wrong_account", "reused_transaction", "unknown_order"}
    assert await shop.sql.fetchval("SELECT count(*) FROM notice WHERE handled_at IS NULL") == 0
    assert await shop.sql.fetchval("SELECT count(*) FROM order_event WHERE what = 'paid'") == 4
    assert await shop.stock(sku) == (42, 4, 4)


async def test_a_notice_for_what_was_closed_does_not_hold_up_the_others(shop: Shop, liar: Liar) -> None:
    (sku,) = await shop.stocked(50)
    waiting = await _waiting(shop, liar, 3, sku)
    closed = waiting[1][0]
    await shop.sql.execute("UPDATE orders SET state = 'cancelled', cancelled_at = now() WHERE no = $1", closed)
    await shop.sql.execute(
        "INSERT INTO order_event (order_id, what, from_state, to_state, by, facts, at)"
        " SELECT id, 'cancelled', 'unpaid', 'cancelled', 'test', '{}', now() FROM orders WHERE no = $1",
        closed,
    )
    await shop.sql.execute("UPDATE stock SET available = available + 1, reserved = reserved - 1 WHERE sku_id = $1", sku)
    await shop.sql.execute(
        "INSERT INTO stock_move (sku_id, location_id, delta_available, delta_reserved, delta_sold, reason, ref, actor, at)"
        " VALUES ($1, 1, 1, -1, 0, 'release', '', 'test', now())",
        sku,
    )
    answers = await asyncio.gather(*(liar.send(liar.envelope(trade)) for _, trade in waiting))
    assert {answer.status_code for answer in answers} == {204}
    state = await _states(shop)
    assert [state[no] for no, _ in waiting] == ["paid", "cancelled", "paid"]
    assert await shop.sql.fetchval("SELECT count(*) FROM refund") == 1


async def test_one_that_is_held_up_holds_up_no_other(shop: Shop, liar: Liar) -> None:
    """Somebody holds one order: its notice is stored, and WeChat told to come again; the others' orders are paid."""
    (sku,) = await shop.stocked(50)
    waiting = await _waiting(shop, liar, 4, sku)
    held = waiting[1][0]
    async with shop.sql.transaction():
        await shop.sql.execute("SELECT FROM orders WHERE no = $1 FOR UPDATE", held)
        answers = await asyncio.gather(*(liar.send(liar.envelope(trade)) for _, trade in waiting))
    assert [answer.status_code for answer in answers] == [204, 503, 204, 204]
    state = await _states(shop)
    assert [state[no] for no, _ in waiting] == ["paid", "unpaid", "paid", "paid"]
    assert await shop.sql.fetchval("SELECT count(*) FROM notice WHERE handled_at IS NULL") == 1


async def test_when_all_are_held_up_nobody_is_waited_for_in_turn(
    shop: Shop, liar: Liar, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WeChat hangs up after five seconds. What was stored is dealt with when it comes again, or by the worker."""
    (sku,) = await shop.stocked(50)
    waiting = await _waiting(shop, liar, 20, sku)
    envelopes = [liar.envelope(trade) for _, trade in waiting]
    waited: list[object] = []
    take = inbox.notices.take

    async def taken(*given: Any) -> Any:
        waited.append(given)
        return await take(*given)

    monkeypatch.setattr(inbox.notices, "take", taken)
    async with shop.sql.transaction():
        await shop.sql.execute("SELECT FROM orders FOR UPDATE")
        answers = await asyncio.gather(*(liar.send(body) for body in envelopes))
    assert {answer.status_code for answer in answers} == {503}
    assert len(waited) <= 12, "four of each batch, and they come in three"
    assert {answer.status_code for answer in await asyncio.gather(*(liar.send(body) for body in envelopes))} == {204}
    assert set((await _states(shop)).values()) == {"paid"}
