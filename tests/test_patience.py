"""A test that hangs is named, with where it hangs; nobody waits for it."""

import os
import subprocess
import sys
from pathlib import Path

_HANGS = """
import asyncio

async def for_ever():
    await asyncio.Event().wait()

def test_that_hangs():
    asyncio.run(for_ever())
"""


def test_a_test_that_hangs_is_ended_and_says_where(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(_HANGS)
    argv = [sys.executable, "-m", "pytest", "-p", "patience", "--patience-s", "1", "test_it.py"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "PYTEST_ADDOPTS": ""}
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 70, done.stdout
    assert done.stderr.rstrip().endswith("after 1 s still at it: test_it.py::test_that_hangs")
    assert "in for_ever" in done.stderr, "the coroutine, not the event loop only"
