"""A sandbox that is started once, one that a test has to itself, and a merchant's inbox."""

from collections.abc import Iterator
from pathlib import Path

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
