"""What the tests of payment codes do at the counter: charge a code, leave a payer at the password, look how far it is."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from cast import Operator, Shop
from sheets import live, ordered
from world import World


@pytest.fixture
def ordinary(wechat_world: World) -> Iterator[None]:
    """Whatever a test makes of payers and purses, the next one finds them as they are."""
    yield
    wechat_world.tell("settings", code_payment="at_once", user_paying="202", balance_fen=None)


async def charge(
    boss: Operator, shop: Shop, no: str, *, key: str | None = None, code: str | None = None
) -> httpx.Response:
    return await boss.post(
        f"/orders/{no}/charge-code", {"authCode": code or shop.world.code("bob", "payment")}, key=key
    )


async def waiting(shop: Shop) -> tuple[Any, Operator, str, str]:
    """A charge for which the payer types a password."""
    shop.world.tell("settings", code_payment="password")
    buyer, no = await ordered(shop)
    boss = await shop.operator()
    answer = await charge(boss, shop, no)
    assert answer.json()["state"] == "userpaying", answer.text
    return buyer, boss, no, await live(shop, no)


async def state_of(boss: Operator, no: str) -> tuple[str, str | None]:
    said = (await boss.get(f"/orders/{no}/charge-code")).json()
    return said["state"], said["reason"]
