"""Many at once, through both doors of a `Battle`."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from battle import Battle
from processes import name
from till import Buyer, Client, until


def at_once(count: int, ask: Callable[[int], httpx.Response]) -> list[httpx.Response]:
    """`ask(0)`, `ask(1)`, …: none before all are ready. Their answers, in that order."""
    ready = threading.Barrier(count, timeout=60)

    def start(number: int) -> httpx.Response:
        ready.wait()
        return ask(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(start, range(count)))


def buyers(battle: Battle, count: int) -> list[Buyer]:
    """So many members, half of them at either door."""
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda number: battle.buyer(name("rush"), number % 2), range(count)))


def twins(client: Client, kind: type[Any], battle: Battle) -> list[Any]:
    """The same person at both doors."""
    other = kind(*battle.urls[::-1])
    other.headers = client.headers
    return [client, other]


def with_one_key(clients: list[Any], path: str, body: Any, key: str, count: int) -> list[httpx.Response]:
    """The same wish with the same key by each client in turn, all at once; who is told to wait asks again."""

    def ask(number: int) -> httpx.Response:
        client: Client = clients[number % len(clients)]
        return until("an answer", lambda: _not_busy(client.post(path, body, key=key)), 60)

    return at_once(count, ask)


def _not_busy(answer: httpx.Response) -> httpx.Response | None:
    if answer.status_code == 409 and answer.json()["code"] == "still_running":
        assert "retry-after" in answer.headers
        return None
    return answer
