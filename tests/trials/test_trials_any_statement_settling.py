"""Death before any statement of settling a payment, and after any of its commits: see `anywhere`."""

import pytest
from anywhere import Case, Deaths
from cast import Shop
from mortal import Deed, notice

pytestmark = [pytest.mark.usefixtures("quiet"), pytest.mark.trial("R12")]


async def test_settling_by_a_notification(case: Case, deaths: Deaths) -> None:
    async def prepare() -> tuple[str, Deed]:
        no, letter = await case.paid()
        return no, notice(letter)

    async def ended(no: str) -> None:
        assert await case.state(no) == "paid"

    assert await deaths.everywhere(prepare, ended) > 10


async def test_settling_by_our_own_question(shop: Shop, case: Case, deaths: Deaths) -> None:
    async def prepare() -> tuple[str, Deed]:
        no, _lost = await case.paid()
        shop.world.skip(seconds=10)
        return no, {"sweep": "ask_payments"}

    async def ended(no: str) -> None:
        assert await case.state(no) == "paid"

    assert await deaths.everywhere(prepare, ended) > 15


async def test_money_that_comes_after_the_close(shop: Shop, case: Case, deaths: Deaths) -> None:
    async def prepare() -> tuple[str, Deed]:
        no, out_trade_no = await case.open()
        await case.buyer.post(f"/orders/{no}/cancel", {})
        shop.world.pay(out_trade_no, raced=True)
        return no, notice(shop.mailbox.take())

    async def ended(no: str) -> None:
        assert (await case.state(no), await case.refund_state(no)) == ("cancelled", "succeeded")

    assert await deaths.everywhere(prepare, ended) > 15
