"""A refund ended here without money, the order's claim is free again, and WeChat has done it all the same."""

from cast import Operator, Shop
from till_and_staff import Bought, another, ask, bought, policy


async def _refused(operator: Operator, order: Bought, amount_fen: int) -> str:
    """The number of a refund that WeChat refuses."""
    shop = operator.shop
    number = str((await ask(operator, order.no, amountFen=amount_fen)).json()["refund"]["no"])
    shop.world.faults(method="POST", path=".*/refunds", times=1, effect="refused", status=403, code="NO_AUTH")
    await shop.run_jobs()
    assert [row["state"] for row in await order.rows()] == ["refused"]
    assert (await order.seen())["refundedFen"] == 0
    return number


async def _done_at_wechat(shop: Shop, order: Bought, number: str, amount_fen: int) -> None:
    """WeChat makes it, and tells us."""
    await shop.worker.gateway.refund(
        out_refund_no=number,
        out_trade_no=order.out_trade_no,
        amount_fen=amount_fen,
        total_fen=order.total_fen,
        reason="x",
    )
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204


async def _sales(shop: Shop) -> list[tuple[str, int, str]]:
    rows = await shop.sql.fetch("SELECT state, amount_fen, requested_by FROM after_sale ORDER BY id")
    return [(row["state"], row["amount_fen"], row["requested_by"]) for row in rows]


async def _open_cases(shop: Shop) -> list[str]:
    rows = await shop.sql.fetch("SELECT kind FROM payment_exception WHERE resolved_at IS NULL ORDER BY id")
    return [row["kind"] for row in rows]


async def test_the_order_and_the_ledger_learn_that_the_money_left(shop: Shop) -> None:
    operator, order = await shop.operator(), await bought(shop)
    number = await _refused(operator, order, 500)
    await _done_at_wechat(shop, order, number, 500)
    (row,) = await order.rows()
    assert (row["out_refund_no"], row["state"], row["promises"]) == (number, "succeeded", 2)
    assert ((await order.seen())["refundedFen"], (await order.payment())["refunded_fen"]) == (500, 500)
    (failed, done) = await _sales(shop)
    assert (failed[:2], done) == (("failed", 500), ("refunded", 500, "portal"))
    assert [(cause.partition(":")[0], debit, credit) for cause, debit, credit, _ in (await order.postings())[1:]] == [
        ("refund", "sales", "refunds_payable"),
        ("refund_ended", "refunds_payable", "sales"),
        ("refund", "sales", "refunds_payable"),
        ("refunded", "refunds_payable", "wechat"),
    ]
    assert await _open_cases(shop) == []


async def test_all_of_an_order_that_was_not_sent_is_given_up(shop: Shop) -> None:
    operator, order = await shop.operator(), await bought(shop)
    number = await _refused(operator, order, order.total_fen)
    assert await shop.stock(order.sku) == (8, 0, 2)
    await _done_at_wechat(shop, order, number, order.total_fen)
    assert ((await order.seen())["state"], await shop.stock(order.sku)) == ("refunded", (10, 0, 0))


async def test_what_does_not_fit_is_a_case_until_there_is_room(shop: Shop) -> None:
    """The same money is promised anew and waits for a second person; when that one says no, ours is taken up."""
    operator, order = await shop.operator(), await bought(shop)
    number = await _refused(operator, order, 500)
    await policy(operator, refundApprovalAboveFen=100)
    waiting = (await ask(operator, order.no, amountFen=order.total_fen)).json()["refund"]["no"]
    await _done_at_wechat(shop, order, number, 500)
    assert await _open_cases(shop) == ["refund_refused", "refund_after_end"]
    assert [row["state"] for row in await order.rows()] == ["refused", "waiting"]
    second = await another(operator)
    assert (await second.post(f"/refunds/{waiting}/reject", {"reason": "货已签收"})).status_code == 200
    await shop.run_jobs()
    assert [row["state"] for row in await order.rows()] == ["succeeded", "rejected"]
    assert ((await order.seen())["refundedFen"], await _open_cases(shop)) == (500, [])


async def test_one_that_a_second_person_rejected_and_wechat_has(shop: Shop) -> None:
    """Somebody's yes was lost with a database: the money is booked, and a person looks."""
    operator, order = await shop.operator(), await bought(shop)
    await policy(operator, refundApprovalAboveFen=100)
    number = (await ask(operator, order.no, amountFen=500)).json()["refund"]["no"]
    second = await another(operator)
    assert (await second.post(f"/refunds/{number}/reject", {"reason": "货已签收"})).status_code == 200
    await _done_at_wechat(shop, order, number, 500)
    assert [row["state"] for row in await order.rows()] == ["succeeded"]
    assert ((await order.seen())["refundedFen"], await _open_cases(shop)) == (500, ["refund_unapproved"])


async def test_what_is_said_twice_is_taken_up_once(shop: Shop) -> None:
    operator, order = await shop.operator(), await bought(shop)
    number = await _refused(operator, order, 500)
    await _done_at_wechat(shop, order, number, 500)
    for _ in range(2):
        assert (await operator.post(f"/refunds/{number}/refresh")).json()["state"] == "succeeded"
    assert ((await order.payment())["refunded_fen"], len(await _sales(shop))) == (500, 2)
