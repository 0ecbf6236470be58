"""`make audit` says "no known holes" only of what was really looked at (answers of pip-audit 2.10, as it gives them)."""

import json
import subprocess
from typing import Any

import pytest

from dev import audit
from dev.audit import Hole, NotChecked, holes_in, wanted

NAMES = {"jinja2": "2.10", "requests": "2.19.0"}
GOOD = [{"name": "jinja2", "version": "2.10", "vulns": []}, {"name": "Requests", "version": "2.19.0", "vulns": []}]
HOLE = {"id": "PYSEC-2019-217", "fix_versions": ["2.10.1"], "aliases": ["CVE-2019-10906"], "description": "…"}


def said(code: int, dependencies: Any = None, err: str = "") -> subprocess.CompletedProcess[str]:
    out = "" if dependencies is None else json.dumps({"dependencies": dependencies, "fixes": []})
    return subprocess.CompletedProcess([], code, out, err)


def test_nothing_is_known_of_what_was_looked_at() -> None:
    assert holes_in(said(0, GOOD, "No known vulnerabilities found\n"), NAMES) == []


def test_a_hole_is_named_with_the_version_that_mends_it() -> None:
    found = [{**GOOD[0], "vulns": [HOLE, {**HOLE, "id": "PYSEC-1", "fix_versions": []}]}, GOOD[1]]
    holes = holes_in(said(1, found, "Found 2 known vulnerabilities in 1 package\n"), NAMES)
    assert holes[0] == Hole("jinja2", "2.10", "PYSEC-2019-217", "2.10.1")
    assert str(holes[1]) == "jinja2 2.10: PYSEC-1, mended in no version yet"


def test_a_hole_counts_though_another_package_was_skipped() -> None:
    found = [{**GOOD[0], "vulns": [HOLE]}, {"name": "requests", "skip_reason": "not found"}]
    assert [hole.name for hole in holes_in(said(1, found), NAMES)] == ["PYSEC-2019-217"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (
            said(1, None, "ERROR:pip_audit._cli:jinja2: Dependency not found on PyPI and could not be audited\n"),
            "not found",
        ),
        (said(1, None, "ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed\n"), "connect"),
        (said(0, [GOOD[0], {"name": "requests", "skip_reason": "not found on PyPI"}]), "1 of 2 packages"),
        (said(0, [GOOD[0]]), "requests"),
        (said(0, [GOOD[0], {**GOOD[1], "version": "2.32.0"}]), "requests"),
        (said(0, []), "2 of 2 packages"),
        (said(1, GOOD, "ERROR: something else\n"), "something else"),
        (said(0, None), "no answer"),
        (said(0, "no list"), "ended with 0"),
        (said(-9, GOOD), "ended with -9"),
    ],
)
def test_what_was_not_looked_at_is_not_checked(answer: subprocess.CompletedProcess[str], reason: str) -> None:
    with pytest.raises(NotChecked, match=reason):
        holes_in(answer, NAMES)


def test_a_lock_that_names_nothing_is_not_checked() -> None:
    with pytest.raises(NotChecked):
        holes_in(said(0, []), {})


def test_a_lock_is_read_as_this_machine_installs_it() -> None:
    lock = "# by make lock\nPy_Thing==1.2 \\\n    --hash=sha256:ab\n    # via x\ncolorama==0.4.6 ; sys_platform == 'win32' \\\n"
    assert wanted(lock) == {"py-thing": "1.2"}


def test_every_lock_of_ours_is_read() -> None:
    for lock in audit.LOCKS:
        assert len(wanted((audit.ROOT / lock).read_text("utf-8"))) > 20


@pytest.mark.parametrize(
    ("answers", "code"), [([0, 0], 0), ([0, 3], 3), ([1, 0], 1), ([3, 1], 1), ([1, 3], 1)], ids=str
)
def test_holes_come_before_what_is_unknown(monkeypatch: pytest.MonkeyPatch, answers: list[int], code: int) -> None:
    said = iter(answers)
    monkeypatch.setattr(audit, "_look", lambda _lock: next(said))
    assert audit.main() == code


def test_without_the_tool_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    monkeypatch.setattr(audit, "_tool", lambda: tmp_path / "pip-audit")
    assert audit.main() == audit.NOT_CHECKED
    assert capsys.readouterr().out.count("not checked: ") == len(audit.LOCKS)
