"""The payer's card is gone: the money waits with the merchant, and a person says where it goes."""

import logging
from typing import Any

import pytest
from cast import Operator, Shop
from till_and_staff import Bought, another, ask, bought, policy, swept

ACCOUNT, HOLDER = "6222020903001483077", "王小明"
CARD = {"kind": "userBankCard", "bankType": "ICBC_DEBIT", "bankAccount": ACCOUNT, "realName": HOLDER}


async def _abnormal(shop: Shop) -> tuple[Operator, Bought, str]:
    shop.world.tell("settings", refund_delay_s=3600)
    operator, order = await shop.operator(), await bought(shop)
    answer = await operator.post(f"/orders/{order.no}/refunds", {"reason": "少发", "amountFen": 700})
    number = answer.json()["refund"]["no"]
    await shop.run_jobs()
    shop.world.tell(f"refunds/{number}/state", status="ABNORMAL")
    assert (await shop.notify()).status_code == 204
    return operator, order, number


async def test_to_another_card_of_the_payer_and_it_is_kept_nowhere(
    shop: Shop, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    operator, order, number = await _abnormal(shop)
    shown = (await operator.get(f"/refunds/{number}")).json()
    assert (shown["state"], shown["actions"], shown["cases"][0]["kind"]) == (
        "abnormal",
        ["applyAbnormal", "refresh"],
        "refund_abnormal",
    )
    assert (await order.seen())["refunds"][0]["stateText"] == "退款异常，商家处理中"
    shop.world.tell("settings", refund_delay_s=1)
    answer = await operator.post(f"/refunds/{number}/apply-abnormal", CARD, key="another-card")
    assert (answer.status_code, answer.json()["state"]) == (200, "processing"), answer.text
    assert (await operator.post(f"/refunds/{number}/apply-abnormal", CARD, key="another-card")).text == answer.text
    again = await operator.post(f"/refunds/{number}/apply-abnormal", CARD)
    assert (again.status_code, again.json()["code"]) == (409, "not_abnormal")
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    assert (await order.rows())[0]["state"] == "succeeded"
    assert await shop.sql.fetchval("SELECT count(*) FROM payment_exception WHERE resolved_at IS NULL") == 0
    for table in ("refund", "audit_entry", "idempotency_key", "payment_exception", "pgqueuer", "pgqueuer_log"):
        rows = str(await shop.sql.fetch(f"SELECT t::text FROM {table} t"))
        assert ACCOUNT not in rows
        assert HOLDER not in rows
    written = caplog.text + "".join(capfd.readouterr())
    assert ACCOUNT not in written
    assert HOLDER not in written


async def test_who_asked_for_what_needed_a_second_person_chooses_no_card(shop: Shop) -> None:
    """The other one agreed to money for the payer, not for whatever card."""
    shop.world.tell("settings", refund_delay_s=3600)
    first = await shop.operator()
    second = await another(first)
    await policy(first, refundApprovalAboveFen=500)
    order = await bought(shop)
    number = (await ask(first, order.no, amountFen=700)).json()["refund"]["no"]
    assert (await second.post(f"/refunds/{number}/approve")).status_code == 200
    await shop.run_jobs()
    shop.world.tell(f"refunds/{number}/state", status="ABNORMAL")
    assert (await shop.notify()).status_code == 204
    answer = await first.post(f"/refunds/{number}/apply-abnormal", CARD)
    assert (answer.status_code, answer.json()["code"]) == (403, "own_refund")
    answer = await second.post(f"/refunds/{number}/apply-abnormal", CARD)
    assert (answer.status_code, answer.json()["state"]) == (200, "processing"), answer.text


async def test_not_even_a_hash_of_a_card_is_kept(shop: Shop) -> None:
    """Its digits could be found by trying, so the key does not tell whether the card is the same one."""
    operator, _, number = await _abnormal(shop)
    path, key = f"/refunds/{number}/apply-abnormal", "one-card-or-another"
    first = await operator.post(path, CARD, key=key)
    again = await operator.post(path, {**CARD, "bankAccount": "6222020903001483078"}, key=key)
    assert (first.status_code, again.status_code, again.text) == (200, 200, first.text)
    other = await operator.post(path, {"kind": "merchantBankCard"}, key=key)
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")


async def test_to_the_merchants_card_leaves_a_case_for_who_pays_the_buyer(shop: Shop) -> None:
    operator, order, number = await _abnormal(shop)
    shop.world.tell("settings", refund_delay_s=1)
    answer = await operator.post(f"/refunds/{number}/apply-abnormal", {"kind": "merchantBankCard"})
    assert (answer.status_code, answer.json()["state"]) == (200, "processing"), answer.text
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    assert (await order.rows())[0]["state"] == "succeeded"
    open_cases = await shop.sql.fetch("SELECT kind FROM payment_exception WHERE resolved_at IS NULL")
    assert [case["kind"] for case in open_cases] == ["refund_to_merchant"]


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"kind": "merchantBankCard", "bankAccount": ACCOUNT}, "bankAccount"),
        ({**CARD, "realName": None}, "realName"),
        ({"kind": "userBankCard"}, "bankType"),
        ({**CARD, "bankType": "icbc"}, "bankType"),
        ({**CARD, "bankAccount": "12x"}, "bankAccount"),
        ({"kind": "elsewhere"}, "kind"),
    ],
)
async def test_a_card_that_is_not_whole_names_its_field_and_not_its_value(
    shop: Shop, wish: dict[str, Any], field: str
) -> None:
    operator = await shop.operator()
    answer = await operator.post("/refunds/Rwhatever00001/apply-abnormal", wish)
    assert answer.status_code == 400
    assert field in answer.text
    assert ACCOUNT not in answer.text


async def test_a_silent_answer_is_asked_for(shop: Shop) -> None:
    """It was done, and the answer lost: 503, and our own question finds it."""
    operator, order, number = await _abnormal(shop)
    shop.world.faults(method="POST", path=".*/apply-abnormal-refund", times=1, effect="500_after")
    answer = await operator.post(f"/refunds/{number}/apply-abnormal", CARD, key="lost-answer")
    assert (answer.status_code, answer.json()["code"]) == (503, "we_chat_pay_unknown")
    await operator.post(f"/refunds/{number}/refresh")
    assert (await order.rows())[0]["state"] == "processing"
    again = await operator.post(f"/refunds/{number}/apply-abnormal", CARD, key="lost-answer")
    assert (again.status_code, again.json()["state"]) == (200, "processing")


async def test_mended_in_the_portal_is_found_by_asking(shop: Shop) -> None:
    _, order, number = await _abnormal(shop)
    shop.world.tell("delivery", mode="never")
    shop.world.tell(f"refunds/{number}/state", status="SUCCESS")
    await swept(shop, hours=2)
    assert (await order.rows())[0]["state"] == "succeeded"
    shop.world.tell("delivery", mode="normal")
