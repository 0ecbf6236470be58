"""Customs: a paid order is declared once per office and part, lost answers are asked for, and an office may be told again."""

from typing import Any

import pytest
from cast import Operator, Shop
from paying_out import cases

from payments.payouts import customs_pursuit
from payments.wechatpay.customs import CustomsAnswer
from payments.wechatpay.gateway import Unknown


class Import:
    """An order of goods from abroad, paid."""

    def __init__(self, shop: Shop, operator: Operator, out_trade_no: str, paid_fen: int) -> None:
        self.shop, self.operator, self.out_trade_no, self.paid_fen = shop, operator, out_trade_no, paid_fen

    async def declare(self, **changed: Any) -> Any:
        wish = {"customs": "SHANGHAI_ZS", "merchantCustomsNo": "310114K001", "dutyFen": 100, **changed}
        return await self.operator.post(f"/payments/{self.out_trade_no}/declarations", wish)

    async def row(self) -> Any:
        answer = await self.operator.get("/declarations", outTradeNo=self.out_trade_no)
        return answer.json()["items"][0]

    async def go_on(self) -> None:
        await self.shop.run_jobs()
        self.shop.world.skip(minutes=1)
        await self.shop.worker.pursue_payouts()

    def decided(self, state: str, explanation: str | None = None) -> None:
        """What the office says."""
        self.shop.world.tell(f"customs/{self.out_trade_no}/state", state=state, explanation=explanation)

    def theirs(self) -> list[Any]:
        items = self.shop.world.http.get("/_sandbox/customs").json()["items"]
        return [item for item in items if item["out_trade_no"] == self.out_trade_no]


@pytest.fixture
async def goods(shop: Shop) -> Import:
    operator, buyer = await shop.operator(), await shop.buyer("alice")
    (sku,) = await shop.stocked(5, price_fen=9900)
    no = await shop.paid_order(buyer, {sku: 1})
    row = await shop.sql.fetchrow("SELECT out_trade_no, received_fen FROM payment WHERE payable = $1", no)
    return Import(shop, operator, row["out_trade_no"], row["received_fen"])


async def test_a_payment_is_declared_and_customs_agrees(goods: Import) -> None:
    assert (await goods.declare()).json()["state"] == "requested"
    await goods.go_on()
    row = await goods.row()
    assert (row["state"], row["verifyDepartment"]) == ("success", "NETSUNION")
    assert row["verifyDepartmentTradeId"]
    assert await cases(goods.shop) == []


async def test_each_office_hears_of_it_once(goods: Import) -> None:
    assert (await goods.declare()).status_code == 201
    assert (await goods.declare()).json()["code"] == "declared_already"
    assert (await goods.declare(customs="NINGBO")).status_code == 201
    assert (await goods.declare(customs="PARIS")).status_code == 400
    missing = await goods.operator.post(
        "/payments/P00000000/declarations", {"customs": "NINGBO", "merchantCustomsNo": "1"}
    )
    assert missing.json()["code"] == "payment_not_found"
    await goods.go_on()


async def test_the_parts_of_an_order_are_no_more_than_was_paid(goods: Import) -> None:
    half = goods.paid_fen // 2
    first = {"no": "PART00000001", "transportFen": 0, "productFen": half}
    second = {"no": "PART00000002", "transportFen": 500, "productFen": goods.paid_fen - half}
    assert (await goods.declare(subOrder=first)).status_code == 201
    over = (await goods.declare(subOrder=second)).json()
    assert (over["code"], over["leftFen"]) == ("declared_too_much", goods.paid_fen - half)
    assert (await goods.declare(subOrder={**second, "transportFen": 0})).status_code == 201
    await goods.go_on()
    assert {item["state"] for item in goods.theirs()} == {"SUCCESS"}
    assert (await goods.row())["state"] == "success"


async def test_an_office_hears_of_the_whole_or_of_parts(goods: Import) -> None:
    """Of both, it would be told more than was paid."""
    part = {"no": "PART00000001", "transportFen": 0, "productFen": 100}
    for office, first, second in (("SHANGHAI_ZS", None, part), ("NINGBO", part, None)):
        assert (await goods.declare(customs=office, subOrder=first)).status_code == 201
        answer = await goods.declare(customs=office, subOrder=second)
        assert (answer.status_code, answer.json()["code"]) == (409, "declared_already")
    await goods.go_on()


@pytest.mark.parametrize("effect", ["timeout_after", "500_after", "500", "unsigned"])
async def test_a_lost_answer_declares_once(goods: Import, effect: str) -> None:
    declared = (await goods.declare()).json()["id"]
    goods.shop.world.faults(method="POST", path="customs/orders$", times=1, effect=effect, seconds=0.01)
    with pytest.raises(Unknown):
        await goods.shop.worker.handlers()["payments.customs"](declared)
    await goods.go_on()
    await goods.go_on()
    assert ((await goods.row())["state"], len(goods.theirs())) == ("success", 1)


async def test_what_failed_is_told_otherwise_and_what_was_lost_once_more(goods: Import) -> None:
    goods.shop.world.tell("settings", customs_delay_s=600)
    try:
        declared = (await goods.declare()).json()["id"]
        await goods.go_on()
        goods.decided("FAIL", "备案号不符")
        await goods.go_on()
        row = await goods.row()
        assert (row["state"], row["explanation"]) == ("fail", "备案号不符")
        assert await cases(goods.shop) == ["customs_fail"]
        path = f"/declarations/{declared}/again"
        assert (await goods.operator.post(path, {"dutyFen": 120})).json()["turns"] == 2
        assert (await goods.operator.post(path, {})).json()["code"] == "not_declared_again"
        await goods.shop.run_jobs()
        assert ((await goods.row())["state"], goods.theirs()[0]["duty"]) == ("submitted", 120)
        goods.decided("EXCEPT")
        await goods.go_on()
        assert (await goods.row())["state"] == "except"
        assert (await goods.operator.post(path, {"dutyFen": 1})).status_code == 400
        assert (await goods.operator.post(path, {})).json()["state"] == "requested"
        goods.shop.world.faults(method="POST", path="redeclare$", times=1, effect="500_after")
        with pytest.raises(Unknown):
            await goods.shop.run_jobs()
        await goods.go_on()
        assert (await goods.row())["state"] == "processing"
        goods.decided("SUCCESS")
        await goods.go_on()
        assert (await goods.row())["state"] == "success"
    finally:
        goods.shop.world.tell("settings", customs_delay_s=1)


async def test_an_amendment_that_was_lost_on_its_way_is_sent_again(goods: Import) -> None:
    """The office's old no is none to the new values, and no duty at all is one of those."""
    goods.shop.world.tell("settings", customs_delay_s=600)
    try:
        declared = (await goods.declare()).json()["id"]
        await goods.go_on()
        goods.decided("FAIL", "税额不符")
        await goods.go_on()
        assert (await goods.operator.post(f"/declarations/{declared}/again", {"dutyFen": 0})).status_code == 200
        goods.shop.world.faults(method="PATCH", path="customs/orders$", times=1, effect="500")
        with pytest.raises(Unknown):
            await goods.shop.run_jobs()
        await goods.go_on()
        assert ((await goods.row())["state"], goods.theirs()[0]["duty"]) == ("submitted", 0)
    finally:
        goods.shop.world.tell("settings", customs_delay_s=1)


async def test_a_refusal_is_a_case_and_may_be_told_anew(goods: Import) -> None:
    real = await goods.shop.sql.fetchval("SELECT transaction_id FROM payment")
    await goods.shop.sql.execute("UPDATE payment SET transaction_id = '4200000000202601010000000000'")
    declared = (await goods.declare()).json()["id"]
    await goods.go_on()
    assert ((await goods.row())["state"], await cases(goods.shop)) == ("refused", ["customs_refused"])
    await goods.shop.sql.execute("UPDATE payment SET transaction_id = $1", real)
    await goods.operator.post(f"/declarations/{declared}/again", {})
    await goods.go_on()
    assert (await goods.row())["state"] == "success"


async def test_an_answer_about_another_payment_is_a_case(goods: Import) -> None:
    declared = int((await goods.declare()).json()["id"])
    answer = CustomsAnswer(state="SUCCESS", transaction_id="4200000000202601010000000000")
    async with goods.shop.db.begin() as session:
        outcome = await customs_pursuit.learn(session, declared, answer, goods.shop.world.clock.now())
    assert (outcome, (await goods.row())["state"]) == ("customs_mismatch", "requested")
