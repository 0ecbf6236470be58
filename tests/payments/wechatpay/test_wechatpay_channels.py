"""Every channel of every kind of merchant, against the simulated WeChat: opened, paid, refunded, closed."""

from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import speaking
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from world import World

from payments.wechatpay.client import AppParams, PayParams
from payments.wechatpay.gateway import ChargeAsk, Gateway, Refused

Ask = Callable[..., ChargeAsk]
TOKENS = {"jsapi": "wx", "app": "wx", "h5": "http", "native": "weixin://wxpay/bizpayurl?pr="}


def _signed_by_us(world: World, text: str, signature: str) -> None:
    key = load_pem_private_key(Path(world.env["WECHAT_PAY_PRIVATE_KEY"]).read_bytes(), None)
    assert isinstance(key, RSAPrivateKey)
    key.public_key().verify(b64decode(signature), text.encode(), PKCS1v15(), SHA256())


@pytest.mark.parametrize("channel", TOKENS)
async def test_a_charge_from_its_opening_to_its_refund(
    channel: str, merchant_world: World, any_gateway: Gateway, ask: Ask, new_number: Callable[[str], str]
) -> None:
    wish = ask(channel, merchant_world)
    token = await any_gateway.create(wish)
    assert token.startswith(TOKENS[channel])
    unpaid = await any_gateway.query(wish.out_trade_no)
    assert unpaid is not None
    assert (unpaid.trade_state, unpaid.paid, unpaid.dead) == ("NOTPAY", False, False)
    merchant_world.pay(wish.out_trade_no)
    trade = await any_gateway.query(wish.out_trade_no)
    assert trade is not None
    assert trade.amount is not None
    assert trade.payer is not None
    assert trade.paid
    assert (trade.mchid, trade.appid) == (any_gateway.mchid, any_gateway.appid)
    assert (trade.amount.total, trade.amount.currency) == (4200, any_gateway.currency)
    assert trade.transaction_id
    assert trade.attach
    if channel == "jsapi":
        assert trade.payer.openid == wish.openid
    number = new_number("R")
    values = {"out_trade_no": wish.out_trade_no, "amount_fen": 1200, "total_fen": 4200, "reason": "少发一罐茶叶" * 9}
    assert (await any_gateway.refund(out_refund_no=number, **values)).state == "PROCESSING"
    merchant_world.skip(seconds=5)
    refund = await any_gateway.query_refund(number)
    assert refund is not None
    assert refund.amount is not None
    assert (refund.state, refund.amount.refund) == ("SUCCESS", 1200)
    assert refund.refund_id


async def test_an_unpaid_charge_is_closed_and_nobody_can_pay_it(
    merchant_world: World, any_gateway: Gateway, ask: Ask
) -> None:
    wish = ask("jsapi", merchant_world)
    await any_gateway.create(wish)
    await any_gateway.close(wish.out_trade_no)
    trade = await any_gateway.query(wish.out_trade_no)
    assert trade is not None
    assert trade.dead


async def test_what_does_not_exist_is_none(any_gateway: Gateway) -> None:
    assert await any_gateway.query("Pnobody0000001") is None
    assert await any_gateway.query_refund("Rnobody0000001") is None
    assert await any_gateway.query("P|strange/number?x=1") is None


async def test_a_paid_charge_refuses_to_be_closed(merchant_world: World, any_gateway: Gateway, ask: Ask) -> None:
    wish = ask("jsapi", merchant_world)
    await any_gateway.create(wish)
    merchant_world.pay(wish.out_trade_no)
    with pytest.raises(Refused) as refused:
        await any_gateway.close(wish.out_trade_no)
    assert refused.value.code == "ORDERPAID"


async def test_the_mini_program_gets_what_it_passes_on(wechat_world: World, gateway: Gateway) -> None:
    params = gateway.client_params("jsapi", "wx0123")
    assert isinstance(params, PayParams)
    text = f"{gateway.appid}\n{params.timeStamp}\n{params.nonceStr}\nprepay_id=wx0123\n"
    _signed_by_us(wechat_world, text, params.paySign)
    assert (params.package, params.signType) == ("prepay_id=wx0123", "RSA")


async def test_a_native_app_signs_the_bare_number(wechat_world: World, gateway: Gateway) -> None:
    params = gateway.client_params("app", "wx0123", "wxanotherapp")
    assert isinstance(params, AppParams)
    _signed_by_us(wechat_world, f"wxanotherapp\n{params.timeStamp}\n{params.nonceStr}\nwx0123\n", params.sign)
    assert (params.appId, params.partnerId) == ("wxanotherapp", gateway.mchid)
    assert (params.prepayId, params.packageValue) == ("wx0123", "Sign=WXPay")
    with pytest.raises(ValueError, match="opened by its URL"):
        gateway.client_params("native", "weixin://…")


@pytest.mark.parametrize("answer", ["202", "200"])
async def test_a_payment_code_at_the_counter(
    answer: str, wechat_world: World, gateway: Gateway, new_number: Callable[[str], str]
) -> None:
    before = wechat_world.http.get("/_sandbox/settings").json()
    paying = {"description": "美式咖啡", "amount_fen": 1800, "device_ip": "203.0.113.9"}

    def code() -> str:
        return wechat_world.code("bob", kind="payment")

    try:
        at_once = new_number("C")
        trade = await gateway.charge_code(out_trade_no=at_once, auth_code=code(), **paying)
        assert (trade.paid, trade.trade_type) == (True, "MICROPAY")
        wechat_world.tell("settings", code_payment="password", user_paying=answer)
        waiting = new_number("C")
        trade = await gateway.charge_code(out_trade_no=waiting, auth_code=code(), **paying)
        assert (trade.trade_state, trade.paid, trade.dead) == ("USERPAYING", False, False)
        wechat_world.skip(seconds=30)
        await gateway.reverse(waiting)
        trade = await gateway.query(waiting)
        assert trade is not None
        assert (trade.trade_state, trade.dead) == ("REVOKED", True)
    finally:
        wechat_world.tell("settings", **before)


async def test_one_tap_pays_several_shops_of_a_partner(merchant_world: World, any_gateway: Gateway, ask: Ask) -> None:
    if any_gateway.merchant.region == "global":
        pytest.skip("not overseas")
    await _one_tap(merchant_world, any_gateway, [ask("jsapi", merchant_world, amount_fen=fen) for fen in (100, 250)])


async def test_certificates_change_while_we_run(ask: Ask, tmp_path: Path) -> None:
    world = World(tmp_path / "sandbox", "--key-mode", "certificate")
    try:
        async with speaking(world, tmp_path) as gateway:
            for lever in (None, "certificates/rotate", "certificates/retire"):
                if lever is not None:
                    world.tell(lever)
                    gateway.connection._learned_at -= 3600  # the last download was long ago
                wish = ask("native", world)
                await gateway.create(wish)
                assert await gateway.query(wish.out_trade_no) is not None
            await gateway.refresh_keys()
            assert len(gateway.keyring.certificates) == 1
    finally:
        world.stop()


async def _one_tap(wechat_world: World, gateway: Gateway, wishes: list[ChargeAsk]) -> None:
    whole, expires_at = wishes[0].out_trade_no + "c", wishes[0].expires_at
    token = await gateway.create_combined(whole, wishes, expires_at=expires_at)
    assert token.startswith("wx")
    wechat_world.pay(whole)
    trades = await gateway.query_combined(whole)
    assert trades is not None
    assert [(t.out_trade_no, t.paid, t.amount.total if t.amount else 0) for t in trades] == [
        (wishes[0].out_trade_no, True, 100),
        (wishes[1].out_trade_no, True, 250),
    ]
    assert {t.payer.openid if t.payer else None for t in trades} == {wishes[0].openid}
    # A partner's part does not say in which app it was paid.
    app = None if gateway.merchant.is_partner else gateway.appid
    assert {(t.mchid, t.sub_mchid, t.appid) for t in trades} == {(gateway.mchid, gateway.merchant.sub_mchid, app)}
    assert await gateway.query_combined("Pnobody0000001") is None


async def test_a_combination_is_closed_as_it_was_opened(wechat_world: World, gateway: Gateway, ask: Ask) -> None:
    wishes = [ask("native", wechat_world) for _ in range(2)]
    numbers = [wish.out_trade_no for wish in wishes]
    whole = numbers[0] + "c"
    token = await gateway.create_combined(whole, wishes, expires_at=wishes[0].expires_at, channel="native")
    assert token.startswith("weixin://")
    with pytest.raises(Refused):
        await gateway.close_combined(whole, [*numbers, "Pnobody0000001"])
    await gateway.close_combined(whole, numbers)
    trades = await gateway.query_combined(whole)
    assert trades is not None
    assert all(trade.dead for trade in trades)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"channel": "carrier-pigeon"}, "channel must be"),
        ({"openid": None}, "openid is needed"),
        ({"channel": "h5", "client_ip": None}, "client_ip is needed"),
        ({"h5_type": "Symbian"}, "h5_type must be"),
        ({"amount_fen": 0}, "an amount from 1"),
        ({"amount_fen": 10**11}, "an amount from 1"),
        ({"out_trade_no": "short"}, "a number of 6"),
        ({"out_trade_no": "P0123456|0"}, "letters and digits"),
    ],
)
def test_a_charge_that_cannot_be_is_named(ask: Ask, wechat_world: World, changed: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        ask(**({"channel": "jsapi", "world": wechat_world} | changed))


async def test_an_abnormal_refund_goes_to_a_bank_card(
    wechat_world: World, gateway: Gateway, ask: Ask, new_number: Callable[[str], str]
) -> None:
    wish, number = ask("jsapi", wechat_world), new_number("R")
    await gateway.create(wish)
    wechat_world.pay(wish.out_trade_no)
    values = {"out_trade_no": wish.out_trade_no, "amount_fen": 4200, "total_fen": 4200, "reason": "退货"}
    await gateway.refund(out_refund_no=number, **values)
    wechat_world.tell(f"refunds/{number}/state", status="ABNORMAL")
    refund = await gateway.query_refund(number)
    assert refund is not None
    assert refund.state == "ABNORMAL"
    assert refund.refund_id
    helped = await gateway.apply_abnormal(
        refund_id=refund.refund_id,
        out_refund_no=number,
        kind="USER_BANK_CARD",
        bank_type="ICBC_DEBIT",
        bank_account="6222020200112233445",
        real_name="张三",
    )
    assert helped.state == "PROCESSING"
    with pytest.raises(ValueError, match="USER_BANK_CARD needs"):
        await gateway.apply_abnormal(refund_id=refund.refund_id, out_refund_no=number, kind="USER_BANK_CARD")


async def test_an_echo_opens_both_ways(wechat_world: World, gateway: Gateway) -> None:
    echo = await gateway.echo("你好", secret="藏起来的")
    assert echo.echo_message == "你好"
    assert echo.encrypted_echo_message
