"""A no to a question, and a no that names no code, end nothing: WeChat may have done the deed."""

from typing import Any

import pytest
from cast import Shop
from frozen import MERCHANT, Stage
from paying_out import TRANSFERS, Scene, balances, cases, promised, pursue, state_of

from payments.payouts import sharing_pursuit
from payments.wechatpay.gateway import Refused, Unknown
from payments.wechatpay.sharing import SharedPart, SharingOrder

NOT_TOLD = [
    (403, "NO_AUTH"),
    (403, "RULE_LIMIT"),
    (404, "MCH_NOT_EXISTS"),
    (400, "INVALID_REQUEST"),
    (401, ""),
    (403, ""),
]
ORDERS, RETURNS = "profitsharing/orders", "profitsharing/return-orders"


def _lost(shop: Shop, path: str) -> None:
    """WeChat does it, and its answer is lost."""
    shop.world.faults(method="POST", path=path, effect="500_after")


def _not_told(shop: Shop, path: str, status: int, code: str) -> None:
    shop.world.faults(method="GET", path=path, effect="refused", status=status, code=code)


def _wordless(shop: Shop, path: str) -> None:
    """Something in between says no, in HTML."""
    shop.world.faults(method="POST", path=path, effect="refused", code="")


def _refused(shop: Shop, path: str) -> None:
    shop.world.faults(method="POST", path=path, effect="refused", status=400, code="INVALID_REQUEST")


async def _doubted(shop: Shop, job: str, number: str, path: str) -> None:
    """It is done and its answer lost; the question is put to one who has not heard of it, and its repeat is refused."""
    pursue_it = shop.worker.handlers()[job]
    _lost(shop, f"{path}$")
    with pytest.raises(Unknown):
        await pursue_it(number)
    _not_told(shop, f"{path}/", 404, "RESOURCE_NOT_EXISTS")
    _refused(shop, f"{path}$")
    await pursue_it(number)


def _orders(stage: Stage, number: str) -> list[Any]:
    orders = stage.shop.world.http.get("/_sandbox/sharing").json()["orders"]
    return [order for order in orders if order["out_order_no"] == number]


@pytest.mark.parametrize(("status", "code"), NOT_TOLD)
async def test_a_transfer_that_may_not_be_asked_for_is_not_over(scene: Scene, status: int, code: str) -> None:
    shop, operator, _, member = scene
    no = await promised(operator, member)
    _lost(shop, TRANSFERS)
    with pytest.raises(Unknown):
        await pursue(shop, no)
    _not_told(shop, "transfer-bills/", status, code)
    with pytest.raises(Unknown):
        await pursue(shop, no)
    assert (await state_of(operator, no), await cases(shop)) == ("requested", [])
    await pursue(shop, no)
    shop.world.tell(f"transfers/{no}/confirm")
    shop.world.skip(seconds=5)
    assert (await shop.notify()).status_code == 204
    assert (await state_of(operator, no), await balances(shop)) == ("success", {"payouts": 500, "wechat": -500})


async def test_a_transfer_taken_back_while_nobody_may_ask_is_not_called_cancelled(scene: Scene) -> None:
    """Only WeChat's word, that it has none of it or has cancelled it, says that the user will get nothing."""
    shop, operator, _, member = scene
    no = await promised(operator, member)
    _lost(shop, TRANSFERS)
    with pytest.raises(Unknown):
        await pursue(shop, no)
    assert (await operator.post(f"/transfers/{no}/cancel")).status_code == 200
    _not_told(shop, "transfer-bills/", 401, "SIGN_ERROR")
    with pytest.raises(Unknown):
        await pursue(shop, no)
    assert await state_of(operator, no) == "requested"
    await pursue(shop, no)
    assert await state_of(operator, no) == "canceling"
    shop.world.skip(minutes=1)
    await shop.worker.pursue_payouts()
    assert (await state_of(operator, no), await balances(shop)) == ("cancelled", {})
    shop.mailbox.clear()


async def test_a_refusal_that_passes_cancels_nothing_by_itself(scene: Scene) -> None:
    shop, operator, _, member = scene
    no = await promised(operator, member)
    for wanted in (False, True):
        if wanted:
            assert (await operator.post(f"/transfers/{no}/cancel")).status_code == 200
        _wordless(shop, TRANSFERS)
        with pytest.raises(Refused):
            await pursue(shop, no)
        assert (await state_of(operator, no), await cases(shop)) == ("requested", [])
    await pursue(shop, no)
    assert await state_of(operator, no) == "canceling"
    shop.world.skip(minutes=1)
    await shop.worker.pursue_payouts()
    shop.mailbox.clear()


async def test_a_doubted_transfer_is_not_over_before_the_doubt_is(scene: Scene) -> None:
    """It is refused, and so is the question whether that is true."""
    shop, operator, _, member = scene
    no = await promised(operator, member)
    _refused(shop, TRANSFERS)
    _not_told(shop, "transfer-bills/", 403, "NO_AUTH")
    with pytest.raises(Unknown):
        await pursue(shop, no)
    assert await state_of(operator, no) == "requested"
    _refused(shop, TRANSFERS)
    await pursue(shop, no)
    assert (await state_of(operator, no), await cases(shop)) == ("refused", ["transfer_refused"])


@pytest.mark.parametrize(("status", "code"), NOT_TOLD)
async def test_a_share_that_may_not_be_asked_for_is_not_over(stage: Stage, status: int, code: str) -> None:
    number = (await stage.share(2000)).json()["outOrderNo"]
    pursue_share = stage.shop.worker.handlers()["payments.share"]
    _lost(stage.shop, f"{ORDERS}$")
    with pytest.raises(Unknown):
        await pursue_share(number)
    _not_told(stage.shop, f"{ORDERS}/", status, code)
    with pytest.raises(Unknown):
        await pursue_share(number)
    assert ((await stage.shares())[0]["state"], await cases(stage.shop)) == ("requested", [])
    await stage.go_on(2)
    assert (await stage.parts(), len(_orders(stage, number))) == ([("success", 0)], 1)


async def test_a_proxys_no_refuses_no_share_and_no_receiver(stage: Stage) -> None:
    number = (await stage.share(2000)).json()["outOrderNo"]
    _wordless(stage.shop, f"{ORDERS}$")
    with pytest.raises(Refused):
        await stage.shop.worker.handlers()["payments.share"](number)
    assert (await stage.shares())[0]["state"] == "requested"
    await stage.go_on(2)
    assert await stage.parts() == [("success", 0)]
    _wordless(stage.shop, "receivers/delete")
    await stage.operator.post(f"/share-receivers/{stage.receiver}/remove")
    with pytest.raises(Refused):
        await stage.shop.worker.handlers()["payments.receiver"](stage.receiver)
    assert await cases(stage.shop) == []


async def test_a_doubted_share_is_not_over_before_the_doubt_is(stage: Stage) -> None:
    number = (await stage.share(2000)).json()["outOrderNo"]
    await _doubted(stage.shop, "payments.share", number, ORDERS)
    assert ((await stage.shares())[0]["state"], await cases(stage.shop)) == ("processing", [])
    await stage.go_on(2)
    assert await stage.parts() == [("success", 0)]


async def test_a_share_that_is_refused_claims_nothing(stage: Stage) -> None:
    await stage.share(2000)
    _refused(stage.shop, f"{ORDERS}$")
    await stage.go_on()
    (share,) = await stage.shares()
    assert (share["state"], share["parts"][0]["state"]) == ("refused", "closed")
    assert await cases(stage.shop) == ["share_refused"]
    assert await stage.shop.sql.fetchval("SELECT shared_fen FROM payment") == 0
    await stage.shared(2000)  # for the same cause
    assert (await balances(stage.shop))["shared"] == 2000


async def test_wechat_shared_what_was_called_refused(stage: Stage) -> None:
    number = (await stage.share(2000)).json()["outOrderNo"]
    _refused(stage.shop, f"{ORDERS}$")
    await stage.go_on()
    part = SharedPart(type="MERCHANT_ID", account=MERCHANT, amount=2000, result="SUCCESS")
    order = SharingOrder(out_order_no=number, state="FINISHED", receivers=[part])
    async with stage.shop.db.begin() as session:
        outcome = await sharing_pursuit.learn(session, order, stage.shop.world.clock.now())
    assert (outcome, await cases(stage.shop)) == ("share_after_end", ["share_refused", "share_after_end"])


@pytest.mark.parametrize(("status", "code"), NOT_TOLD)
async def test_a_return_that_may_not_be_asked_for_is_not_over(stage: Stage, status: int, code: str) -> None:
    """Called refused, it would be begun under a new number, and the merchant would pay twice."""
    number = await stage.shared(2000)
    wish = {"amountFen": 500, "description": "多分了"}
    back = (await stage.operator.post(f"/shares/{number}/parts/1/returns", wish)).json()["outReturnNo"]
    pursue_return = stage.shop.worker.handlers()["payments.share_return"]
    _lost(stage.shop, f"{RETURNS}$")
    with pytest.raises(Unknown):
        await pursue_return(back)
    _not_told(stage.shop, f"{RETURNS}/", status, code)
    with pytest.raises(Unknown):
        await pursue_return(back)
    assert await cases(stage.shop) == []
    await stage.go_on(2)
    assert await stage.parts() == [("success", 500)]
    moved = [
        item["amount"]
        for item in stage.shop.world.http.get("/_sandbox/movements").json()["items"]
        if (item["kind"], item["voucher"]) == ("share_returned", back)
    ]
    assert moved == [500]


async def test_a_doubted_return_is_not_over_before_the_doubt_is(stage: Stage) -> None:
    """As with a share; begun once more under a new number, the merchant would pay twice."""
    number = await stage.shared(2000)
    wish = {"amountFen": 500, "description": "多分了"}
    back = (await stage.operator.post(f"/shares/{number}/parts/1/returns", wish)).json()["outReturnNo"]
    await _doubted(stage.shop, "payments.share_return", back, RETURNS)
    await stage.go_on(2)
    assert (await stage.parts(), await cases(stage.shop)) == ([("success", 500)], [])
