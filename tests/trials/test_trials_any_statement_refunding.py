"""Death before any statement of a refund's way, and after any of its commits: see `anywhere`."""

import pytest
from anywhere import Case, Deaths
from cast import Shop
from mortal import Deed, notice, request

from payments import refunds

pytestmark = [pytest.mark.usefixtures("quiet"), pytest.mark.trial("R12")]


async def test_promising_a_refund(shop: Shop, case: Case, deaths: Deaths) -> None:
    async def prepare() -> tuple[str, Deed]:
        no, letter = await case.paid()
        await shop.notify(letter)
        (line,) = (await case.buyer.get(f"/orders/{no}")).json()["lines"]
        wish = {"reason": "少发", "lines": [{"lineId": line["id"], "quantity": 1}]}
        return no, request(case.operator, f"/admin/v1/orders/{no}/refunds", wish, fine=(201,))

    async def ended(no: str) -> None:
        assert await case.refund_state(no) == "succeeded"

    assert await deaths.everywhere(prepare, ended) > 10


async def test_carrying_out_a_refund(case: Case, deaths: Deaths) -> None:
    async def prepare() -> tuple[str, Deed]:
        no, out_refund_no = await case.promised()
        return no, {"job": refunds.JOB, "reference": out_refund_no}

    async def ended(no: str) -> None:
        assert (await case.refund_state(no), await case.state(no)) == ("succeeded", "refunded")

    assert await deaths.everywhere(prepare, ended) > 10


async def test_hearing_that_a_refund_ended(shop: Shop, case: Case, deaths: Deaths) -> None:
    async def prepare() -> tuple[str, Deed]:
        no, out_refund_no = await case.promised()
        await shop.worker.handlers()[refunds.JOB](out_refund_no)
        shop.world.skip(seconds=5)
        return no, notice(shop.mailbox.take())

    async def ended(no: str) -> None:
        assert (await case.refund_state(no), await case.state(no)) == ("succeeded", "refunded")

    assert await deaths.everywhere(prepare, ended) > 15
