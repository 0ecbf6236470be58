"""Death before any statement of cancelling and closing, and after any of its commits: see `anywhere`."""

import pytest
from anywhere import Case, Deaths, rest
from cast import Shop
from mortal import Deed, request

from payments.settlement import CLOSE_JOB

pytestmark = [pytest.mark.usefixtures("quiet"), pytest.mark.trial("R12")]


async def test_cancelling(case: Case, deaths: Deaths) -> None:
    async def prepare() -> tuple[str, Deed]:
        no, _ = await case.open()
        return no, request(case.buyer, f"/api/v1/orders/{no}/cancel", {})

    async def ended(no: str) -> None:
        assert await case.state(no) == "cancelled"

    assert await deaths.everywhere(prepare, ended) > 15


async def test_cancelling_what_was_just_paid(case: Case, deaths: Deaths) -> None:
    async def prepare() -> tuple[str, Deed]:
        no, _letter = await case.paid()
        return no, request(case.buyer, f"/api/v1/orders/{no}/cancel", {}, fine=(409,))

    async def ended(no: str) -> None:
        assert await case.state(no) == "paid"

    assert await deaths.everywhere(prepare, ended) > 15


async def test_closing_when_the_time_is_over(shop: Shop, case: Case, deaths: Deaths) -> None:
    async def prepare() -> tuple[str, Deed]:
        no, _ = await case.open()
        shop.world.skip(minutes=31)
        return no, {"sweep": "close_orders"}

    async def ended(no: str) -> None:
        assert await case.state(no) == "cancelled"

    assert await deaths.everywhere(prepare, ended) > 15


async def test_closing_an_attempt_that_must_not_be_paid(shop: Shop, case: Case, deaths: Deaths) -> None:
    async def prepare() -> tuple[str, Deed]:
        no, out_trade_no = await case.open()
        return no, {"job": CLOSE_JOB, "reference": out_trade_no}

    async def ended(no: str) -> None:
        shop.world.skip(minutes=31)
        await rest(shop)
        assert await case.state(no) == "cancelled"

    assert await deaths.everywhere(prepare, ended) > 3
