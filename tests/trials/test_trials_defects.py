"""The trials and tests can fail: what somebody could break by mistake is broken, and a named one notices."""

import random
from collections.abc import Iterator

import pytest
from trialing import Rounds

from dev import defects
from dev.defects import Defect, Trees

pytestmark = pytest.mark.trial("R39")
ALL = defects.read()


@pytest.fixture(scope="module")
def trees() -> Iterator[Trees]:
    with Trees() as made:
        yield made


def _plant(trees: Trees, defect: Defect, seed: int) -> None:
    outcome = trees.plant(defect, seed)
    missed = outcome.missed(defect)
    assert not missed, f"{defect.name} was not caught by {', '.join(missed)}: {outcome.trouble}"


def test_what_chance_picks_is_caught(trees: Trees, chance: random.Random, rounds: Rounds) -> None:
    for defect in chance.sample(ALL, rounds(1, 2)):
        _plant(trees, defect, chance.randrange(2**31))


@pytest.mark.long
@pytest.mark.parametrize("defect", ALL, ids=lambda defect: defect.name)
def test_each_is_caught(trees: Trees, defect: Defect, chance: random.Random) -> None:
    _plant(trees, defect, chance.randrange(2**31))
