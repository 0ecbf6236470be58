"""Any sequence of what buyers, WeChat, staff and time may do: after every step the books balance, in the end all is settled."""

from typing import Any

import pytest
from cast import Shop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from machine import EFFECTS, WHICH
from trialing import Rounds
from whole_shop import WholeShop

pytestmark = pytest.mark.trial("R9")

FAULTY = st.tuples(
    st.sampled_from(
        [("POST", ".*/jsapi"), ("POST", ".*/close"), ("GET", ".*/out-trade-no/.*"), ("POST", ".*/refunds")]
    ),
    st.sampled_from(EFFECTS),
)
BUYING = st.one_of(
    st.tuples(st.sampled_from(["place", "add"]), st.integers(1, 3)),
    st.tuples(st.sampled_from(["sign_in", "cart"]), st.just(0)),
    st.tuples(st.sampled_from(["prepay", "pay", "cancel", "confirm", "ask", "race", "strange"]), WHICH),
)
KEEPING = st.one_of(
    st.tuples(st.sampled_from(["ship", "close", "whole"]), WHICH),
    st.tuples(st.just("refund"), WHICH, st.integers(1, 3), st.sampled_from([None, True, False])),
    st.tuples(st.sampled_from(["money", "portal"]), WHICH, st.integers(1, 1500)),
    st.tuples(st.just("decide"), st.booleans()),
    st.tuples(st.just("sale"), st.sampled_from([True, True, False])),
    st.tuples(st.sampled_from(["price", "stale"]), st.integers(1, 2000)),
    st.tuples(st.just("count"), st.sampled_from([0, 1, 4, 50])),
    st.tuples(st.just("adjust"), st.integers(-5, 5)),
)
WORLD = st.one_of(
    st.tuples(st.sampled_from(["deliver", "double", "drop"]), st.integers(0, 3)),
    st.tuples(st.just("skip"), st.sampled_from([10, 70, 1900, 11 * 86400])),
    st.tuples(st.sampled_from(["sweep", "work"]), st.just(0)),
    st.tuples(st.just("fault"), FAULTY),
)
STEP = st.one_of(BUYING, BUYING, KEEPING, WORLD)
OPENING: list[tuple[Any, ...]] = [("place", 2), ("prepay", 0), ("pay", 0)]
SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=10, deadline=None, database=None, suppress_health_check=SUPPRESSED)
@given(steps=st.lists(STEP, min_size=10, max_size=30), opened=st.integers(0, 3))
async def test_whatever_happens_the_books_balance(
    shop_of_its_own: Shop, rounds: Rounds, steps: list[tuple[Any, ...]], opened: int
) -> None:
    rounds(1, 1)
    await _lived_through(shop_of_its_own, [*OPENING[:opened], *steps])


@pytest.mark.long
@settings(max_examples=1000, deadline=None, database=None, suppress_health_check=SUPPRESSED)
@given(steps=st.lists(STEP, min_size=50, max_size=50), opened=st.integers(0, 3))
async def test_whatever_happens_in_fifty_steps(
    shop_of_its_own: Shop, rounds: Rounds, steps: list[tuple[Any, ...]], opened: int
) -> None:
    rounds(1, 1)
    await _lived_through(shop_of_its_own, [*OPENING[:opened], *steps])


async def _lived_through(shop: Shop, steps: list[tuple[Any, ...]]) -> None:
    shop.world.heal()
    machine = await WholeShop.open(shop)
    await machine.live(steps)
