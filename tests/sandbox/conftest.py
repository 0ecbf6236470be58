"""A sandbox that is started once, one that a test has to itself, one with a day behind it, and a merchant's inbox."""

from collections.abc import Callable, Iterator
from pathlib import Path

import billing
import pytest
from box import Box, Inbox


@pytest.fixture(scope="session")
def started_box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    box = Box(tmp_path_factory.mktemp("box") / "data")
    yield box
    box.stop()
    box.http.close()


@pytest.fixture
def box(started_box: Box) -> Iterator[Box]:
    """The shared sandbox, its knobs as they were at first when the test is over."""
    at_first = started_box.look("settings")
    yield started_box
    started_box.lever("settings", at_first)
    started_box.http.delete("/_sandbox/faults")


@pytest.fixture
def new_box(tmp_path: Path) -> Iterator:
    """Makes sandboxes of the test's own: ``new_box("--key-mode", "both")``."""
    made: list[Box] = []

    def make(*arguments: str) -> Box:
        made.append(Box(tmp_path / f"data {len(made)}", *arguments))
        return made[-1]

    yield make
    for box in made:
        if box.process.poll() is None:
            box.stop()
        box.http.close()


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    inbox = Inbox()
    yield inbox
    inbox.close()


@pytest.fixture
def day(new_box: Callable) -> tuple:
    """A sandbox with a day of trade behind it, ten o'clock of the next morning, and what happened."""
    box = new_box()
    billing.at(box, 11)
    plain = box.paid(description="手冲, 两杯\n`热", attach="shop=7,a")
    prefunded, free = box.ordered(), box.ordered()
    box.lever(f"payments/{prefunded}/pay", {"coupon_fen": 200})
    box.lever(f"payments/{free}/pay", {"coupon_fen": 200, "coupon_kind": "NOCASH"})
    refunds = [box.refund(number, 1000).json() for number in (plain, prefunded, free)]
    box.lever("clock/advance", {"seconds": 5})
    box.lever("settings", {"refund_delay_s": 86400 * 2})
    late = box.refund(plain, 100).json()
    box.lever("merchant/withdraw", {"fen": 5000})
    yesterday = billing.at(box, 10)
    return box, yesterday, (plain, prefunded, free), [*refunds, late]
