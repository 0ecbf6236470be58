"""No news of an earlier test is on its way."""

from collections.abc import Iterator

import pytest
from world import World

QUIET = {"refund_delay_s": 1, "refund_gap_s": 0}


@pytest.fixture(autouse=True)
def calm(wechat_world: World) -> Iterator[None]:
    """Refunds of earlier tests are over, the purse is full, and WeChat has its usual habits."""
    wechat_world.heal()
    wechat_world.skip(seconds=5)
    yield
    wechat_world.heal()
    wechat_world.tell("settings", **QUIET)
    wechat_world.tell("merchant/balance", fen=None)
