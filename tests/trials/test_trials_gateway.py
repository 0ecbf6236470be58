"""WeChat Pay fails in every way, at every call: what is no answer is not believed, what is unknown is asked for."""

import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from astray import Astray
from cast import Shop
from drawing import drawn
from peer import Fault, Peer
from peer_door import EFFECTS
from trialing import Rounds
from unheard import Unheard
from world import Mailbox, World

from kit.database import Database
from kit.http import outside_client
from payments.wechatpay.connection import Connection
from payments.wechatpay.gateway import Gateway
from shop.app import ShopPayee, create_app, gateway_of, merchant_of
from shop.settings import Settings
from shop.worker import Worker

_PATIENCE_S = 1.0
"""Of our client with WeChat: the peer is silent for longer."""
VERBS = ("create", "ask", "close", "refund", "ask_refund")


@pytest.fixture
async def astray(
    settings: Settings, db: Database, sql: Any, wechat_world: World, post_office: Mailbox, tmp_path: Path
) -> AsyncIterator[Astray]:
    peer = Peer(tmp_path)
    connected = wechat_world.connected(settings, post_office.url, tmp_path, **peer.environment())
    gateway = _impatient(connected)
    app = create_app(connected, clock=wechat_world.clock, gateway=gateway, news=Unheard())
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with app.lifespan(), httpx.AsyncClient(transport=transport, base_url="http://shop", timeout=30) as client:
        worker = Worker(db, gateway, ShopPayee(), wechat_world.clock)
        shop = Shop(client, db, sql, worker, wechat_world, post_office)
        (sku,) = await shop.stocked(100_000)
        yield Astray(shop, peer, await shop.buyer("astray"), await shop.operator(), sku)
        assert not await shop.broken()
    peer.stop()


def _impatient(settings: Settings) -> Gateway:
    usual, pay = gateway_of(settings), settings.pay
    connection = Connection(
        url=pay.url,
        mchid=pay.mch_id,
        cert_serial=pay.cert_serial,
        private_key=pay.private_key,
        keyring=usual.keyring,
        client=outside_client(timeout_s=_PATIENCE_S),
    )
    return Gateway(connection, merchant_of(settings), usual.notify_url)


@pytest.mark.trial("R19")
@pytest.mark.parametrize("verb", VERBS)
async def test_what_is_no_answer_is_not_believed(
    astray: Astray, verb: str, rounds: Rounds, chance: random.Random
) -> None:
    ways = [(effect, after) for effect in EFFECTS for after in (False, True)]
    for effect, after in drawn(ways, rounds(5, 10 * len(EFFECTS)), chance):
        try:
            await getattr(astray, verb)(Fault("", "", effect, after))
        except AssertionError as wrong:
            wrong.add_note(f"{verb}: {effect} {'after' if after else 'before'} the work")
            raise


@pytest.mark.trial("R19")
async def test_a_no_without_a_word_of_wechats_refuses_no_refund(astray: Astray) -> None:
    """A page of something in between, about a refund that WeChat made."""
    await astray.refund(Fault("", "", "html_404", after=True))
