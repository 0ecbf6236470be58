"""Defects of `wechatpayv3` 2.0.4 that touch us, by their numbers in `payments/wechatpay/`.

Each test says what the bare package should do and is expected to fail. When one passes, a new version has mended it:
look whether what we do about it can go.
"""

import asyncio
import gzip
import json
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from false_wechat import APIV3_KEY, MERCHANT_SERIAL, PUBLIC_KEY_ID, FalseWeChat, Said, key, pem, platform, public_pem
from wechatpayv3.async_ import AsyncWeChatPay, WeChatPayType

Bare = Callable[..., Any]
TRADE = {"out_trade_no": "P00000001", "trade_state": "NOTPAY"}
NOTIFY_URL = "https://shop.example.com/wechat/pay/notify"


def defect(number: int, why: str) -> pytest.MarkDecorator:
    return pytest.mark.xfail(strict=True, reason=f"wechatpayv3 2.0.4, defect {number}: {why}")


@pytest.fixture
async def bare(false_wechat: FalseWeChat) -> AsyncIterator[Bare]:
    """The package by itself, pointed at the false WeChat."""
    clients: list[httpx.AsyncClient] = []

    def made(**changed: Any) -> Any:
        values: dict[str, Any] = {
            "wechatpay_type": WeChatPayType.JSAPI,
            "mchid": "1900000109",
            "private_key": pem(key("merchant")),
            "cert_serial_no": MERCHANT_SERIAL,
            "appid": "wx0123456789abcdef",
            "apiv3_key": APIV3_KEY,
            "notify_url": NOTIFY_URL,
            "public_key": public_pem(key("public")),
            "public_key_id": PUBLIC_KEY_ID,
        }
        client = AsyncWeChatPay(**(values | changed))
        clients.append(httpx.AsyncClient())
        client._core._gate_way = false_wechat.url
        client._core._client = clients[-1]
        return client

    yield made
    for one in clients:
        await one.aclose()


async def test_the_bare_package_does_what_it_is_used_for(bare: Bare, false_wechat: FalseWeChat) -> None:
    """If this fails, the others say nothing."""
    false_wechat.say(TRADE)
    assert (await bare().query(out_trade_no="P00000001"))[0] == 200
    assert false_wechat.heard[-1].is_genuine


@defect(2, "a POST without a body sends `null` and signs nothing")
async def test_a_body_that_is_not_there_is_signed_as_it_is_sent(bare: Bare, false_wechat: FalseWeChat) -> None:
    false_wechat.say({"out_bill_no": "B1", "state": "CANCELING"})
    await bare().mch_transfer_bills_cancel("B1")
    assert false_wechat.heard[-1].body == b""


@defect(4, "a number stands in a path as it is")
async def test_a_number_cannot_leave_its_place_in_a_path(bare: Bare, false_wechat: FalseWeChat) -> None:
    false_wechat.say(TRADE)
    await bare().query(out_trade_no="P1/close?")
    assert false_wechat.heard[-1].target.startswith("/v3/pay/transactions/out-trade-no/P1%2Fclose%3F")


@defect(7, "a refund without a notify_url gets the one for payments")
async def test_a_refund_does_not_guess_its_notify_url(bare: Bare, false_wechat: FalseWeChat) -> None:
    false_wechat.say({"out_refund_no": "R1", "status": "PROCESSING"})
    await bare().refund(out_refund_no="R1", out_trade_no="P1", amount={"refund": 1, "total": 1, "currency": "CNY"})
    assert "notify_url" not in false_wechat.heard[-1].json


async def _transfer(client: Any, **changed: Any) -> None:
    values = {"out_bill_no": "B1", "transfer_scene_id": "1000", "openid": "o1", "transfer_amount": 500}
    await client.mch_transfer_bills(**values | {"transfer_remark": "x"} | changed)


@defect(7, "a transfer without a notify_url says `null`")
async def test_a_transfer_has_no_null_members(bare: Bare, false_wechat: FalseWeChat) -> None:
    false_wechat.say({"out_bill_no": "B1", "state": "ACCEPTED"})
    await _transfer(bare(notify_url=None))
    assert None not in false_wechat.heard[-1].json.values()


@defect(7, "under 0.30 yuan the name is dropped without a word")
async def test_a_name_is_not_dropped(bare: Bare, false_wechat: FalseWeChat) -> None:
    false_wechat.say({"out_bill_no": "B1", "state": "ACCEPTED"})
    await _transfer(bare(), transfer_amount=20, user_name="张三")
    assert "user_name" in false_wechat.heard[-1].json


@defect(8, "a payment code is sent with a notify_url")
async def test_a_payment_code_has_no_notify_url(bare: Bare, false_wechat: FalseWeChat) -> None:
    false_wechat.say(TRADE)
    await bare(wechatpay_type=WeChatPayType.CODEPAY).pay(
        description="x", out_trade_no="P00000001", amount={"total": 1}, payer={"auth_code": "1" * 18}
    )
    assert "notify_url" not in false_wechat.heard[-1].json


@defect(9, "a partner who names no sub-merchant asks for `None`")
async def test_nobody_is_not_called_none(bare: Bare, false_wechat: FalseWeChat) -> None:
    false_wechat.say(TRADE)
    await bare(partner_mode=True).query(out_trade_no="P00000001")
    assert "None" not in false_wechat.heard[-1].target


@defect(10, "names are sealed in the caller's own list, and once more when it is sent again")
async def test_the_list_of_receivers_stays_as_it_was(bare: Bare, false_wechat: FalseWeChat) -> None:
    false_wechat.say({"out_order_no": "S1", "state": "PROCESSING"})
    receivers = [{"type": "MERCHANT_ID", "account": "1", "amount": 1, "description": "x", "name": "张三"}]
    await bare().profitsharing_order(
        transaction_id="4200", out_order_no="S1", receivers=receivers, unfreeze_unsplit=False
    )
    assert receivers[0]["name"] == "张三"


@defect(12, "the query of a return begins with `?&`")
async def test_a_query_has_no_empty_part(bare: Bare, false_wechat: FalseWeChat) -> None:
    false_wechat.say({"out_return_no": "T1", "result": "SUCCESS"})
    await bare().profitsharing_return_query(out_order_no="S1", out_return_no="T1")
    assert "?&" not in false_wechat.heard[-1].target


@defect(13, "an answer of last year is believed")
async def test_an_old_answer_is_refused(bare: Bare, false_wechat: FalseWeChat) -> None:
    false_wechat.say(TRADE, timestamp=str(int(time.time()) - 365 * 86400))
    with pytest.raises(Exception, match="verify"):
        await bare().query(out_trade_no="P00000001")


@defect(14, "a bill stays packed")
async def test_a_bill_is_unpacked(bare: Bare, false_wechat: FalseWeChat) -> None:
    false_wechat.say(gzip.compress(b"text"), signed=False, headers={"Content-Type": "application/x-gzip"})
    _, body = await bare().download_bill(f"{false_wechat.url}/v3/billdownload/file?token=t")
    assert body == b"text"


@defect(14, "an address that does not begin with the very gateway is put behind it")
async def test_an_address_in_other_letters_is_the_same_address(bare: Bare, false_wechat: FalseWeChat) -> None:
    false_wechat.say(b"text", signed=False)
    client = bare()
    client._core._gate_way = false_wechat.url.replace("127.0.0.1", "localhost")
    url = f"{false_wechat.url.replace('127.0.0.1', 'LOCALHOST')}/v3/billdownload/file?token=t"
    assert (await client.download_bill(url))[0] == 200


@pytest.mark.filterwarnings("ignore:Properties that return")
@defect(15, "secrets are sealed to the certificate that ends last, even one that has not begun")
async def test_secrets_are_sealed_to_a_certificate_that_has_begun(bare: Bare) -> None:
    client = bare(public_key=None, public_key_id=None)
    now, later = platform("now", ends_days=300), platform("later", begins_days=5, ends_days=1800)
    client._core._certificates = [now.certificate, later.certificate]
    assert client._core._last_certificate() == now.certificate


@defect(16, "certificates are thrown away before there are new ones")
async def test_a_failed_download_loses_no_certificate(bare: Bare, false_wechat: FalseWeChat) -> None:
    client = bare(public_key=None, public_key_id=None)
    client._core._certificates = [platform("old").certificate]
    false_wechat.list_answer = Said(b"{}", status=500, signed=False)
    false_wechat.say(TRADE, by=platform("of a stranger"))
    with pytest.raises(Exception, match="verify"):
        await client.query(out_trade_no="P00000001")
    assert client._core._certificates


@defect(18, "a call before `async with` fails by accident")
async def test_a_call_before_the_client_is_open_says_so(bare: Bare) -> None:
    client = bare()
    client._core._client = None
    with pytest.raises(Exception, match="context"):
        await client.query(out_trade_no="P00000001")


@defect(13, "a notification of last year is taken (§ callback)")
async def test_an_old_notification_is_refused(bare: Bare) -> None:
    body = json.dumps({"id": "x", "resource_type": "other", "resource": {}})
    timestamp = str(int(time.time()) - 365 * 86400)
    text = f"{timestamp}\nn\n{body}\n".encode()
    signed = await asyncio.to_thread(key("public").sign, text, PKCS1v15(), hashes.SHA256())
    headers = {
        "Wechatpay-Timestamp": timestamp,
        "Wechatpay-Nonce": "n",
        "Wechatpay-Serial": PUBLIC_KEY_ID,
        "Wechatpay-Signature": b64encode(signed).decode(),
        "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
    }
    assert not bare()._core._verify_signature(headers, body)
