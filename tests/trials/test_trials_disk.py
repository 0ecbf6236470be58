"""The disk of the database is full under load: what cannot be written is refused, and nothing that was answered is lost."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from till import until
from trialing import Rounds
from wired import Wired, pause, shopping

pytestmark = pytest.mark.xdist_group("wired")


@pytest.mark.trial("R24")
def test_the_disk_is_full_under_load(wired: Wired, rounds: Rounds, chance: random.Random) -> None:
    if not wired.small_disk:
        pytest.skip("a small disk may be mounted by root only")
    with shopping(wired, 6) as customers:
        for _ in range(rounds(1, 5)):
            pause(chance.uniform(0.2, 1))
            refused = customers.statuses[503]
            with full(wired.cluster.directory.parent):
                until("somebody is refused", lambda was=refused: customers.statuses[503] > was + 5, 30)
                pause(rounds(2, 8))
            if wired.cluster.exit_code() is not None:  # no room for its log: it stops, and starts again by hand
                wired.cluster.stop()
                wired.cluster.start()
    assert customers.statuses[500] == 0, customers.statuses


@contextmanager
def full(disk: Path) -> Iterator[None]:
    """Not one more block inside: what Postgres gives back is taken at once."""
    stone, over = disk / "stone", threading.Event()

    def pour() -> None:
        with stone.open("wb", buffering=0) as file:
            while not over.is_set():
                with suppress(OSError):
                    while True:
                        file.write(b"\0" * 1_000_000)
                over.wait(0.02)

    pouring = threading.Thread(target=pour)
    pouring.start()
    try:
        yield
    finally:
        over.set()
        pouring.join(30)
        stone.unlink()
