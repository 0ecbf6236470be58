"""Bills: streamed, unpacked whatever they are packed in, in bounded memory, and from nowhere but WeChat Pay."""

import gzip
import hashlib
import secrets
from collections.abc import AsyncIterator, Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from conftest import speaking
from false_wechat import FalseWeChat
from world import World

from payments.wechatpay.gateway import ChargeAsk, Gateway, Refused, Unknown

TEXT = "交易时间,公众账号ID\r\n".encode("utf-8-sig") + b"`2026-01-01 08:01:09,`wx01\r\n" * 5000
PATH = "/v3/billdownload/file?token=t&tartype=gzip"


async def _read(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


async def test_a_day_of_the_simulated_wechat(
    tmp_path: Path, ask: Callable[..., ChargeAsk], wechat_world: World
) -> None:
    world = World(tmp_path / "sandbox")
    try:
        async with speaking(world, tmp_path) as gateway:
            wish = ask("jsapi", world)
            await gateway.create(wish)
            world.pay(wish.out_trade_no)
            day = (world.clock.now() + timedelta(hours=8)).date()
            with pytest.raises(Refused):
                await gateway.bills.apply_trade(day)
            world.skip(days=2, hours=10)  # whatever the hour is now: yesterday's bills are there from ten o'clock on
            for apply in (gateway.bills.apply_trade, gateway.bills.apply_fund_flow):
                ticket = await apply(day)
                text = await _read(gateway.bills.download(ticket.download_url))
                assert hashlib.sha1(text, usedforsecurity=False).hexdigest() == ticket.hash_value
                assert wish.out_trade_no in text.decode("utf-8-sig")
            with pytest.raises(Refused) as refused:
                await gateway.bills.apply_trade(day + timedelta(days=1))
            assert refused.value.code == "NOSTATEMENTEXIST"
    finally:
        world.stop()


@pytest.mark.parametrize(
    "packed",
    [
        pytest.param(TEXT, id="plain"),
        pytest.param(gzip.compress(TEXT), id="gzip"),
        pytest.param(gzip.compress(gzip.compress(TEXT)), id="packed again on the way"),
        pytest.param(gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:]), id="two members"),
        pytest.param(gzip.compress(TEXT) + b"\0" * 512, id="padded"),
    ],
)
@pytest.mark.parametrize("encoding", [None, "gzip", "identity"])
@pytest.mark.parametrize("piece", [1 << 20, 7])
async def test_the_bytes_tell_how_it_is_packed(
    false_wechat: FalseWeChat, packed: bytes, encoding: str | None, piece: int
) -> None:
    """Headers about packing have been wrong, both ways."""
    headers = {"content-encoding": encoding} if encoding else {}
    false_wechat.say(packed, signed=False, headers=headers, piece=max(piece, len(packed) // 50))
    assert await _read(false_wechat.gateway.bills.download(false_wechat.url + PATH)) == TEXT
    assert false_wechat.heard[-1].is_genuine


async def test_nothing_is_asked_of_another_host(false_wechat: FalseWeChat) -> None:
    for url in (
        "http://169.254.169.254/latest/meta-data",
        "https://" + false_wechat.url.removeprefix("http://") + PATH,
        false_wechat.url + "@evil.example" + PATH,
        "file:///etc/passwd",
        PATH,
        false_wechat.url.replace("127.0.0.1", "127.0.0.2") + PATH,
    ):
        with pytest.raises(Unknown, match="another host"):
            await _read(false_wechat.gateway.bills.download(url))
    assert not false_wechat.heard


@pytest.mark.parametrize("spoilt", [gzip.compress(TEXT)[:-20], gzip.compress(TEXT)[:30] + secrets.token_bytes(400)])
async def test_a_bill_that_breaks_off_is_no_bill(false_wechat: FalseWeChat, spoilt: bytes) -> None:
    false_wechat.say(spoilt, signed=False)
    with pytest.raises(Unknown):
        await _read(false_wechat.gateway.bills.download(false_wechat.url + PATH))


async def test_a_few_bytes_that_unpack_to_very_many_stay_within_bounds(false_wechat: FalseWeChat) -> None:
    bomb = gzip.compress(gzip.compress(b"\0" * (256 << 20), 9), 9)
    assert len(bomb) < 5000
    false_wechat.say(bomb, signed=False)
    sizes = []
    with pytest.raises(Unknown, match="more than"):  # noqa: PT012  (a loop)
        async for piece in false_wechat.gateway.bills.download(false_wechat.url + PATH, limit_bytes=64 << 20):
            sizes.append(len(piece))  # noqa: PERF401  (what came before the refusal counts)
    assert max(sizes) <= 1 << 16
    assert sum(sizes) <= 64 << 20


async def test_a_line_that_breaks_is_unknown(false_wechat: FalseWeChat) -> None:
    false_wechat.say(gzip.compress(TEXT), signed=False, cut_short=True)
    with pytest.raises(Unknown):
        await _read(false_wechat.gateway.bills.download(false_wechat.url + PATH))
    false_wechat.say(b'{"code":"NO_AUTH","message":"x"}', status=403, signed=False)
    with pytest.raises(Refused):
        await _read(false_wechat.gateway.bills.download(false_wechat.url + PATH))


async def test_an_overseas_statement_is_what_its_header_says(false_wechat: FalseWeChat) -> None:
    day = date(2026, 1, 1)
    false_wechat.say_statement(TEXT)
    assert await _read(false_wechat.gateway.bills.statement(day)) == TEXT
    assert false_wechat.heard[-1].target.startswith("/v3/global/statements?date=20260101&mchid=")
    false_wechat.say_statement(TEXT, sha1="0" * 40)
    with pytest.raises(Unknown, match="SHA-1"):
        await _read(false_wechat.gateway.bills.statement(day))


async def test_overseas_statements_of_the_simulated_wechat(
    merchant_world: World, any_gateway: Gateway, ask: Callable[..., ChargeAsk]
) -> None:
    if any_gateway.merchant.region != "global":
        pytest.skip("only overseas")
    wish = ask("native", merchant_world)
    await any_gateway.create(wish)
    merchant_world.pay(wish.out_trade_no)
    day = (merchant_world.clock.now() + timedelta(hours=8)).date()
    merchant_world.skip(days=2)
    assert wish.out_trade_no in (await _read(any_gateway.bills.statement(day))).decode()
