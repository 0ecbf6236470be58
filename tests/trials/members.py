"""Members who look at everything and want to see at once what they have just written, whoever is asked for it."""

import threading
import time
from typing import Any

import httpx
from battle import Battle
from processes import name
from shelf import WITHIN_S, Shelf
from till import ADDRESS, Buyer


class Prices:
    """What the product of a shelf has cost, and since when no longer."""

    def __init__(self) -> None:
        self.ended: dict[int, float] = {}

    def check(self, fen: int, asked_at: float, where: str, within_s: float = WITHIN_S) -> None:
        """Nobody who asked `within_s` after the answer that changed it, or later, may have been shown `fen`."""
        late_s = asked_at - self.ended.get(fen, float("inf"))
        assert late_s < within_s, f"{where}: {fen} fen was shown to one who asked {late_s:.2f} s after its end"


class Members:
    """Each looks at lists and pages, keeps an address, fills a cart, orders and cancels, by turns, until told to stop.

    What is written through one door is read through the other. `placed` takes the orders' numbers.
    """

    def __init__(self, battle: Battle, shelf: Shelf, prices: Prices, size: int, placed: list[str]) -> None:
        self.shelf, self.prices, self.placed = shelf, prices, placed
        self.buyers = [battle.buyer(name("member"), number % 2) for number in range(size)]
        self.over = threading.Event()
        self.refused: list[tuple[int, str]] = []
        """Answers that blame the shop, also those to staff: status and path."""
        self.turns = 0
        for client in [*self.buyers, shelf.buyer, shelf.operator]:
            client.http.event_hooks = {"response": [self._note]}

    def act(self, number: int) -> None:
        buyer, address = self.buyers[number], ""
        while not self.over.is_set():
            self.look(buyer)
            address = self.move(buyer, address)
            self.fill(buyer)
            self.order(buyer)
            self.turns += 1

    def look(self, buyer: Buyer) -> None:
        """A list that processes remember, one that is read each time, one that is searched for, and the page."""
        for more in ({}, {"inStock": "true"}, {"sort": "price"}):
            asked_at = time.monotonic()
            items = buyer.get("/api/v1/products", limit=100, **more)["items"]
            shown = next(item for item in items if item["id"] == self.shelf.product_id)
            self.prices.check(shown["priceFen"], asked_at, f"list {more}")
        asked_at = time.monotonic()
        page = buyer.get(f"/api/v1/products/{self.shelf.product_id}")
        self.prices.check(page["skus"][0]["priceFen"], asked_at, "page")

    def move(self, buyer: Buyer, known: str) -> str:
        """Their only address, deleted and kept anew elsewhere, then changed."""
        (before,) = _at_the_other_door(buyer, "/api/v1/addresses")["items"]
        assert known in {"", before["detail"]}, "an address is not as it was left"
        path = f"/api/v1/addresses/{before['id']}"
        assert buyer.until_answered("DELETE", path).status_code == 204
        assert _at_the_other_door(buyer, "/api/v1/addresses")["items"] == [], "deleted, and there"
        made = buyer.until_answered("POST", "/api/v1/addresses", ADDRESS | {"detail": name("made")}).json()
        path = f"/api/v1/addresses/{made['id']}"
        assert _at_the_other_door(buyer, path) == made, "kept, and not there"
        changed = buyer.until_answered("PUT", path, ADDRESS | {"detail": name("changed")}).json()
        assert _at_the_other_door(buyer, "/api/v1/addresses")["items"] == [changed], "not as it was changed"
        return str(changed["detail"])

    def fill(self, buyer: Buyer) -> None:
        sku, path = self.shelf.sku_id, "/api/v1/cart/items"
        buyer.until_answered("POST", path, {"skuId": sku, "quantity": 1})
        assert _pieces(buyer) == {sku: 1}, "what was put into the cart is not there"
        buyer.until_answered("PUT", f"{path}/{sku}", {"quantity": 3})
        assert _pieces(buyer) == {sku: 3}, "the cart is not as it was changed"
        assert _at_the_other_door(buyer, "/api/v1/cart/count") == {"kinds": 1, "count": 3}, "its badge"
        buyer.until_answered("DELETE", f"{path}/{sku}")
        assert _pieces(buyer) == {}, "what was taken out of the cart is still there"

    def order(self, buyer: Buyer) -> None:
        wish = buyer.wish(self.shelf.sku_id)
        asked_at = time.monotonic()
        answer = buyer.until_answered("POST", "/api/v1/orders", wish)
        if answer.status_code == 409:
            assert answer.json()["code"] == "price_changed", answer.text
            return
        assert answer.status_code == 201, answer.text
        no = str(answer.json()["no"])
        self.placed.append(no)
        self.prices.check(answer.json()["lines"][0]["priceFen"], asked_at, f"order {no}", within_s=0)
        self._stands(buyer, no, "unpaid")
        cancelled = buyer.until_answered("POST", f"/api/v1/orders/{no}/cancel", {})
        assert cancelled.status_code == 200, cancelled.text
        self._stands(buyer, no, "cancelled")

    def _stands(self, buyer: Buyer, no: str, state: str) -> None:
        newest = _at_the_other_door(buyer, "/api/v1/orders")["items"][0]
        assert (newest["no"], newest["state"]) == (no, state), "the list of orders"
        assert _at_the_other_door(buyer, f"/api/v1/orders/{no}")["state"] == state, "the order itself"
        assert _at_the_other_door(buyer, "/api/v1/orders/counts")["unpaid"] == (state == "unpaid"), "their count"

    def _note(self, answer: httpx.Response) -> None:
        if answer.status_code >= 500:
            self.refused.append((answer.status_code, answer.request.url.path))


def _at_the_other_door(buyer: Buyer, path: str) -> dict[str, Any]:
    buyer.turn += 1
    return dict(buyer.get(path))


def _pieces(buyer: Buyer) -> dict[str, int]:
    return {item["skuId"]: item["quantity"] for item in _at_the_other_door(buyer, "/api/v1/cart")["items"]}
