"""One product whose price changes: where it is to be seen, and how soon it must be."""

from typing import Any

from battle import Battle
from processes import name
from till import Buyer, Operator

WITHIN_S = 1.0
"""So soon a price is seen everywhere."""
LISTENERS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'shop-news'"
"""The connections on which processes hear that something has changed."""


def _body(view: dict[str, Any], price_fen: int) -> dict[str, Any]:
    """The product as it is, but for its price."""
    kept = ("title", "categoryId", "subtitle", "images", "detailImages", "description", "tags", "priority", "version")
    skus = [
        {
            "id": sku["id"],
            "code": sku["code"],
            "priceFen": price_fen,
            "options": [{"specId": o["specId"], "valueId": o["valueId"]} for o in sku["options"]],
            "weightG": sku["weightG"],
            "enabled": sku["enabled"],
        }
        for sku in view["skus"]
    ]
    return {name: view[name] for name in kept} | {"specs": view["specs"], "skus": skus}


class Shelf:
    """One product, all its SKUs at one price, as staff change it through one door and a buyer sees it through the other."""

    def __init__(self, battle: Battle, *, but: str = "") -> None:
        """`but`: a SKU whose price must stay."""
        self.operator: Operator = battle.operator()
        self.buyer: Buyer = battle.buyer(name("prices"), 1)
        for item in self.buyer.get("/api/v1/products", limit=20, inStock="true")["items"]:
            skus = self.buyer.get(f"/api/v1/products/{item['id']}")["skus"]
            there = [sku["id"] for sku in skus if sku["stock"] >= 5]
            if there and but not in [sku["id"] for sku in skus]:
                self.product_id, self.sku_id = item["id"], there[0]
                return
        raise AssertionError("nothing in stock")

    def price(self, fen: int) -> None:
        path = f"/admin/v1/products/{self.product_id}"
        view = self.operator.get(path)
        answer = self.operator.until_answered("PUT", path, _body(view, fen))
        assert answer.status_code == 200, answer.text

    def seen(self) -> tuple[int, int]:
        """In the list and on its page."""
        listed = self.buyer.get("/api/v1/products", limit=20, inStock="true")["items"]
        shown = next(item for item in listed if item["id"] == self.product_id)["priceFen"]
        return shown, self.buyer.get(f"/api/v1/products/{self.product_id}")["skus"][0]["priceFen"]
