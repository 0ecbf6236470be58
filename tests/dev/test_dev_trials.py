"""docs/trials.md says of each trial what `dev.trials` says, and names files that answer for it."""

import re

import pytest

from dev.defects import ROOT
from dev.trials import TRIALS, WAITING

TEXT = (ROOT / "docs" / "trials.md").read_text("utf-8")
ROWS = dict(re.findall(r"^\| (R\d+) \| (.*) \|$", TEXT, re.MULTILINE))


def test_every_number_is_there() -> None:
    assert {number: row.split(" | ")[0] for number, row in ROWS.items()} == TRIALS


@pytest.mark.parametrize("number", TRIALS)
def test_what_is_named_answers_for_it(number: str) -> None:
    place = ROWS[number].split(" | ")[2]
    if number in WAITING:
        assert place == f"waits for {WAITING[number]}"
    for file in re.findall(r"`(.*?)`", place):
        marks = re.findall(r"\.trial\(([^)]*)\)", (ROOT / "tests" / file).read_text("utf-8"))
        assert any(f'"{number}"' in mark for mark in marks), file
