"""What makes a test a trial: the numbers it answers for, a seed that repeats it, and how often it tries.

`make test` leaves `tests/trials` out; `make trials` and `make trials-all` run what is marked `trial`, the second with
the larger counts and with what is marked `long`.
"""

import json
import random
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_TRIALS = Path(__file__).with_name("trials")
Rounds = Callable[[int, int], int]
Marked = dict[str, Any]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("trials")
    group.addoption("--seed", type=int, default=0, help="of every fault and every choice; printed with the outcome")
    group.addoption("--all-trials", action="store_true", help="the larger counts, and the trials that take long")
    group.addoption("--soak-minutes", type=float, default=10, help="how long the soak lasts, with one fault a minute")
    group.addoption("--trials-report", type=Path, default=None, help="where to write one line of JSON for each trial")


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == _TRIALS and not item.get_closest_marker("trial"):
            item.add_marker(pytest.mark.trial())  # it answers for no number, and is one all the same
    if config.getoption("--all-trials"):
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("trial"):
        item.user_properties += [("trial", number) for number in marker.args]


class Report:
    """Runs where the results come together: the outcome, counts and time of each trial, line by line as they end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        worse = {"passed": 0, "skipped": 1, "failed": 2}
        known = self.outcomes.get(report.nodeid, "passed")
        self.outcomes[report.nodeid] = max(known, report.outcome, key=worse.__getitem__)
        if report.when != "teardown":
            return
        line: Marked = {"test": report.nodeid, "outcome": self.outcomes[report.nodeid]}
        line["trials"] = [value for name, value in report.user_properties if name == "trial"]
        line["rounds"] = [value for name, value in report.user_properties if name == "rounds"]
        with self.path.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line, ensure_ascii=False) + "\n")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--trials-report")
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Report(path), "trials-report")


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed: {config.getoption('--seed')}"


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """This test's own dice: the same for the same seed, whatever ran before it and on whichever worker."""
    seed = request.config.getoption("--seed")
    return random.Random(zlib.crc32(f"{seed} {request.node.nodeid}".encode()))


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> Rounds:
    """`rounds(20, 300)`: so often in the quick trials, so often in all of them; the count is in the report."""

    def chosen(quick: int, every: int) -> int:
        count = every if request.config.getoption("--all-trials") else quick
        request.node.user_properties.append(("rounds", count))
        return count

    return chosen
