"""Customers who go on while things break: each asks again with the same key until answered, and all is written down."""

import random
import threading
import time
from collections import Counter
from typing import Any

import httpx
from battle import Battle
from processes import name
from till import Buyer

PATIENCE_S = 90


class TimedBuyer(Buyer):
    """Knows how long each single request took until it was answered, or broken off, and what was answered."""

    def __init__(self, *urls: str) -> None:
        super().__init__(*urls)
        self.took: list[float] = []
        self.statuses: Counter[int] = Counter()

    def _once(self, method: str, path: str, body: Any, key: str, params: Any) -> httpx.Response:
        began = time.monotonic()
        try:
            answer = super()._once(method, path, body, key, params)
            self.statuses[answer.status_code] += 1
            return answer
        finally:
            self.took.append(time.monotonic() - began)


class Customers:
    """Order, then cancel or pay by turns, until told to stop."""

    def __init__(self, battle: Battle, size: int, urls: list[str] | None = None) -> None:
        self.battle = battle
        self.buyers = [self._buyer(urls or battle.urls, number) for number in range(size)]
        self.operator = battle.operator()
        self.over = threading.Event()
        self.answered: list[str] = []
        self.paid: list[str] = []
        self.at: list[float] = []
        """When each order was answered."""

    def _buyer(self, urls: list[str], number: int) -> TimedBuyer:
        doors = urls if number % 2 == 0 else urls[::-1]
        buyer = TimedBuyer(*doors)
        buyer.sign_in(lambda: str(self.battle.world.code(name("customer"))))
        return buyer

    def stock(self) -> None:
        """Enough for all of them, whatever was sold before."""
        self.sku = self.buyers[0].some_sku(1)["id"]
        more = {"delta": 10_000, "reason": "入库"}
        answer = self.operator.until_answered("POST", f"/admin/v1/stock/{self.sku}/adjust", more)
        assert answer.status_code == 200, answer.text

    def act(self, number: int) -> None:
        buyer, turn = self.buyers[number], number
        while not self.over.is_set():
            turn += 1
            self.buy(buyer, pays=turn % 2 == 1)

    def buy(self, buyer: Buyer, *, pays: bool) -> str:
        wish = self._patiently(buyer, "/api/v1/checkout/preview", {"lines": [{"skuId": self.sku, "quantity": 1}]})
        assert wish.status_code == 200, wish.text
        body = {"lines": [{"skuId": self.sku, "quantity": 1}], "expectedPayFen": wish.json()["payFen"]}
        placed = self._patiently(buyer, "/api/v1/orders", body)
        assert placed.status_code == 201, placed.text
        no = str(placed.json()["no"])
        self.answered.append(no)
        self.at.append(time.monotonic())
        if pays:
            opened = self._patiently(buyer, f"/api/v1/orders/{no}/prepay")
            assert opened.status_code == 200, opened.text
            items = self.battle.world.http.get("/_sandbox/payments").json()["items"]
            self.battle.pay(next(item["out_trade_no"] for item in items if item["description"].endswith(no)))
            self.paid.append(no)
        else:
            cancelled = self._patiently(buyer, f"/api/v1/orders/{no}/cancel", {})
            assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled"), cancelled.text
        return no

    def _patiently(self, buyer: Buyer, path: str, body: Any = None) -> httpx.Response:
        return buyer.until_answered("POST", path, body, patience_s=PATIENCE_S)

    @property
    def statuses(self) -> Counter[int]:
        return sum((buyer.statuses for buyer in self.buyers), Counter())

    @property
    def took(self) -> list[float]:
        return [seconds for buyer in self.buyers for seconds in buyer.took]


def shuffled(chance: random.Random, kinds: tuple[str, ...], times: int) -> list[str]:
    """Each kind as often as the others, in an order by chance."""
    listed = [kinds[number % len(kinds)] for number in range(times)]
    chance.shuffle(listed)
    return listed
