"""Trials: faults, lies and races against real processes."""

from collections.abc import Iterator

import pytest
import till


@pytest.fixture(scope="module", autouse=True)
def _doors_closed() -> Iterator[None]:
    yield
    while till.OPEN:
        till.OPEN.pop().close()
