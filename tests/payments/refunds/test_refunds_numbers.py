"""One cause, one number; and what WeChat's refusals and silences make of it."""

import re
from typing import Any

import pytest
from cast import Shop
from till_and_staff import ask, at_wechat, bought, heard, late_money, swept

from payments import refunds
from payments.refunds import number_of
from payments.wechatpay.gateway import Refused, Unknown


async def test_the_number_follows_from_the_cause_wherever_it_is_asked(shop: Shop) -> None:
    late = await late_money(shop)
    (row,) = await late.rows()
    mchid = shop.world.env["WECHAT_PAY_MCH_ID"]
    assert row["out_refund_no"] == number_of(mchid, row["cause"])
    assert re.fullmatch(r"R[0-9A-Za-z]{31}", row["out_refund_no"])
    assert number_of("another", row["cause"]) != row["out_refund_no"] != number_of(mchid, row["cause"] + "#1")
    async with shop.db.begin() as session:
        payment = await refunds.lock_payment(session, row["payment_id"])
        given = {"cause": row["cause"], "reason": "x", "by": "system", "at": shop.world.clock.now()}
        again = await refunds.request(session, payment, row["amount_fen"], **given)
        assert again.out_refund_no == row["out_refund_no"]
    assert len(await late.rows()) == 1


async def test_a_closed_number_is_dead_and_the_next_turn_has_its_own(shop: Shop) -> None:
    shop.world.tell("settings", refund_delay_s=3600)
    late = await late_money(shop)
    await shop.run_jobs()
    for turn in (1, 2):
        shop.world.tell(f"refunds/{(await late.rows())[-1]['out_refund_no']}/state", status="CLOSED")
        assert (await shop.notify()).status_code == 204
        latest = (await late.rows())[-1]
        assert latest["cause"].endswith(f"#{turn}")
        await swept(shop, minutes=2)
    numbers = [row["out_refund_no"] for row in await late.rows()]
    assert len(set(numbers)) == 3
    shop.world.tell("settings", refund_delay_s=1)
    shop.world.tell(f"refunds/{numbers[-1]}/state", status="SUCCESS")
    assert (await shop.notify()).status_code == 204
    assert [row["state"] for row in await late.rows()] == ["closed", "closed", "succeeded"]
    assert await shop.sql.fetchval("SELECT count(*) FROM payment_exception WHERE resolved_at IS NULL") == 0


async def test_an_empty_purse_is_waited_for_under_the_same_number_and_alarmed_after_an_hour(shop: Shop) -> None:
    operator, order = await shop.operator(), await bought(shop)
    shop.world.tell("merchant/balance", fen=0)
    assert (await ask(operator, order.no, amountFen=500)).status_code == 201
    await shop.run_jobs()
    (row,) = await order.rows()
    shown = (await operator.get(f"/refunds/{row['out_refund_no']}")).json()
    assert (shown["state"], shown["waitingFor"], shown["actions"]) == ("requested", "not_enough", ["retry"])
    assert "NOTENOUGH" in shown["lastError"]
    count = "SELECT count(*) FROM payment_exception WHERE kind = 'refund_not_enough'"
    for _ in range(8):
        await swept(shop, minutes=7)
    assert await shop.sql.fetchval(count) == 0
    await swept(shop, minutes=5)
    assert await shop.sql.fetchval(count) == 1
    assert (await order.rows())[0]["attempts"] < 9, "it is tried more and more seldom"
    shop.world.tell("merchant/balance", fen=None)
    number = row["out_refund_no"]
    assert (await operator.post(f"/refunds/{number}/retry")).status_code == 200
    await heard(shop)
    (row,) = await order.rows()
    assert (row["out_refund_no"], row["state"], row["waiting_for"]) == (number, "succeeded", None)
    assert await shop.sql.fetchval(f"{count} AND resolved_at IS NULL") == 0


async def test_a_minute_between_parts_does_not_put_the_alarm_off(shop: Shop) -> None:
    """Two parts of one payment wait for money, and now and then for each other."""
    operator, order = await shop.operator(), await bought(shop)
    shop.world.tell("merchant/balance", fen=0)
    first, second = [(await ask(operator, order.no, amountFen=100)).json()["refund"]["no"] for _ in range(2)]
    await shop.worker.submit_refund(first)
    shop.world.skip(seconds=70)
    await shop.worker.submit_refund(second)
    await shop.worker.submit_refund(first)  # too soon after the other one
    assert (await operator.get(f"/refunds/{first}")).json()["waitingFor"] == "not_enough"
    shop.world.skip(minutes=59)
    await shop.worker.submit_refund(first)
    late = await shop.sql.fetch("SELECT reference FROM payment_exception WHERE kind = 'refund_not_enough'")
    assert [case["reference"] for case in late] == [first]


async def _refused_so_often(shop: Shop, number: str, times: int) -> None:
    """WeChat says what may pass, so it is tried again."""
    shop.world.faults(
        method="POST", path=".*/refunds", times=times, effect="refused", status=400, code="INVALID_REQUEST"
    )
    for _ in range(times):
        with pytest.raises(Refused):
            await shop.worker.submit_refund(number)


async def test_a_refusal_that_may_pass_is_believed_when_it_stays_whatever_went_wrong_before(shop: Shop) -> None:
    operator, order = await shop.operator(), await bought(shop)
    number = (await ask(operator, order.no, amountFen=500)).json()["refund"]["no"]
    shop.world.faults(method="POST", path=".*/refunds", times=4, effect="500")
    for _ in range(4):
        with pytest.raises(Unknown):
            await shop.worker.submit_refund(number)
    shop.world.tell("merchant/balance", fen=0)
    for _ in range(4):
        await shop.worker.submit_refund(number)
    await _refused_so_often(shop, number, 6)
    assert (await order.rows())[0]["state"] == "requested"
    shop.world.faults(method="POST", path=".*/refunds", effect="refused", status=400, code="INVALID_REQUEST")
    await shop.worker.submit_refund(number)
    assert (await order.rows())[0]["state"] == "refused"


async def test_what_staff_set_going_again_is_tried_as_often_again(shop: Shop) -> None:
    operator, late = await shop.operator(), await late_money(shop)
    number = (await late.rows())[0]["out_refund_no"]
    await _refused_so_often(shop, number, 6)
    shop.world.faults(method="POST", path=".*/refunds", effect="refused", status=400, code="INVALID_REQUEST")
    await shop.worker.submit_refund(number)
    assert (await operator.post(f"/refunds/{number}/retry")).json()["state"] == "requested"
    await _refused_so_often(shop, number, 2)
    await shop.worker.submit_refund(number)
    assert (await late.rows())[0]["state"] in {"processing", "succeeded"}


@pytest.mark.parametrize("effect", ["429", "500", "500_after", "bad_response_signature"])
async def test_an_unknown_outcome_is_asked_for_and_the_number_stays(shop: Shop, effect: str) -> None:
    operator, order = await shop.operator(), await bought(shop)
    await ask(operator, order.no, amountFen=500)
    (row,) = await order.rows()
    number = row["out_refund_no"]
    shop.world.faults(method="POST", path=".*/refunds", times=1, effect=effect)
    with pytest.raises(Unknown):
        await shop.worker.submit_refund(number)
    await shop.worker.submit_refund(number)
    assert [refund["out_refund_no"] for refund in at_wechat(shop) if refund["out_trade_no"] == order.out_trade_no] == [
        number
    ]
    assert (await order.rows())[0]["state"] in {"processing", "succeeded"}


async def test_what_wechat_has_is_not_sent_again(shop: Shop) -> None:
    """The answer is lost, and the next one would be too: the question finds what is there."""
    operator, order = await shop.operator(), await bought(shop)
    await ask(operator, order.no, amountFen=500)
    (row,) = await order.rows()
    shop.world.faults(method="POST", path=".*/refunds", times=2, effect="500_after")
    with pytest.raises(Unknown):
        await shop.worker.submit_refund(row["out_refund_no"])
    await shop.worker.submit_refund(row["out_refund_no"])
    assert (await order.rows())[0]["state"] in {"processing", "succeeded"}


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "NO_AUTH"), (403, "RULE_LIMIT"), (404, "MCH_NOT_EXISTS"), (400, "INVALID_REQUEST"), (403, "")],
)
async def test_a_no_to_the_question_is_none_to_the_refund(shop: Shop, status: int, code: str) -> None:
    """The answer was lost, and WeChat will not be asked: called refused, it would be made once more by a new number."""
    operator, order = await shop.operator(), await bought(shop)
    number = (await ask(operator, order.no, amountFen=500)).json()["refund"]["no"]
    shop.world.faults(method="POST", path=".*/refunds", times=1, effect="500_after")
    with pytest.raises(Unknown):
        await shop.worker.submit_refund(number)
    shop.world.faults(method="GET", path=".*/refunds/", times=1, effect="refused", status=status, code=code)
    with pytest.raises(Unknown):
        await shop.worker.submit_refund(number)
    (row,) = await order.rows()
    assert (row["state"], f"not told: {status}" in row["last_error"]) == ("requested", True)
    assert (await order.seen())["refundedFen"] == 500
    await shop.worker.submit_refund(number)
    assert (await order.rows())[0]["state"] in {"processing", "succeeded"}


async def test_a_refusal_counts_once_wechat_says_that_it_has_none(shop: Shop) -> None:
    operator, order = await shop.operator(), await bought(shop)
    number = (await ask(operator, order.no, amountFen=500)).json()["refund"]["no"]
    shop.world.faults(method="POST", path=".*/refunds", times=1, effect="500")
    with pytest.raises(Unknown):
        await shop.worker.submit_refund(number)
    shop.world.faults(method="POST", path=".*/refunds", times=1, effect="refused", status=403, code="NO_AUTH")
    await shop.worker.submit_refund(number)
    assert (await order.rows())[0]["state"] == "refused"


async def test_parts_go_out_a_minute_apart_without_anybody_being_refused(shop: Shop) -> None:
    shop.world.tell("settings", refund_gap_s=60)
    operator, order = await shop.operator(), await bought(shop)
    for _ in range(3):
        assert (await ask(operator, order.no, amountFen=100)).status_code == 201
    await shop.run_jobs()
    states = [(row["state"], row["waiting_for"]) for row in await order.rows()]
    assert states == [("processing", None), ("requested", "gap"), ("requested", "gap")]
    assert [row["last_error"] for row in await order.rows()] == [None, None, None]
    await swept(shop, seconds=30)
    assert [row["state"] for row in await order.rows()].count("requested") == 2
    await swept(shop, seconds=40)
    assert [row["state"] for row in await order.rows()].count("requested") == 1
    await swept(shop, seconds=70)
    await swept(shop, seconds=70)
    await swept(shop, minutes=10)
    assert {row["state"] for row in await order.rows()} == {"succeeded"}


async def test_what_wechat_would_never_take_is_refused_before_anything_is_touched(shop: Shop) -> None:
    operator, order = await shop.operator(), await bought(shop)
    await shop.sql.execute(
        """INSERT INTO refund (out_refund_no, payment_id, payable, cause, origin, amount_fen, reason, state, check_at,
        requested_by, requested_at) SELECT 'Rold' || n, id, payable, 'old:' || n, 'staff', 1, 'x', 'closed', now(),
        'staff:1', now() FROM payment, generate_series(1, 50) n WHERE payable = $1""",
        order.no,
    )
    answer = await ask(operator, order.no, amountFen=100)
    assert (answer.status_code, answer.json()["code"], answer.json()["most"]) == (409, "too_many_refunds", 50)
    await shop.sql.execute("DELETE FROM refund WHERE cause LIKE 'old:%'")
    await shop.sql.execute(
        "UPDATE payment SET received_at = received_at - interval '365 days' WHERE payable = $1", order.no
    )
    answer = await ask(operator, order.no, amountFen=100)
    assert (answer.status_code, answer.json()["code"], answer.json()["days"]) == (409, "refund_too_late", 365)
    await shop.sql.execute(
        "UPDATE payment SET received_at = received_at + interval '365 days' WHERE payable = $1", order.no
    )
    await shop.sql.execute("UPDATE payment SET external = true WHERE payable = $1", order.no)
    answer = await ask(operator, order.no, amountFen=100)
    assert (answer.status_code, answer.json()["code"]) == (409, "paid_elsewhere")
    await shop.sql.execute("UPDATE payment SET external = false WHERE payable = $1", order.no)
    seen = await order.seen()
    assert (seen["refundedFen"], seen["refunds"]) == (0, [])


async def test_more_than_is_left_is_refused_by_name(shop: Shop) -> None:
    order = await bought(shop)
    told: dict[str, Any] = {"reason": "少发", "by": "staff:1", "at": shop.world.clock.now()}
    async with shop.db.begin() as session:
        payment = await refunds.find_applied(session, order.no)
        assert payment is not None
        await refunds.request(session, payment, 400, cause="first", **told)
        with pytest.raises(refunds.RefundTooMuch) as refusal:
            await refunds.request(session, payment, order.total_fen - 399, cause="rest", **told)
        await session.rollback()
    assert refusal.value.facts == {"left_fen": order.total_fen - 400}


async def test_the_database_refuses_more_than_was_received(shop: Shop) -> None:
    order = await bought(shop)
    with pytest.raises(Exception, match="more is refunded than was received"):
        await shop.sql.execute(
            """INSERT INTO refund (out_refund_no, payment_id, payable, cause, origin, amount_fen, reason, state, check_at,
            requested_by, requested_at) SELECT 'Rtoomuch', id, payable, 'x', 'staff', received_fen + 1, 'x', 'requested',
            now(), 'staff:1', now() FROM payment WHERE payable = $1""",
            order.no,
        )
