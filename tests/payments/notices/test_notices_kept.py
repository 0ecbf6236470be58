"""Notices that are WeChat's: none is lost, each counts once, and only for what it is."""

import asyncio
import contextlib
import dataclasses
import json
import os
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cast import Letter, Shop
from sqlalchemy.exc import DBAPIError
from test_attacks_notices import Liar

from payments import notices
from payments.wechatpay.keyring import Keyring
from shop.app import create_app
from shop.settings import Settings


async def _trade(shop: Shop, liar: Liar, **changed: Any) -> tuple[str, dict[str, Any]]:
    """An unpaid order, and what WeChat would say if it were paid."""
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    no = await buyer.order({sku: 1})
    out_trade_no = await buyer.prepay(no)
    total = await shop.sql.fetchval("SELECT amount_fen FROM payment WHERE out_trade_no = $1", out_trade_no)
    return no, {
        "mchid": liar.settings.pay.mch_id,
        "appid": liar.settings.wechat.app_id,
        "out_trade_no": out_trade_no,
        "transaction_id": f"42000099992026{os.urandom(7).hex()}",
        "trade_type": "JSAPI",
        "trade_state": "SUCCESS",
        "success_time": "2026-03-02T12:00:00+08:00",
        "amount": {"total": total, "payer_total": total, "currency": "CNY", "payer_currency": "CNY"},
        **changed,
    }


async def _state(shop: Shop, no: str) -> str:
    return str(await shop.sql.fetchval("SELECT state FROM orders WHERE no = $1", no))


async def _outcomes(shop: Shop) -> list[Any]:
    return [row["outcome"] for row in await shop.sql.fetch("SELECT outcome FROM notice ORDER BY received_at")]


async def _cases(shop: Shop) -> list[Any]:
    rows = await shop.sql.fetch("SELECT kind FROM payment_exception WHERE resolved_at IS NULL ORDER BY id")
    return [row["kind"] for row in rows]


async def test_only_a_transaction_pays(shop: Shop, liar: Liar) -> None:
    """The receiver of a profit sharing hears of it as TRANSACTION.SUCCESS; so might anything else one day."""
    no, trade = await _trade(shop, liar)
    for kind in ("profitsharing", "payscore", "refund", "Transaction", "transactions", "mch_payment", "security"):
        answer = await liar.send(liar.envelope(trade, resource=liar.sealed(trade, kind)))
        assert answer.status_code == 204, kind
        assert await _state(shop, no) == "unpaid", kind
    for event in ("TRANSACTION.PAY_BACK", "REFUND.SUCCESS", "TRANSACTION", "COUPON.USE", "SECURITY_ECHO.SUCCESS"):
        answer = await liar.send(liar.envelope(trade, event, resource=liar.sealed(trade)))
        assert answer.status_code == 204, event
        assert await _state(shop, no) == "unpaid", event
    assert set(await _outcomes(shop)) <= {
        "strange_notice",
        "unreadable",
        "unknown_order",
        "unknown_receiver",
        "known",
    } | {
        "refund_mismatch",
        "unknown_refund",
    }
    assert await shop.sql.fetchval("SELECT count(*) FROM payment WHERE state = 'received'") == 0


async def test_unknown_news_is_stored_shown_and_answered(shop: Shop, liar: Liar) -> None:
    for number in range(2):  # the same event once more changes nothing
        body = liar.envelope(
            {"any": "thing"}, "PAYSCORE.USER_OPEN_SERVICE", id="EV-1", resource=liar.sealed({}, "payscore")
        )
        assert (await liar.send(body)).status_code == 204, number
    row = await shop.sql.fetchrow("SELECT * FROM notice")
    assert (row["event_type"], row["original_type"], row["outcome"]) == (
        "PAYSCORE.USER_OPEN_SERVICE",
        "payscore",
        "strange_notice",
    )
    assert row["handled_at"] is not None
    assert json.loads(row["body"])["id"] == "EV-1"
    assert await _cases(shop) == ["strange_notice"]


async def test_another_algorithm_is_stored_and_pays_nothing(shop: Shop, liar: Liar) -> None:
    no, trade = await _trade(shop, liar)
    for changed in ({"algorithm": "AEAD_SM4_GCM"}, {"ciphertext": "@@@"}, {"nonce": "abc"}, {"nonce": ""}):
        answer = await liar.send(liar.envelope(trade, resource={**liar.sealed(trade), **changed}))
        assert answer.status_code == 204, changed
    assert await _outcomes(shop) == ["strange_notice"] * 4
    assert await _cases(shop) == ["strange_notice"] * 4
    assert await _state(shop, no) == "unpaid"
    assert (await liar.send(liar.envelope(trade))).status_code == 204
    assert await _state(shop, no) == "paid"


async def test_associated_data_may_be_empty_or_absent(shop: Shop, liar: Liar) -> None:
    for absent in (True, False):
        no, trade = await _trade(shop, liar)
        resource = {**liar.sealed(trade, ""), "original_type": "transaction"}
        if absent:
            del resource["associated_data"]
        assert (await liar.send(liar.envelope(trade, resource=resource))).status_code == 204
        assert await _state(shop, no) == "paid"


async def test_a_wrong_apiv3_key_is_one_alarm_and_nothing_is_lost(shop: Shop, liar: Liar) -> None:
    orders = [await _trade(shop, liar) for _ in range(3)]
    wrong = dataclasses.replace(liar.settings, pay=dataclasses.replace(liar.settings.pay, apiv3_key="x" * 32))
    bodies = [liar.envelope(trade) for _, trade in orders]
    app = create_app(wrong, clock=shop.world.clock)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
        unsuspecting = Liar(http, liar.settings, liar.key)
        answers = await asyncio.gather(*(unsuspecting.send(body) for body in bodies * 2))
    assert {answer.status_code for answer in answers} == {500}
    assert answers[0].json() == {"code": "FAIL", "message": "APIv3 密钥不正确"}
    assert await shop.sql.fetchval("SELECT count(*) FROM notice WHERE handled_at IS NULL") == 3
    assert await _cases(shop) == ["apiv3_key_wrong"]
    assert {await _state(shop, no) for no, _ in orders} == {"unpaid"}

    await _sweep(shop, wrong.pay.apiv3_key, liar)  # still wrong: nothing moves, and nothing is forgotten
    assert await _cases(shop) == ["apiv3_key_wrong"]
    shop.world.skip(hours=2)
    await _sweep(shop, liar.settings.pay.apiv3_key, liar)
    assert {await _state(shop, no) for no, _ in orders} == {"paid"}
    assert await _cases(shop) == [], "the alarm ends by itself"
    assert (await liar.send(bodies[0])).status_code == 204, "WeChat's repeat, after all that"
    assert await shop.sql.fetchval("SELECT count(*) FROM payment WHERE applied") == 3


async def _sweep(shop: Shop, apiv3_key: str, liar: Liar) -> None:
    """The worker's round, with this key."""
    pay = liar.settings.pay
    keyring = Keyring(apiv3_key, public_key=pay.public_key, public_key_id=pay.public_key_id)
    async with shop.db.begin() as session:
        due = await notices.due(session, shop.world.clock.now())
    for body in due:
        with contextlib.suppress(notices.ApiV3KeyWrong):
            await notices.retry(shop.db, keyring, shop.worker.payee, shop.world.clock, body)


async def test_what_cannot_be_handled_rests_longer_and_is_a_case_in_the_end(shop: Shop, liar: Liar) -> None:
    """The sweep's rounds for a notice that fails each time: 30 s, 1 min, … 64 min, and never more often again."""
    _, trade = await _trade(shop, liar)
    await shop.sql.execute("ALTER TABLE payment RENAME TO away")
    try:
        assert (await liar.send(liar.envelope(trade))).status_code >= 500
        rounds = 0
        for _ in range(24 * 60):
            async with shop.db.begin() as session:
                due = await notices.due(session, shop.world.clock.now())
            for body in due:
                rounds += 1
                with pytest.raises(DBAPIError):
                    await notices.retry(shop.db, _ring(liar), shop.worker.payee, shop.world.clock, body)
            await shop.sql.execute("UPDATE notice SET retry_at = retry_at - interval '1 minute'")
    finally:
        await shop.sql.execute("ALTER TABLE away RENAME TO payment")
    assert 7 + 19 <= rounds <= 7 + 23
    assert await _cases(shop) == ["stuck_notice"]
    await shop.sql.execute("UPDATE notice SET retry_at = received_at")
    await shop.worker.retry_notices()
    assert await shop.sql.fetchval("SELECT count(*) FROM payment WHERE applied") == 1


def _ring(liar: Liar) -> Keyring:
    pay = liar.settings.pay
    return Keyring(pay.apiv3_key, public_key=pay.public_key, public_key_id=pay.public_key_id)


async def test_another_merchants_or_apps_payment_is_stored_and_never_applied(shop: Shop, liar: Liar) -> None:
    no, trade = await _trade(shop, liar)
    strangers: list[dict[str, Any]] = [
        {**trade, "mchid": "1900009999"},
        {**trade, "appid": "wx9999999999999999"},
        {k: v for k, v in trade.items() if k != "mchid"} | {"sp_mchid": "1900009999", "sub_mchid": "1900008888"},
        {k: v for k, v in trade.items() if k != "appid"} | {"sp_appid": "wx9999999999999999"},
        {**trade, "sp_mchid": "1900009999", "mchid": "1900009999"},
        {**trade, "sub_mchid": "1900008888"},
    ]
    for strange in strangers:
        named = {**strange, "transaction_id": f"42000099992026{os.urandom(7).hex()}"}
        assert (await liar.send(liar.envelope(named))).status_code == 204
        assert await _state(shop, no) == "unpaid", strange
    assert await _outcomes(shop) == ["wrong_account"] * len(strangers)
    assert await _cases(shop) == ["wrong_account"] * len(strangers)
    assert await shop.sql.fetchval("SELECT count(*) FROM payment WHERE state = 'received'") == 0
    assert (await liar.send(liar.envelope(trade))).status_code == 204
    assert await _state(shop, no) == "paid"


async def test_a_partner_takes_only_what_is_its_sub_merchants(shop: Shop, liar: Liar) -> None:
    """The same partner collects for others: what names another sub-merchant, or none, is not this shop's money."""
    no, trade = await _trade(shop, liar, sub_mchid="1900008888")
    await shop.sql.execute("UPDATE payment SET sub_mchid = '1900008888' WHERE payable = $1", no)
    for other in ({"sub_mchid": "1900007777"}, {"sub_mchid": None}):
        named = {**trade, **other, "transaction_id": f"42000099992026{os.urandom(7).hex()}"}
        sent = {name: value for name, value in named.items() if value is not None}
        assert (await liar.send(liar.envelope(sent))).status_code == 204
        assert await _state(shop, no) == "unpaid", other
    assert (await liar.send(liar.envelope(trade))).status_code == 204
    assert await _state(shop, no) == "paid"


async def test_fifty_at_once_settle_once(shop: Shop, liar: Liar) -> None:
    """The same notice, and the same payment under fifty other ids."""
    no, trade = await _trade(shop, liar)
    body = liar.envelope(trade)
    answers = await asyncio.gather(*(liar.send(body) for _ in range(50)))
    answers += await asyncio.gather(*(liar.send(liar.envelope(trade)) for _ in range(50)))
    later = [answer for answer in answers if answer.status_code != 204]
    assert {answer.status_code for answer in later} <= {503}, "later, and WeChat repeats"
    assert len(answers) - len(later) >= 40
    assert await _state(shop, no) == "paid"
    assert await shop.sql.fetchval("SELECT count(*) FROM payment WHERE applied") == 1
    assert await shop.sql.fetchval("SELECT count(*) FROM posting WHERE cause LIKE 'received:%'") == 1
    assert await shop.sql.fetchval("SELECT count(*) FROM order_event WHERE what = 'paid'") == 1
    assert await shop.sql.fetchval("SELECT count(*) FROM notice WHERE id = $1", body["id"]) == 1


async def test_the_refund_is_heard_of_before_the_payment(shop: Shop) -> None:
    """Late money goes back by itself; of its refund we hear twice, and of the payment again after that."""
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    no = await buyer.order({sku: 1})
    out_trade_no = await buyer.prepay(no)
    await buyer.post(f"/orders/{no}/cancel", {})
    shop.world.pay(out_trade_no, raced=True)
    payment: Letter = shop.mailbox.take()
    await buyer.post(f"/orders/{no}/payment/refresh", {})  # we asked, and so knew before we were told
    if not await shop.sql.fetchval("SELECT count(*) FROM refund"):
        assert (await shop.notify(payment)).status_code == 204
    await shop.run_jobs()
    shop.world.skip(seconds=5)
    refund = shop.mailbox.take()
    for letter in (refund, payment, refund, payment):
        assert (await shop.notify(letter)).status_code == 204
    states = await shop.sql.fetch("SELECT state FROM refund WHERE payable = $1", no)
    assert [row["state"] for row in states] == ["succeeded"]
    assert await _state(shop, no) == "cancelled"
    causes = await shop.sql.fetch("SELECT split_part(cause, ':', 1) AS what FROM posting ORDER BY id")
    told = [row["what"] for row in causes]
    assert told[0] == "received"
    assert len(set(told)) == len(told), "nothing is booked twice"


async def test_news_of_a_refund_nobody_asked_for(shop: Shop, liar: Liar) -> None:
    """Before the payment is known, or made by hand in the portal: kept, shown, and nothing else moves."""
    no, trade = await _trade(shop, liar)
    refund = {
        "mchid": trade["mchid"],
        "out_trade_no": trade["out_trade_no"],
        "transaction_id": trade["transaction_id"],
        "out_refund_no": "R20260302000001",
        "refund_id": "50300009992026030200000000001",
        "refund_status": "SUCCESS",
        "success_time": "2026-03-02T12:00:05+08:00",
        "amount": {"total": 1, "refund": 1, "payer_total": 1, "payer_refund": 1},
    }
    assert (await liar.send(liar.envelope(refund, "REFUND.SUCCESS"))).status_code == 204
    assert await _state(shop, no) == "unpaid"
    assert await _outcomes(shop) != [None], "it is a case, or is looked into"
    assert await shop.sql.fetchval("SELECT count(*) FROM posting") == 0
    assert (await liar.send(liar.envelope(trade))).status_code == 204
    assert await _state(shop, no) == "paid"


async def test_nothing_is_promised_while_the_database_is_away(shop: Shop, liar: Liar) -> None:
    no, trade = await _trade(shop, liar)
    away = dataclasses.replace(liar.settings, database_url="postgresql://shop_app:x@127.0.0.1:9/shop")
    app = create_app(away, clock=shop.world.clock)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    body = liar.envelope(trade)
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
        answer = await Liar(http, liar.settings, liar.key).send(body)
    assert answer.status_code == 503
    assert answer.json()["code"] == "FAIL"
    assert await shop.sql.fetchval("SELECT count(*) FROM notice") == 0
    assert (await liar.send(body)).status_code == 204
    assert await _state(shop, no) == "paid"


async def test_the_echo_is_recorded(shop: Shop, liar: Liar) -> None:
    echo = {"echo_message": "are you there?"}
    body = liar.envelope(echo, "SECURITY_ECHO.SUCCESS", resource=liar.sealed(echo, "security"))
    assert (await liar.send(body)).status_code == 204
    assert await _outcomes(shop) == ["echo"]
    assert await _cases(shop) == []


async def test_what_waits_is_to_be_seen_from_outside(shop: Shop, liar: Liar, settings: Settings) -> None:
    """For an alarm that somebody hears: open cases by kind, notices not handled and their age; without a database, too."""
    zero = await _metrics(shop.http)
    assert zero['payment_exceptions_open{kind="apiv3_key_wrong"}'] == 0
    assert (zero["notices_unhandled"], zero["notices_unhandled_oldest_seconds"], zero["database_up"]) == (0, 0, 1)
    assert (await liar.send(liar.envelope({}, "COUPON.USE", resource=liar.sealed({}, "coupon")))).status_code == 204
    row = "INSERT INTO notice (id, event_type, original_type, body, received_at, retry_at) VALUES ('w', 'x', 'x', '{}', $1, $1)"
    await shop.sql.execute(row, shop.world.clock.now() - timedelta(minutes=10))
    app = create_app(liar.settings, clock=shop.world.clock)
    async with app.lifespan(), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as http:
        seen = await _metrics(http)
    assert seen['payment_exceptions_open{kind="strange_notice"}'] == 1
    assert seen["notices_unhandled"] == 1
    assert 600 <= seen["notices_unhandled_oldest_seconds"] < 700
    away = dataclasses.replace(settings, database_url="postgresql://shop_app:x@127.0.0.1:9/shop")
    app = create_app(away, clock=shop.world.clock)
    async with app.lifespan(), httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as http:
        assert (await _metrics(http))["database_up"] == 0


async def _metrics(http: httpx.AsyncClient) -> dict[str, float]:
    answer = await http.get("/metrics")
    assert answer.status_code == 200
    pairs = (line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}
