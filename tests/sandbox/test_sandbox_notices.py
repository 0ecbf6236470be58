"""Notifications: sealed, signed, repeated; what a merchant hears is checked by a third party's library."""

import json
import time
from pathlib import Path

import httpx
import pytest
from wechatpayv3 import WeChatPay, WeChatPayType

LADDER_S = [15, 15, 30, 180, 600, 1200, 1800, 1800, 1800, 3600, 10800, 10800, 10800, 21600, 21600]


def reader(box, *, by_certificate: bool = False, tmp_path=None) -> WeChatPay:
    """``wechatpayv3`` as the merchant's own verifier."""
    if by_certificate:
        folder = tmp_path / "certificates"
        folder.mkdir(exist_ok=True)
        (folder / "platform.pem").write_bytes((box.folder / "wechatpay_cert.pem").read_bytes())
        keys = {"cert_dir": str(folder)}
    else:
        public = Path(box.env["WECHAT_PAY_PUBLIC_KEY"]).read_text()
        keys = {"public_key": public, "public_key_id": box.env["WECHAT_PAY_PUBLIC_KEY_ID"]}
    return WeChatPay(
        WeChatPayType.MINIPROG,
        mchid=box.mch_id,
        private_key=Path(box.env["WECHAT_PAY_PRIVATE_KEY"]).read_text(),
        cert_serial_no=box.env["WECHAT_PAY_CERT_SERIAL"],
        appid=box.app_id,
        apiv3_key=box.env["WECHAT_PAY_APIV3_KEY"],
        **keys,
    )


def read(box, headers: httpx.Headers, body: bytes, **how) -> dict | None:
    spelt = {name.title(): value for name, value in headers.items()}
    return reader(box, **how).callback(spelt, body)


def notice_of(box, subject: str) -> dict:
    return box.look(f"notifications?subject={subject}")["items"][0]


def until_state(box, subject: str, state: str, within_s: float = 5) -> dict:
    until = time.monotonic() + within_s
    while (notice := notice_of(box, subject))["state"] != state:
        assert time.monotonic() < until, notice
        time.sleep(0.02)
    return notice


def test_a_payment_is_told(box, inbox) -> None:
    order = box.paid(inbox.url)
    headers, body = inbox.wait(1)[0]
    assert box.genuine(headers, body)
    assert headers["wechatpay-serial"] == box.env["WECHAT_PAY_PUBLIC_KEY_ID"]
    assert headers["wechatpay-signature-type"] == "WECHATPAY2-SHA256-RSA2048"
    assert headers["content-type"] == "application/json"
    assert len(headers["wechatpay-nonce"]) == 32
    envelope = json.loads(body)
    assert envelope["id"][14] == "5"  # a UUIDv5
    assert envelope["resource_type"] == "encrypt-resource"
    resource = envelope["resource"]
    assert resource["original_type"] == resource["associated_data"] == "transaction"
    told = read(box, headers, body)
    assert told["event_type"] == "TRANSACTION.SUCCESS"
    target = f"/v3/pay/transactions/out-trade-no/{order}?mchid={box.mch_id}"
    assert told["resource"] == box.pay_api("GET", target).json()
    notice = until_state(box, order, "delivered")
    assert [attempt["status"] for attempt in notice["attempts"]] == [204]


def test_refunds_are_told(box, inbox) -> None:
    box.lever("settings", {"refund_delay_s": 0})
    order = box.paid()
    number = box.refund(order, 1000, notify_url=inbox.url).json()["out_refund_no"]
    told = read(box, *inbox.wait(1)[0])
    assert told["event_type"] == "REFUND.SUCCESS"
    resource = told["resource"]
    assert (resource["refund_status"], resource["out_refund_no"]) == ("SUCCESS", number)
    assert resource["amount"] == {"total": 4200, "refund": 1000, "payer_total": 4200, "payer_refund": 1000}
    assert not {"status", "appid"} & set(resource)
    box.lever("settings", {"refund_delay_s": 3600})
    for status, event in (("ABNORMAL", "REFUND.ABNORMAL"), ("CLOSED", "REFUND.CLOSED")):
        number = box.refund(order, 1, notify_url=inbox.url).json()["out_refund_no"]
        inbox.heard.clear()
        box.lever(f"refunds/{number}/state", {"status": status})
        told = read(box, *inbox.wait(1)[0])
        assert (told["event_type"], told["resource"]["refund_status"]) == (event, status)
        assert "success_time" not in told["resource"]


def test_a_refund_without_an_address_is_not_told(box) -> None:
    number = box.refund(box.paid(), 1).json()["out_refund_no"]
    box.lever("clock/advance", {"seconds": 60})
    assert box.look(f"notifications?subject={number}")["items"] == []


def test_the_ladder_in_virtual_time(new_box, inbox) -> None:
    box = new_box()
    inbox.status = 500
    order = box.paid(inbox.url)
    for count, wait_s in enumerate(LADDER_S, start=1):
        inbox.wait(count)
        until = time.monotonic() + 5
        while len(notice_of(box, order)["attempts"]) < count or notice_of(box, order)["next_at"] is None:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert notice_of(box, order)["state"] == "waiting"
        box.lever("clock/advance", {"seconds": wait_s - 12})
        assert len(inbox.heard) == count
        box.lever("clock/advance", {"seconds": 12})
    inbox.wait(16)
    notice = until_state(box, order, "given_up")
    assert len(notice["attempts"]) == 16
    assert notice["attempts"][0]["answer"] == '{"code":"FAIL"}'
    ids = {json.loads(body)["id"] for _, body in inbox.heard}
    assert ids == {notice["id"]}
    for name in ("wechatpay-nonce", "wechatpay-signature", "request-id"):
        assert len({headers[name] for headers, _ in inbox.heard}) == 16  # all fresh
    assert all(box.genuine(headers, body) for headers, body in inbox.heard)
    assert abs(int(inbox.heard[-1][0]["wechatpay-timestamp"]) - time.time()) < 10


@pytest.mark.parametrize("status", [201, 302, 400])
def test_only_200_and_204_count_and_redirects_are_not_followed(box, inbox, status) -> None:
    inbox.status, inbox.location = status, inbox.url
    order = box.paid(inbox.url)
    inbox.wait(1)
    until = time.monotonic() + 5
    while not (notice := notice_of(box, order))["attempts"]:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert (notice["state"], len(inbox.heard)) == ("waiting", 1)
    inbox.status = 200
    box.lever("clock/advance", {"seconds": 15})
    until_state(box, order, "delivered")


def test_a_deaf_merchant(box) -> None:
    order = box.paid("http://127.0.0.1:9/nobody")
    until = time.monotonic() + 5
    while not (notice := notice_of(box, order))["attempts"]:
        assert time.monotonic() < until
        time.sleep(0.01)
    attempt = notice["attempts"][0]
    assert (attempt["status"], notice["state"]) == (None, "waiting")
    assert "Connect" in attempt["error"]


def test_five_seconds_and_no_more(box, inbox) -> None:
    inbox.delay_s = 5.6
    order = box.paid(inbox.url)
    other = box.ordered(inbox.url)
    until = time.monotonic() + 8
    while not (notice := notice_of(box, order))["attempts"]:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert "5 seconds" in notice["attempts"][0]["error"]
    assert 4900 <= notice["attempts"][0]["took_ms"] < 5600
    assert box.state(other) == "NOTPAY"


def test_twice(box, inbox) -> None:
    box.lever("delivery", {"mode": "twice"})
    order = box.paid(inbox.url)
    first, second = (json.loads(body) for _, body in inbox.wait(2))
    assert first["id"] == second["id"]
    assert first["resource"]["nonce"] != second["resource"]["nonce"]
    until_state(box, order, "delivered")
    assert len(inbox.heard) == 2


def test_late_and_only_some_kinds(box, inbox) -> None:
    box.lever("delivery", {"mode": "late", "delay_s": 600, "kinds": ["transaction"]})
    box.lever("settings", {"refund_delay_s": 0})
    order = box.paid(inbox.url)
    box.refund(order, 1, notify_url=inbox.url)
    assert read(box, *inbox.wait(1)[0])["event_type"] == "REFUND.SUCCESS"  # before the payment it is of
    box.lever("clock/advance", {"seconds": 600})
    assert read(box, *inbox.wait(2)[1])["event_type"] == "TRANSACTION.SUCCESS"


def test_shuffled(box, inbox) -> None:
    """What happened first need not be heard first."""
    box.lever("delivery", {"mode": "shuffled", "delay_s": 1000})
    numbers = [box.paid(inbox.url) for _ in range(6)]
    notices = [box.look(f"notifications?subject={number}")["items"][0] for number in numbers]
    waits = [notice["next_at"] or "" for notice in notices]  # none: it fell to the first seconds, and is delivered
    assert waits != sorted(waits) or len(set(waits)) > 1
    box.lever("clock/advance", {"seconds": 1000})
    inbox.wait(6)


def test_never_until_delivered_by_hand(box, inbox) -> None:
    box.lever("delivery", {"mode": "never"})
    order = box.paid(inbox.url)
    box.lever("clock/advance", {"seconds": 86400})
    notice = notice_of(box, order)
    assert (notice["state"], notice["attempts"], inbox.heard) == ("held", [], [])
    inbox.status = 500
    assert box.lever(f"notifications/{notice['id']}/deliver")["status"] == 500
    assert notice_of(box, order)["state"] == "held"
    inbox.status = 200
    assert box.lever(f"notifications/{notice['id']}/deliver")["status"] == 200
    assert notice_of(box, order)["state"] == "delivered"
    assert box.lever(f"notifications/{notice['id']}/deliver")["status"] == 200  # a late duplicate
    assert box.http.post("/_sandbox/notifications/nothing/deliver").status_code == 404


@pytest.mark.parametrize("variant", ["stale", "bad_signature", "probe", "unknown_serial", "wrong_key"])
def test_variants_to_be_refused(box, inbox, variant) -> None:
    box.lever("delivery", {"mode": "never"})
    order = box.paid(inbox.url)
    notice = notice_of(box, order)
    answered = box.lever(f"notifications/{notice['id']}/deliver", {"variant": variant})
    assert (answered["status"], answered["attempt"]["variant"]) == (204, variant)
    headers, body = inbox.heard[0]
    if variant == "stale":
        assert box.genuine(headers, body)
        assert time.time() - int(headers["wechatpay-timestamp"]) > 300
    elif variant == "unknown_serial":
        assert headers["wechatpay-serial"] != box.env["WECHAT_PAY_PUBLIC_KEY_ID"]
    else:
        assert read(box, headers, body) is None
    assert headers["wechatpay-signature"].startswith("WECHATPAY/SIGNTEST/") == (variant == "probe")
    assert notice_of(box, order)["state"] == "held"


def test_a_certificate_merchant(new_box, inbox, tmp_path) -> None:
    box = new_box("--key-mode", "certificate")
    assert box.env["WECHAT_PAY_KEY_MODE"] == "certificate"
    box.paid(inbox.url)
    headers, body = inbox.wait(1)[0]
    assert box.genuine(headers, body)
    assert len(headers["wechatpay-serial"]) == 40
    assert read(box, headers, body, by_certificate=True, tmp_path=tmp_path)["event_type"] == "TRANSACTION.SUCCESS"


def test_the_migration_week_mixes_both(new_box, inbox, tmp_path) -> None:
    box = new_box("--key-mode", "both")
    box.lever("delivery", {"mode": "twice"})
    box.paid(inbox.url)
    heard = inbox.wait(2)
    serials = [headers["wechatpay-serial"] for headers, _ in heard]
    assert len(set(serials)) == 2
    assert box.env["WECHAT_PAY_PUBLIC_KEY_ID"] in serials
    for headers, body in heard:
        by_certificate = headers["wechatpay-serial"] != box.env["WECHAT_PAY_PUBLIC_KEY_ID"]
        assert read(box, headers, body, by_certificate=by_certificate, tmp_path=tmp_path) is not None
