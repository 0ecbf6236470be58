"""Where an order goes, and what sending it there costs."""

from typing import Any

import pytest
from cast import Shop

HOME = {"name": "李四", "phone": "13900000000", "province": "广东省", "city": "广州市", "detail": "体育西路2号"}


def _wish(sku: int, quantity: int = 1, **more: Any) -> dict[str, Any]:
    return {"lines": [{"skuId": str(sku), "quantity": quantity}], **more}


async def test_every_piece_is_weighed(shop: Shop) -> None:
    """Five pieces of 250 g are more than the kilogram that the first 8 yuan pay."""
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(40)
    for quantity, freight_fen in ((4, 800), (5, 1000), (8, 1000), (9, 1200)):
        answer = await buyer.place({sku: quantity}, expected=quantity * 1000 + freight_fen)
        assert (answer.status_code, answer.json().get("freightFen")) == (201, freight_fen), quantity


async def test_nothing_is_sold_to_where_nothing_is_sent(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    far = (await buyer.post("/addresses", {**HOME, "province": "台湾省", "city": "台北市"})).json()["id"]
    preview = (await buyer.post("/checkout/preview", _wish(sku, addressId=far))).json()
    assert (preview["payable"], [problem["code"] for problem in preview["problems"]]) == (False, ["not_delivered"])
    answer = await buyer.post("/orders", _wish(sku, addressId=far, expectedPayFen=preview["payFen"]))
    assert (answer.status_code, answer.json().get("code")) == (422, "not_delivered")
    assert answer.json()["province"] == "台湾省"
    assert await shop.sql.fetchval("SELECT count(*) FROM orders") == 0
    assert await shop.stock(sku) == (5, 0, 0)


@pytest.mark.parametrize("province", ["台湾地区", "中国香港", "澳\u200b门", "臺灣", "Taiwan"])
async def test_another_spelling_leads_nowhere_else(shop: Shop, province: str) -> None:
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    far = (await buyer.post("/addresses", {**HOME, "province": province, "city": "高雄"})).json()["id"]
    answer = await buyer.post("/orders", _wish(sku, addressId=far, expectedPayFen=1800))
    assert (answer.status_code, answer.json().get("code")) == (422, "not_delivered")


@pytest.mark.parametrize("province", ["新疆维吾尔", "新\u200b疆", "中国新疆"])
async def test_another_spelling_costs_the_same(shop: Shop, province: str) -> None:
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(40)
    far = (await buyer.post("/addresses", {**HOME, "province": province, "city": "乌鲁木齐市"})).json()["id"]
    preview = (await buyer.post("/checkout/preview", _wish(sku, 11, addressId=far))).json()
    assert preview["freightFen"] == 15_00 + 2 * 10_00, "2.75 kg, and never free"


async def test_without_a_choice_it_goes_to_the_address_that_the_preview_showed(shop: Shop) -> None:
    """That is the default one, not the newest."""
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(5)
    newer = (await buyer.post("/addresses", HOME)).json()["id"]
    preview = (await buyer.post("/checkout/preview", _wish(sku))).json()
    answer = await buyer.post("/orders", _wish(sku, expectedPayFen=preview["payFen"]))
    shown = [seen["address"]["detail"] for seen in (preview, answer.json())]
    assert shown == ["科技园一路1号", "科技园一路1号"]
    chosen = await buyer.post("/orders", _wish(sku, expectedPayFen=preview["payFen"], addressId=newer))
    assert chosen.json()["address"]["detail"] == HOME["detail"]
