"""Three answers: what is signed and fresh is believed, a no is a no, and all else is unknown."""

import time
from typing import Any

import pytest
from false_wechat import PUBLIC_KEY_ID, FalseWeChat

from payments.wechatpay.gateway import Refused, Unknown

TRADE = {"out_trade_no": "P00000001", "trade_state": "NOTPAY", "mchid": "1900000109", "appid": "wx0123456789abcdef"}


async def test_a_signed_answer_is_believed_and_our_request_is_signed(false_wechat: FalseWeChat) -> None:
    false_wechat.say(TRADE)
    trade = await false_wechat.gateway.query("P00000001")
    assert trade is not None
    assert trade.trade_state == "NOTPAY"
    heard = false_wechat.heard[-1]
    assert heard.is_genuine
    assert heard.target == "/v3/pay/transactions/out-trade-no/P00000001?mchid=1900000109"
    assert heard.headers["wechatpay-serial"] == PUBLIC_KEY_ID
    assert heard.headers["user-agent"]


async def test_a_body_is_signed_as_it_is_sent(false_wechat: FalseWeChat) -> None:
    false_wechat.say(b"", status=204)
    await false_wechat.gateway.close("P00000001")
    assert false_wechat.heard[-1].is_genuine
    assert false_wechat.heard[-1].json == {"mchid": "1900000109"}


@pytest.mark.parametrize(
    "how",
    [
        pytest.param({"signed": False}, id="unsigned"),
        pytest.param({"timestamp": str(int(time.time()) - 301)}, id="old"),
        pytest.param({"timestamp": str(int(time.time()) + 100_000)}, id="of the future"),
        pytest.param({"timestamp": "9" * 4000}, id="no time at all"),
        pytest.param({"spoil": {"Wechatpay-Serial": PUBLIC_KEY_ID.lower()}}, id="serial in another case"),
        pytest.param({"spoil": {"Wechatpay-Serial": "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"}}, id="unknown serial"),
        pytest.param({"spoil": {"Wechatpay-Serial": None}}, id="no serial"),
        pytest.param({"spoil": {"Wechatpay-Nonce": None}}, id="no nonce"),
        pytest.param({"spoil": {"Wechatpay-Signature-Type": None}}, id="no kind"),
        pytest.param({"spoil": {"Wechatpay-Signature-Type": "WECHATPAY2-SM2-WITH-SM3"}}, id="another kind"),
        pytest.param({"spoil": {"Wechatpay-Signature": "WECHATPAY/SIGNTEST/abcd"}}, id="probe"),
        pytest.param({"spoil": {"Wechatpay-Signature": "AAAA" * 86}}, id="wrong signature"),
        pytest.param({"signed_text": b"{}"}, id="signature of something else"),
        pytest.param({"status": 202}, id="accepted"),
        pytest.param({"status": 302, "headers": {"Location": "http://127.0.0.1:9/"}}, id="moved"),
        pytest.param({"status": 408, "signed": False}, id="timed out on its way"),
        pytest.param({"status": 429}, id="too fast"),
        pytest.param({"status": 500}, id="500"),
        pytest.param({"status": 502, "signed": False}, id="502"),
        pytest.param({"cut_short": True}, id="cut short"),
    ],
)
async def test_what_cannot_be_trusted_is_unknown(false_wechat: FalseWeChat, how: dict[str, Any]) -> None:
    false_wechat.say(TRADE, **how)
    with pytest.raises(Unknown):
        await false_wechat.gateway.query("P00000001")
    assert len(false_wechat.heard) == 1  # nothing is tried again by itself, and nothing else is asked


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'"x"', b"\xff", b"{" * 100_000, b'{"out_trade_no":"P00000002","trade_state":"X"}']
)
async def test_a_genuine_answer_that_makes_no_sense_is_unknown(false_wechat: FalseWeChat, body: bytes) -> None:
    false_wechat.say(body)
    with pytest.raises(Unknown):
        await false_wechat.gateway.query("P00000001")


async def test_an_answer_without_end_is_unknown(false_wechat: FalseWeChat) -> None:
    false_wechat.say(b"x" * (3 << 20))
    with pytest.raises(Unknown, match="without end"):
        await false_wechat.gateway.query("P00000001")


async def test_an_answer_that_trickles_is_unknown(false_wechat: FalseWeChat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payments.wechatpay.connection._WHOLE_S", 0.3)
    false_wechat.say(TRADE, piece=1, trickle_s=0.05)
    with pytest.raises(Unknown, match="TimeoutError"):
        await false_wechat.gateway.query("P00000001")


async def test_nobody_there_is_unknown(false_wechat: FalseWeChat) -> None:
    false_wechat.close()
    with pytest.raises(Unknown, match="ConnectError"):
        await false_wechat.gateway.query("P00000001")


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, b'{"code":"ORDER_PAID","message":"\xe8\xaf\xa5"}', "ORDERPAID"),
        (403, b'{"code":"NOTENOUGH","message":"x","detail":null}', "NOTENOUGH"),
        (401, b'{"code":"SIGN_ERROR","message":"x"}', "SIGNERROR"),
        (404, b"", "HTTP404"),
        (405, b"<html>", "HTTP405"),
        (400, b'{"code":null}', "HTTP400"),
    ],
)
async def test_a_no_is_a_no_signed_or_not(false_wechat: FalseWeChat, status: int, body: bytes, code: str) -> None:
    for signed in (True, False):
        false_wechat.say(body, status=status, signed=signed)
        with pytest.raises(Refused) as refused:
            await false_wechat.gateway.query("P00000001")
        assert (refused.value.status, refused.value.code) == (status, code)
        assert refused.value.is_wordless == code.startswith("HTTP")


@pytest.mark.parametrize("code", ["ORDER_NOT_EXIST", "ORDERNOTEXIST", "RESOURCE_NOT_EXISTS", "SOMETHING_NOT_THERE"])
async def test_missing_is_none_however_it_is_spelt(false_wechat: FalseWeChat, code: str) -> None:
    false_wechat.say({"code": code, "message": "x"}, status=404, signed=False)
    assert await false_wechat.gateway.query("P00000001") is None
    assert await false_wechat.gateway.query_refund("R00000001") is None
    assert await false_wechat.gateway.query_combined("P00000001") is None
    assert await false_wechat.gateway.transfers.query("B00000001") is None


@pytest.mark.parametrize(
    ("status", "body", "state"),
    [
        (202, {"code": "USERPAYING", "message": "需要用户输入支付密码"}, "USERPAYING"),
        (202, TRADE | {"trade_state": "USERPAYING"}, "USERPAYING"),
        (200, TRADE | {"trade_state": "USERPAYING"}, "USERPAYING"),
        (400, {"code": "USER_PAYING", "message": "x"}, "USERPAYING"),
        (200, TRADE | {"trade_state": "PAYERROR"}, "PAYERROR"),
    ],
)
async def test_a_payer_at_the_counter_who_types_a_password(
    false_wechat: FalseWeChat, status: int, body: dict[str, Any], state: str
) -> None:
    false_wechat.say(body, status=status)
    trade = await _charge(false_wechat)
    assert (trade.out_trade_no, trade.trade_state) == ("P00000001", state)
    assert "notify_url" not in false_wechat.heard[-1].json


async def test_a_payment_code_whose_answer_is_lost_is_unknown(false_wechat: FalseWeChat) -> None:
    for how in ({"status": 202, "signed": False}, {"status": 408}, {"status": 500}, {"signed": False}):
        false_wechat.say({"code": "USERPAYING", "message": "x"}, **how)
        with pytest.raises(Unknown):
            await _charge(false_wechat)


async def _charge(wechat: FalseWeChat) -> Any:
    return await wechat.gateway.charge_code(
        out_trade_no="P00000001", description="美式", amount_fen=1800, auth_code="130000000000000001"
    )


async def test_no_member_is_null_and_none_is_too_long(false_wechat: FalseWeChat) -> None:
    false_wechat.say({"out_refund_no": "R00000001", "status": "PROCESSING"})
    await false_wechat.gateway.refund(
        out_refund_no="R00000001", out_trade_no="P00000001", amount_fen=1, total_fen=2, reason="退" * 200
    )
    body = false_wechat.heard[-1].json
    assert len(body["reason"].encode()) == 78
    false_wechat.say({"out_bill_no": "B00000001", "state": "ACCEPTED"})
    await false_wechat.gateway.transfers.create(
        out_bill_no="B00000001",
        appid="wx0",
        scene_id="1000",
        openid="o0",
        amount_fen=20,
        remark="赏" * 30,
        report={"活动名称": "新会员有礼"},
        style="RED_PACKET",
    )
    body = false_wechat.heard[-1].json
    assert len(body["transfer_remark"].encode()) == 30
    assert body["user_recv_style"] == {"type": "RED_PACKET"}
    assert not any("null" in heard.body.decode() for heard in false_wechat.heard)


async def test_a_body_that_is_not_there_is_empty(false_wechat: FalseWeChat) -> None:
    false_wechat.say({"out_bill_no": "B00000001", "state": "CANCELING"})
    assert (await false_wechat.gateway.transfers.cancel("B00000001")).state == "CANCELING"
    assert false_wechat.heard[-1].body == b""
    assert false_wechat.heard[-1].is_genuine


async def test_a_wrong_amount_is_named_before_anything_is_sent(false_wechat: FalseWeChat) -> None:
    values: dict[str, Any] = {"out_refund_no": "R00000001", "out_trade_no": "P00000001", "reason": ""}
    for amount in (0, -1, True, 1.5, 10**11):
        with pytest.raises(ValueError, match="an amount"):
            await false_wechat.gateway.refund(amount_fen=amount, total_fen=100, **values)
    assert not false_wechat.heard


async def test_a_proxy_of_the_machine_changes_nothing(
    false_wechat: FalseWeChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither does a netrc (defect 6)."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    fresh = FalseWeChat()
    fresh.say(TRADE)
    assert await fresh.gateway.query("P00000001") is not None
    await fresh.gateway.close_connections()
    fresh.close()


async def test_an_odd_member_that_decides_nothing_keeps_no_money_from_being_seen(false_wechat: FalseWeChat) -> None:
    odd = {"attach": 7, "trade_type": ["JSAPI"], "promotion_detail": [None], "bank_type": {}, "scene_info": 3}
    false_wechat.say(TRADE | odd | {"trade_state": "SUCCESS", "amount": {"total": 5, "payer_total": None}})
    trade = await false_wechat.gateway.query("P00000001")
    assert trade is not None
    assert trade.paid
    assert (trade.attach, trade.trade_type, trade.promotions) == (None, None, [])


async def test_coupons_are_read(false_wechat: FalseWeChat) -> None:
    coupons = [
        {"coupon_id": "1", "type": "CASH", "amount": 200},
        {"promotion_id": "2", "type": "DISCOUNT", "amount": 3},
    ]
    false_wechat.say(TRADE | {"promotion_detail": coupons, "amount": {"total": 500, "payer_total": 297}})
    trade = await false_wechat.gateway.query("P00000001")
    assert trade is not None
    assert [(coupon.amount, coupon.is_prefunded) for coupon in trade.promotions] == [(200, True), (3, False)]
    assert trade.amount is not None
    assert trade.amount.payer_total == 297
