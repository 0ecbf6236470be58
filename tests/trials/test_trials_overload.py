"""Ten times the load and hundreds of slow clients before the reference proxy: WeChat's news are taken in time, the others
are told to come again, and soon after all is as before."""

import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from customers import Customers
from door_raw import Wire
from nodes import Proxy, missing
from processes import ROOT, name
from till import Buyer, until
from trialing import Rounds
from wired import Wired, pause

CLIENTS = 600
"""Some sixteen at once are what two processes that serve can do on two cores."""
NOTICE_S = 1.0
NORMAL_AGAIN_S = 10.0
PER_BUYER = 10
_CRUSH = Path(__file__).with_name("crush.py")


@pytest.mark.trial("R28")
@pytest.mark.haproxy
@pytest.mark.skipif(bool(missing("haproxy")), reason="HAProxy is not installed")
@pytest.mark.xdist_group("wired")
@pytest.mark.alone
def test_ten_times_the_load(wired: Wired, tmp_path: Path, rounds: Rounds, chance: random.Random) -> None:
    notices = rounds(20, 900)
    customers = Customers(wired, notices // PER_BUYER)
    customers.stock()
    sheets = [_sheet(customers, buyer) for buyer in customers.buyers for _ in range(PER_BUYER)]
    with Proxy(tmp_path / "proxy", "haproxy", wired.ports) as proxy:
        proxy.await_answer()
        wired.public.upstream = proxy.port
        try:
            with crushed(proxy.port, _members(wired, customers.sku)) as statuses, slow(proxy.port, rounds(100, 500)):
                pause(2)
                for number in sheets:
                    assert wired.pay(number)
                    pause(chance.uniform(0.1, 0.3))
                attempts = [until("it is told", lambda number=number: _attempts(wired, number)) for number in sheets]
            ended_at = time.monotonic()
            buyer = Buyer(proxy.url).sign_in(lambda: str(wired.world.code(name("after"))))
            until("as before", lambda: _is_quick(buyer), NORMAL_AGAIN_S)
            print(f"as before after {time.monotonic() - ended_at:.1f} s; {dict(statuses)}; {_figures(attempts)}")
        finally:
            wired.public.upstream = wired.ports[0]
    assert set(statuses) <= {"200", "201", "409", "429", "503", "408"}, statuses
    assert [tries for tries in attempts if tries[0]["status"] != 204] == [], "WeChat was refused"
    took = sorted(tries[0]["took_ms"] for tries in attempts)
    assert took[len(took) * 99 // 100] <= NOTICE_S * 1000, took[-5:]
    wired.verdict(wired.known())


def _sheet(customers: Customers, buyer: Buyer) -> str:
    no = str(buyer.order(customers.sku)["no"])
    assert buyer.until_answered("POST", f"/api/v1/orders/{no}/prepay").status_code == 200
    return customers.battle.attempt(no)


def _members(wired: Wired, sku: str) -> list[Any]:
    buyers = [wired.buyer(name("crush")) for _ in range(8)]
    return [[buyer.headers["authorization"].removeprefix("Bearer "), buyer.wish(sku)] for buyer in buyers]


def _attempts(wired: Wired, number: str) -> Any:
    (notice,) = wired.world.http.get("/_sandbox/notifications", params={"subject": number}).json()["items"] or [{}]
    return notice.get("attempts")


def _figures(attempts: list[Any]) -> str:
    took = sorted(tries[0]["took_ms"] for tries in attempts)
    return f"{len(took)} notices, p50 {took[len(took) // 2]} ms, longest {took[-1]} ms"


def _is_quick(buyer: Buyer) -> bool:
    began = time.monotonic()
    answer = buyer._once("GET", "/api/v1/orders", None, "", None)
    return answer.status_code == 200 and time.monotonic() - began < 0.5


@contextmanager
def crushed(port: int, members: list[Any]) -> Iterator[Counter[str]]:
    """So many clients at once; what they were answered is known afterwards."""
    statuses: Counter[str] = Counter()
    process = subprocess.Popen(
        [sys.executable, str(_CRUSH), str(port), str(CLIENTS)],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(json.dumps(members) + "\n")
    process.stdin.flush()
    try:
        yield statuses
    finally:
        statuses.update(json.loads(process.communicate("", timeout=60)[0]))


@contextmanager
def slow(port: int, size: int) -> Iterator[None]:
    """Clients that say a byte now and then, and come again when they are let go."""
    over = threading.Event()
    head = b"POST /api/v1/orders HTTP/1.1\r\nHost: shop.example\r\n"
    begins = [head + b"X-Drip: ", head + b"Content-Length: 60000\r\n\r\n" + b"a" * 20_000]

    def drip() -> None:
        wires = [Wire(port) for _ in range(size)]
        for number, wire in enumerate(wires):
            wire.say(begins[number % 2])
        while not over.wait(1):
            for number, wire in enumerate(wires):
                if wire.is_open(0.001):
                    wire.say(b"a")
                else:
                    wire.close()
                    wires[number] = Wire(port)
                    wires[number].say(begins[number % 2])
        for wire in wires:
            wire.close()

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        yield
    finally:
        over.set()
        dripping.join(60)
