from collections.abc import Iterator
from pathlib import Path

import pytest
from dev_world import World

from dev import ports


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A fake shop to launch. Whatever a failed test left running is ended by its own handle."""
    world = World(tmp_path, (ports.any_free(), ports.any_free()))
    yield world
    for run in world.runs:
        if run.process.poll() is None:
            run.process.kill()
        run.process.communicate()
    assert world.all_gone() == {}
