"""The wires break, between the shop and its database and between clients and the shop: nothing answered is lost, nothing
is done twice, and nobody waits for ever."""

import random
import threading
import time
from collections import Counter

import httpx
import pytest
from customers import shuffled
from faults import KINDS
from processes import answers, name
from till import Buyer, until
from trialing import Rounds
from wired import Wired, pause, shopping

pytestmark = pytest.mark.xdist_group("wired")
LONGEST_S = 8.0
"""No request may take longer, whatever the wire to the database does."""
IN_A_BLACK_HOLE_S = 5.0


@pytest.mark.trial("R17")
def test_the_wires_to_the_database_break_under_load(wired: Wired, rounds: Rounds, chance: random.Random) -> None:
    wired.dice.seed(chance.random())
    with shopping(wired, 6) as customers:
        for kind in shuffled(chance, KINDS, rounds(6, 200)):
            pause(chance.uniform(0.2, 0.6))
            with wired.database.broken(kind, share=0.5):
                pause(chance.uniform(0.4, 1.2))
    assert max(customers.took) < LONGEST_S, sorted(customers.took)[-5:]


@pytest.mark.trial("R18")
def test_the_wires_to_the_clients_break_and_each_wish_is_one_order(
    wired: Wired, rounds: Rounds, chance: random.Random
) -> None:
    """Mostly what matters: the shop has done it, and the answer is lost."""
    wired.dice.seed(chance.random())
    lost = sum(door.lost for door in wired.doors)
    with shopping(wired, 6, wired.outside) as customers:
        for buyer in customers.buyers:
            buyer.http.timeout = httpx.Timeout(5)
        for kind in shuffled(chance, (*KINDS, "half", "half", "half"), rounds(9, 200)):
            pause(chance.uniform(0.1, 0.3))
            for door in wired.doors:
                door.fault(kind, share=0.4)
            pause(chance.uniform(0.3, 0.9))
            for door in wired.doors:
                door.fault()
    lost = sum(door.lost for door in wired.doors) - lost
    assert lost, "no answer was lost: nothing was tried"
    print(f"{len(customers.answered)} orders, {lost} answers lost on their way")


@pytest.mark.trial("R27")
def test_a_black_hole_to_the_database(wired: Wired, rounds: Rounds, chance: random.Random) -> None:
    times = rounds(1, 10)
    for _ in range(times):
        asking = Asking(wired.buyer(name("dark")))
        with wired.database.broken("drop"):
            pause(30 if times > 1 else 6)
        healed_at = time.monotonic()
        for url in wired.urls:
            until("ready", lambda url=url: answers(f"{url}/readyz"), 30)
        took = time.monotonic() - healed_at
        asking.end()
        assert took < 2, took
        assert asking.slowest < IN_A_BLACK_HOLE_S, asking.slowest
        assert set(asking.statuses) == {200, 503}, asking.wrong
        assert asking.wrong == []
    with shopping(wired, 4):
        pause(0.5)


class Asking:
    """Who looks at this and that, all the time, at both servers."""

    def __init__(self, buyer: Buyer) -> None:
        self.headers = buyer.headers
        self.over = threading.Event()
        self.statuses: Counter[int] = Counter()
        self.wrong: list[str] = []
        """What is neither right nor a 503 that says when to come again."""
        self.slowest = 0.0
        paths = ["/readyz", "/api/v1/products?q=茶", "/api/v1/cart", "/api/v1/orders"]
        self._threads = [threading.Thread(target=self._ask, args=(url + path,)) for url in buyer.urls for path in paths]
        for thread in self._threads:
            thread.start()

    def _ask(self, url: str) -> None:
        with httpx.Client(timeout=30, trust_env=False) as http:
            while not self.over.is_set():
                began = time.monotonic()
                answer = http.get(url, headers=self.headers)
                self.slowest = max(self.slowest, time.monotonic() - began)
                self.statuses[answer.status_code] += 1
                if answer.status_code != 200 and not (answer.status_code == 503 and "retry-after" in answer.headers):
                    self.wrong.append(f"{url}: {answer.status_code} {answer.text[:200]}")
                self.over.wait(0.05)

    def end(self) -> None:
        self.over.set()
        for thread in self._threads:
            thread.join(40)
