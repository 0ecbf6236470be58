"""What was freed between things that stay is the system's again."""

from pathlib import Path

import pytest

from kit.trimming import trim

PAGES = Path("/proc/self/statm")


@pytest.mark.skipif(not PAGES.exists(), reason="only Linux tells how much a process holds")
def test_gaps_are_given_back() -> None:
    if not trim():
        pytest.skip("not glibc")
    answers = [bytes(20_000) for _ in range(4_000)]
    kept = answers[::50]
    before = _resident()
    del answers
    trim()
    assert _resident() < before - 10_000, "pages of four kilobytes; seventy-eight megabytes were freed"
    assert len(kept) == 80


def _resident() -> int:
    return int(PAGES.read_text().split()[1])
