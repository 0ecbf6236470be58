"""Processes die in the middle of it, the clients try again with the same keys: no order is lost, no fen is astray."""

import os
import random
import signal
import threading
from functools import partial
from pathlib import Path
from typing import Any

from battle import Battle, crowd, joined
from processes import Part, name
from till import until

from dev.postgres import Cluster


class Purchases:
    """Buyers who order, then pay or cancel, and write down what they were promised."""

    def __init__(self, battle: Battle, times: int) -> None:
        self.battle, self.times = battle, times
        self.buyers = [battle.buyer(name("killed"), number % 2) for number in range(6)]
        self.acknowledged: list[str] = []
        self.paid: list[str] = []

    def act(self, number: int) -> None:
        choose = random.Random(number)
        buyer = self.buyers[number]
        sku = buyer.some_sku(30)["id"]
        for _ in range(self.times):
            no = buyer.order(sku)["no"]
            self.acknowledged.append(no)
            answer = buyer.until_answered("POST", f"/api/v1/orders/{no}/prepay")
            assert answer.status_code == 200, answer.text
            if choose.random() < 0.6:
                self.battle.pay(answer_number(self.battle, no))
                self.paid.append(no)
                buyer.becomes(no, "paid", patience_s=60)
            else:
                cancelled = buyer.until_answered("POST", f"/api/v1/orders/{no}/cancel", {})
                assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled"), cancelled.text


def answer_number(battle: Battle, no: str) -> str:
    """The number that waits on the phone, asked of WeChat: our database may be down."""
    items = battle.world.http.get("/_sandbox/payments").json()["items"]
    return str(next(item["out_trade_no"] for item in items if item["description"].endswith(no)))


def _all(battle: Battle) -> list[str]:
    return [row["no"] for row in battle.fetch("SELECT no FROM orders")]


def test_the_api_and_the_workers_are_killed_under_load(battle: Battle) -> None:
    before, dice = _all(battle), random.Random(7)
    purchases = Purchases(battle, 6)
    threads = crowd(6, purchases.act)
    _kill_while(threads, battle, [*battle.serving, *battle.working], dice)
    joined(threads)
    battle.heal()
    battle.verdict(before + purchases.acknowledged)
    states = dict(battle.fetch("SELECT no, state FROM orders"))
    assert {states[no] for no in purchases.paid} == {"paid"}


def _kill_while(threads: list[Any], battle: Battle, victims: list[Part], dice: random.Random) -> None:
    pause = threading.Event()
    for _ in range(4):
        if not any(thread.is_alive() for thread in threads):
            return
        pause.wait(dice.uniform(0.1, 0.6))
        dice.choice(victims).kill()
        battle.heal()


def test_postgres_is_killed_under_load(battle: Battle) -> None:
    before = _all(battle)
    purchases = Purchases(battle, 6)
    threads = crowd(6, purchases.act)
    for how in (signal.SIGQUIT, signal.SIGKILL):
        threading.Event().wait(0.6)
        assert any(thread.is_alive() for thread in threads), "nobody was there to be hurt"
        _crash(battle.cluster, how)
    battle.world.skip(seconds=31)  # a key whose release was lost is free after that
    joined(threads)
    battle.heal()
    battle.verdict(before + purchases.acknowledged)


def _crash(cluster: Cluster, how: signal.Signals) -> None:
    """An immediate stop, or worse: no checkpoint, no farewell; recovery at the next start, on the same port."""
    pgdata = cluster.directory / "pgdata"
    postmaster = int((pgdata / "postmaster.pid").read_text().splitlines()[0])
    assert str(pgdata).encode() in Path(f"/proc/{postmaster}/cmdline").read_bytes(), "not ours to kill"
    os.kill(postmaster, how)
    until("Postgres is gone", lambda: cluster.exit_code() is not None)
    cluster.stop()
    cluster.start()


SERVING = [
    ("kit.idempotency:_keep:before:1", "place"),
    ("payments.wechatpay.gateway:Gateway.create:after:1", "prepay"),
    ("payments.wechatpay.gateway:Gateway.close:after:1", "cancel"),
    ("shop.orders.closing:_finish:before:1", "cancel"),
    ("payments.notices:handle:before:1", "pay"),
    ("payments.settlement:_apply:after:1", "pay"),
]
WORKING = [
    "payments.wechatpay.gateway:Gateway.refund:before:1",
    "payments.wechatpay.gateway:Gateway.refund:after:1",
    "payments.refunds.learning:learn:after:1",
]


def test_the_api_dies_between_two_steps(battle: Battle) -> None:
    """At each of these points the first door dies once, with the second one and the workers there to carry on."""
    before, purchases = _all(battle), Purchases(battle, 1)
    for spec, what in SERVING:
        battle.serving[0].kill()
        battle.serving[0].start(CRASH_AT=spec)
        battle.await_doors()
        # A key left by the dead is taken over after half a minute: business time, so it need not be waited for.
        later = partial(battle.world.skip, seconds=31)
        buyer = battle.buyer(name("point"))
        no = buyer.order(buyer.some_sku(30)["id"])["no"]
        purchases.acknowledged.append(no)
        if what == "place":
            assert battle.serving[0].process.wait(10) is not None
            continue
        prepaid = buyer.until_answered("POST", f"/api/v1/orders/{no}/prepay", on_loss=later)
        assert prepaid.status_code == 200, (spec, prepaid.text)
        if what == "pay":
            battle.pay(answer_number(battle, no))
            later()
            buyer.becomes(no, "paid", patience_s=60)
        else:
            cancelled = buyer.until_answered("POST", f"/api/v1/orders/{no}/cancel", {}, on_loss=later)
            assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled"), (spec, cancelled.text)
        assert battle.serving[0].process.wait(10) is not None, f"{spec} was never reached"
    battle.heal()
    battle.verdict(before + purchases.acknowledged)


def test_a_worker_dies_while_refunding(battle: Battle) -> None:
    before, purchases, operator = _all(battle), Purchases(battle, 1), battle.operator()
    battle.working[1].kill()
    for spec in WORKING:
        battle.working[0].kill()
        battle.working[0].start(CRASH_AT=spec)
        buyer = battle.buyer(name("point"))
        order = buyer.order(buyer.some_sku(30)["id"])
        purchases.acknowledged.append(order["no"])
        buyer.until_answered("POST", f"/api/v1/orders/{order['no']}/prepay")
        battle.pay(answer_number(battle, order["no"]))
        buyer.becomes(order["no"], "paid")
        assert operator.refund(order["no"], {order["lines"][0]["id"]: 1}).status_code == 201
        assert battle.working[0].process.wait(20) is not None, f"{spec} was never reached"
    battle.heal()
    battle.verdict(before + purchases.acknowledged)
    assert battle.fetch("SELECT count(*), sum(amount_fen) FROM refund WHERE state <> 'succeeded'")[0][0] == 0


def test_a_server_process_that_dies_comes_back(battle: Battle) -> None:
    """Granian's main process lives on and makes another."""
    main = battle.serving[0].process
    (worker,) = [pid for pid in _children(main.pid) if b"resource_tracker" not in _command(pid)]
    os.kill(int(worker), signal.SIGKILL)
    until("the dead process is gone", lambda: worker not in _children(main.pid))
    battle.await_doors()
    assert main.poll() is None


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _command(pid: str) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()
