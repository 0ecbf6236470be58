"""Buyers under whom the ground is shaken: they order, pay or cancel, and write down what they were promised."""

import random
import threading
import time
from typing import Self

import httpx
from battle import Battle, joined, started
from processes import name
from till import Buyer, until


class Purchases:
    """`with Purchases(…)`: the buyers are at it; at the end each finishes what it began, and all of it is judged.

    What is answered must be an answer, or a 503 that says when to come again.
    """

    def __init__(self, battle: Battle, size: int, chance: random.Random, pause_s: float = 0) -> None:
        self.battle, self.pause_s = battle, pause_s
        self.before = orders_of(battle)
        self.acknowledged: list[str] = []
        self.paid: list[str] = []
        self.busy = 0
        self.slowest_s = 0.0
        self.odd: list[str] = []
        self.over = threading.Event()
        self.dice = [random.Random(chance.random()) for _ in range(size)]
        self.buyers = [battle.buyer(name("killed"), number % 2) for number in range(size)]
        self.sku = self.buyers[0].some_sku()["id"]
        more = {"delta": 1_000_000, "reason": "入库"}
        adjusted = battle.operator().until_answered("POST", f"/admin/v1/stock/{self.sku}/adjust", more)
        assert adjusted.status_code == 200, adjusted.text
        for buyer in self.buyers:
            buyer.http.event_hooks = {"request": [self._asks], "response": [self._look]}

    def __enter__(self) -> Self:
        self.threads = started(len(self.buyers), self._act)
        self.more()
        return self

    def __exit__(self, kind: object, _error: object, _trace: object) -> None:
        self.over.set()
        if kind is not None:
            return
        self.battle.heal()
        self.battle.world.skip(seconds=31)  # a key whose release was lost is free after that
        joined(self.threads)
        assert self.odd == []
        self.battle.verdict(self.before + self.acknowledged, patience_s=120)
        states = dict(self.battle.fetch("SELECT no, state FROM orders"))
        assert {states[no] for no in self.paid} <= {"paid"}

    def more(self, orders: int = 3) -> None:
        """Wait until so many more orders were acknowledged: somebody is there to be hurt."""
        had = len(self.acknowledged)

        def look() -> bool:
            for thread in self.threads:
                if thread.trouble is not None:
                    raise thread.trouble
            return len(self.acknowledged) >= had + orders

        until("orders are taken", look, max(60, orders))

    @staticmethod
    def _asks(request: httpx.Request) -> None:
        request.extensions["began"] = time.monotonic()

    def _look(self, answer: httpx.Response) -> None:
        self.slowest_s = max(self.slowest_s, time.monotonic() - answer.request.extensions["began"])
        if answer.status_code == 503:
            self.busy += 1
        if answer.status_code >= 500 and not (answer.status_code == 503 and "retry-after" in answer.headers):
            answer.read()
            self.odd.append(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")

    def _act(self, number: int) -> None:
        while not self.over.is_set():
            self._buy(self.buyers[number], self.dice[number])
            self.over.wait(self.pause_s)

    def _buy(self, buyer: Buyer, dice: random.Random) -> None:
        no = buyer.order(self.sku)["no"]
        self.acknowledged.append(no)
        answer = buyer.until_answered("POST", f"/api/v1/orders/{no}/prepay")
        assert answer.status_code == 200, answer.text
        if dice.random() < 0.6:
            assert self.battle.pay(attempt_of(self.battle, no))
            self.paid.append(no)
            buyer.becomes(no, "paid", patience_s=90)
            return
        cancelled = buyer.until_answered("POST", f"/api/v1/orders/{no}/cancel", {})
        assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled"), cancelled.text


def attempt_of(battle: Battle, no: str) -> str:
    """The number that waits on the phone, asked of WeChat: our database may be down."""
    items = battle.world.http.get("/_sandbox/payments", params={"state": "NOTPAY"}).json()["items"]
    return str(next(item["out_trade_no"] for item in items if item["description"].endswith(no)))


def orders_of(battle: Battle) -> list[str]:
    return [row["no"] for row in battle.fetch("SELECT no FROM orders")]
