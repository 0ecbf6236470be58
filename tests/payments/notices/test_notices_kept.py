"""Notices that are WeChat's: none is lost, and what cannot be handled is there to be seen."""

import asyncio
import contextlib
import dataclasses
import json
from datetime import timedelta

import httpx
import pytest
from cast import Shop
from liar import Liar, unpaid_trade
from sqlalchemy.exc import DBAPIError
from traces import open_cases, outcomes, state_of

from payments import notices
from payments.wechatpay.keyring import Keyring
from shop.app import create_app
from shop.settings import Settings


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
    assert await open_cases(shop) == ["strange_notice"]


async def test_another_algorithm_is_stored_and_pays_nothing(shop: Shop, liar: Liar) -> None:
    no, trade = await unpaid_trade(shop, liar)
    for changed in ({"algorithm": "AEAD_SM4_GCM"}, {"ciphertext": "@@@"}, {"nonce": "abc"}, {"nonce": ""}):
        answer = await liar.send(liar.envelope(trade, resource={**liar.sealed(trade), **changed}))
        assert answer.status_code == 204, changed
    assert await outcomes(shop) == ["strange_notice"] * 4
    assert await open_cases(shop) == ["strange_notice"] * 4
    assert await state_of(shop, no) == "unpaid"
    assert (await liar.send(liar.envelope(trade))).status_code == 204
    assert await state_of(shop, no) == "paid"


async def test_a_wrong_apiv3_key_is_one_alarm_and_nothing_is_lost(shop: Shop, liar: Liar) -> None:
    orders = [await unpaid_trade(shop, liar) for _ in range(3)]
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
    assert await open_cases(shop) == ["apiv3_key_wrong"]
    assert {await state_of(shop, no) for no, _ in orders} == {"unpaid"}

    await _sweep(shop, wrong.pay.apiv3_key, liar)  # still wrong: nothing moves, and nothing is forgotten
    assert await open_cases(shop) == ["apiv3_key_wrong"]
    shop.world.skip(hours=2)
    await _sweep(shop, liar.settings.pay.apiv3_key, liar)
    assert {await state_of(shop, no) for no, _ in orders} == {"paid"}
    assert await open_cases(shop) == [], "the alarm ends by itself"
    assert (await liar.send(bodies[0])).status_code == 204, "WeChat's repeat, after all that"
    assert await shop.sql.fetchval("SELECT count(*) FROM payment WHERE applied") == 3


async def test_the_alarm_of_a_wrong_apiv3_key_ends_also_with_wechats_own_repeat(shop: Shop, liar: Liar) -> None:
    """It may come before our round does; and the next wrong key is an alarm again."""
    wrong = dataclasses.replace(liar.settings, pay=dataclasses.replace(liar.settings.pay, apiv3_key="x" * 32))
    app = create_app(wrong, clock=shop.world.clock)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://shop") as http:
        for _ in range(2):
            no, trade = await unpaid_trade(shop, liar)
            body = liar.envelope(trade)
            assert (await Liar(http, liar.settings, liar.key).send(body)).status_code == 500
            assert await open_cases(shop) == ["apiv3_key_wrong"]
            assert (await liar.send(body)).status_code == 204
            assert await state_of(shop, no) == "paid"
            assert await open_cases(shop) == []


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
    _, trade = await unpaid_trade(shop, liar)
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
    assert await open_cases(shop) == ["stuck_notice"]
    await shop.sql.execute("UPDATE notice SET retry_at = received_at")
    await shop.worker.retry_notices()
    assert await shop.sql.fetchval("SELECT count(*) FROM payment WHERE applied") == 1


def _ring(liar: Liar) -> Keyring:
    pay = liar.settings.pay
    return Keyring(pay.apiv3_key, public_key=pay.public_key, public_key_id=pay.public_key_id)


async def test_nothing_is_promised_while_the_database_is_away(shop: Shop, liar: Liar) -> None:
    no, trade = await unpaid_trade(shop, liar)
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
    assert await state_of(shop, no) == "paid"


async def test_the_echo_is_recorded(shop: Shop, liar: Liar) -> None:
    echo = {"echo_message": "are you there?"}
    body = liar.envelope(echo, "SECURITY_ECHO.SUCCESS", resource=liar.sealed(echo, "security"))
    assert (await liar.send(body)).status_code == 204
    assert await outcomes(shop) == ["echo"]
    assert await open_cases(shop) == []


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
