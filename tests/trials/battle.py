"""A shop in many processes on one database, each of which may die: two that serve, two that work."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from processes import Part, answers, broken, fetch, free_port
from till import Buyer, Operator, until

from dev.postgres import Cluster

CRASH = Path(__file__).with_name("crashing.py")


class Battle:
    """Everything started; `heal()` starts again what was killed, `verdict()` says what is wrong in the end."""

    def __init__(self, folder: Path, cluster: Cluster, world: Any, **settings: str) -> None:
        self.folder, self.cluster, self.world = folder, cluster, world
        ports = [free_port(), free_port()]
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        self.environment = {
            **world.env,
            "DATABASE_URL": cluster.app_url(),
            "DATABASE_OWNER_URL": cluster.owner_url(),
            "SHOP_DATA_DIR": str(world.folder.parent),
            "SHOP_PUBLIC_URL": self.urls[0],
            **settings,
        }
        seed = Part(["-m", "shop", "seed", "--products", "20"], self.environment, folder / "seed.log")
        assert seed.process.wait(60) == 0, seed.log.read_text()
        here = {**self.environment, "PYTHONPATH": str(CRASH.parent)}
        self.serving = [
            Part([str(CRASH), "serve"], {**here, "SHOP_PORT": str(port)}, folder / f"serve-{port}.log")
            for port in ports
        ]
        self.working = [Part([str(CRASH), "work"], here, folder / f"work-{n}.log") for n in range(2)]
        self.await_doors()

    def await_doors(self) -> None:
        for url in self.urls:
            until(f"{url} answers", lambda url=url: answers(f"{url}/readyz"), 40)

    def heal(self) -> None:
        for part in [*self.serving, *self.working]:
            if part.process.poll() is not None:
                part.start()
        self.await_doors()

    def stop(self) -> None:
        for part in [*self.serving, *self.working]:
            part.kill()

    def buyer(self, user: str, first_door: int = 0) -> Buyer:
        urls = self.urls if first_door == 0 else self.urls[::-1]
        return Buyer(*urls).sign_in(lambda: str(self.world.code(user)))

    def operator(self) -> Operator:
        login, password = (Path(self.environment["SHOP_DATA_DIR"]) / "operator.txt").read_text().split()
        return Operator(*self.urls).sign_in(login, password)

    @property
    def owner_url(self) -> str:
        return self.cluster.owner_url()

    def fetch(self, query: str, *values: Any) -> list[Any]:
        return fetch(self.owner_url, query, *values)

    def attempt(self, no: str) -> str:
        rows = self.fetch("SELECT out_trade_no FROM payment WHERE payable = $1 ORDER BY id DESC LIMIT 1", no)
        return str(rows[0][0])

    def pay(self, out_trade_no: str) -> bool:
        answer = httpx.post(f"{self.world.url}/_sandbox/payments/{out_trade_no}/pay", json={}, trust_env=False)
        return answer.status_code == 200

    def settled(self) -> bool:
        """Nothing is under way any more."""
        rows = self.fetch(
            """SELECT (SELECT count(*) FROM orders WHERE state IN ('unpaid', 'closing'))
            + (SELECT count(*) FROM refund WHERE state IN ('requested', 'processing'))
            + (SELECT count(*) FROM payment WHERE state IN ('opening', 'open'))
            + (SELECT count(*) FROM notice WHERE handled_at IS NULL)"""
        )
        return bool(rows[0][0] == 0)

    def verdict(self, acknowledged: list[str], patience_s: float = 60) -> None:
        """Time passes; then every order that was promised is there, and every fen is accounted for on both sides."""
        self.world.skip(minutes=31)
        until("everything comes to rest", self.settled, patience_s)
        assert broken(self.owner_url) == {}
        rows = self.fetch("SELECT no, state FROM orders")
        states = {row["no"]: row["state"] for row in rows}
        assert [no for no in acknowledged if no not in states] == [], "acknowledged, and lost"
        assert len(states) == len(acknowledged), "an order that nobody was told of"
        totals = self.world.http.get("/_sandbox/totals").json()
        ours = self.fetch(
            """SELECT (SELECT coalesce(sum(received_fen), 0)::bigint FROM payment WHERE state = 'received') AS paid,
            (SELECT coalesce(sum(amount_fen), 0)::bigint FROM refund WHERE state = 'succeeded') AS back"""
        )[0]
        assert (totals["paid_fen"], totals["refunded_fen"]) == (ours["paid"], ours["back"])


@contextmanager
def crowd(size: int, act: Callable[[int], None], over: threading.Event) -> Iterator[None]:
    """Threads that act at once until it is `over`, as it is at the end of the block. What went wrong with them is raised,
    also when the block has failed: it may say why."""
    threads = started(size, act)
    try:
        yield
    finally:
        over.set()
        joined(threads)


def started(size: int, act: Callable[[int], None]) -> "list[Actor]":
    """Threads that act at once; their failures are kept on them. `joined` waits for them."""
    threads = [Actor(act, number) for number in range(size)]
    for thread in threads:
        thread.start()
    return threads


def joined(threads: "list[Actor]", patience_s: float = 120) -> None:
    """Raises what went wrong with the first of them, when all have ended."""
    end = time.monotonic() + patience_s
    for thread in threads:
        thread.join(max(end - time.monotonic(), 0))
        assert not thread.is_alive(), "still at it"
    for thread in threads:
        if thread.trouble is not None:
            raise thread.trouble


class Actor(threading.Thread):
    def __init__(self, act: Callable[[int], None], number: int) -> None:
        super().__init__(daemon=True)
        self.act, self.number = act, number
        self.trouble: BaseException | None = None

    def run(self) -> None:
        try:
            self.act(self.number)
        except BaseException as trouble:  # noqa: BLE001  (told to the test by `joined`)
            self.trouble = trouble
