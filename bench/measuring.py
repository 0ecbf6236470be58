"""What a workload came to: its runs and its limit's, by turns, and their medians."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.generator import Run

Step = Callable[[str], None]
"""Told what is being done, for the progress bar."""


@dataclass(kw_only=True)
class Row:
    """A line of the table. `ratio` is of the limit where there is one; `passed` is None where nothing is demanded."""

    key: str
    what: str
    target: str
    limit: str = ""
    runs: list[Run] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)
    """Rates of the limit, in requests or transactions per second."""
    ratio: float | None = None
    wanted: float | None = None
    passed: bool | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def errors(self) -> int:
        """Answers that were not as expected, in all runs."""
        return sum(run.errors for run in self.runs)

    def median(self, name: str) -> float:
        """Of one figure of the runs."""
        return statistics.median(getattr(run, name) for run in self.runs) if self.runs else 0.0

    @property
    def limit_rate(self) -> float | None:
        """The limit's median."""
        return statistics.median(self.limits) if self.limits else None

    def judge(self) -> "Row":
        """Hold the medians against what is demanded. Wrong answers fail whatever their speed."""
        if self.limit_rate:
            self.ratio = self.median("rate") / self.limit_rate
        if self.wanted is not None and self.ratio is not None:
            self.passed = self.ratio >= self.wanted
        if self.errors:
            self.passed = False
        return self


def by_turns(rows: Sequence[tuple[Row, Callable[[], Run]]], limit: Callable[[], float] | None, runs: int) -> None:
    """Measure the limit, then each load, and so on: what disturbs the machine disturbs them alike."""
    for _ in range(runs):
        rate = limit() if limit else None
        for row, load in rows:
            if rate is not None:
                row.limits.append(rate)
            row.runs.append(load())
    for row, _ in rows:
        row.judge()
