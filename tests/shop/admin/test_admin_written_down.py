"""Whatever the staff do stands in the audit log, with who did it and to whom."""

from typing import Any

from cast import Operator, Shop

from shop.shipping import templates

CLEO = {"login": "cleo", "name": "Cleo", "role": "manager", "password": "a long enough one"}
SF = {"carrier": "SF", "trackingNo": "SF1234567890"}
FREIGHT = {"name": "新", "firstG": 500, "firstFen": 0, "extraG": 500, "extraFen": 100}
MONEY = {"cause": "thanks", "amountFen": 100, "remark": "谢谢", "sceneId": "1000"}
REPORT = {"活动名称": "开业", "奖励说明": "新客"}


async def _does(boss: Operator, action: str, to: str, path: str, body: Any = None, method: str = "POST") -> None:
    """Do it, and find it at the top of the log."""
    headers = {**boss.headers, "idempotency-key": f"key:{action}"}
    answer = await boss.shop.http.request(method, f"/admin/v1{path}", headers=headers, json=body)
    assert answer.is_success, answer.text
    (entry,) = (await boss.get("/audit", limit=1)).json()["items"]
    me = (await boss.get("/me")).json()["id"]
    assert (entry["action"], entry["subject"], entry["actor"]) == (action, to, f"staff:{me}")


async def test_deeds_about_orders(shop: Shop) -> None:
    buyer, boss = await shop.buyer("alice"), await shop.operator()
    (sku,) = await shop.stocked(9)
    no, charged, paid = (
        await buyer.order({sku: 1}),
        await buyer.order({sku: 1}),
        await shop.paid_order(buyer, {sku: 1}),
    )
    await _does(boss, "order.reprice", no, f"/orders/{no}/reprice", {"discountFen": 7, "reason": "熟客"})
    await _does(boss, "order.close", no, f"/orders/{no}/close", {"reason": "缺货"})
    await _does(boss, "order.ship", paid, f"/orders/{paid}/ship", SF)
    await _does(boss, "order.refund", paid, f"/orders/{paid}/refunds", {"amountFen": 7, "reason": "少发"})
    shop.world.faults(path="/v3/pay/transactions/codepay", effect="500")  # so that there is something to cancel
    code = {"authCode": shop.world.code(buyer.name, "payment")}
    await _does(boss, "order.charge", charged, f"/orders/{charged}/charge-code", code)
    await _does(boss, "order.charge_cancel", charged, f"/orders/{charged}/charge-code/cancel")


async def test_deeds_about_members(shop: Shop) -> None:
    buyer, boss = await shop.buyer("alice"), await shop.operator()
    who = (await buyer.get("/me")).json()["id"]
    await _does(boss, "member.disable", who, f"/members/{who}/disable")
    await _does(boss, "member.enable", who, f"/members/{who}/enable")
    other = (await (await shop.buyer("bob")).get("/me")).json()["id"]
    await _does(boss, "member.erase", other, f"/members/{other}/erase")
    await _does(boss, "transfer.create", who, f"/members/{who}/transfers", {**MONEY, "report": REPORT})


async def test_deeds_about_the_staff_and_the_freight(shop: Shop) -> None:
    boss = await shop.operator()
    async with shop.db.begin() as session:
        await templates.ensure_default(session)
    template = str(await shop.sql.fetchval("SELECT id FROM freight_template"))
    await _does(boss, "freight.change", template, f"/freight-templates/{template}", FREIGHT, "PUT")
    cleo = str(1 + await shop.sql.fetchval("SELECT max(id) FROM staff"))
    await _does(boss, "staff.add", cleo, "/staff", CLEO)
    await _does(boss, "staff.change", cleo, f"/staff/{cleo}", {"role": "clerk"}, "PUT")
    await _does(boss, "staff.password", cleo, f"/staff/{cleo}/password", {"newPassword": "fresh and long"}, "PUT")
