"""The list of attacks is whole, and every test that it names exists: docs/attacks.md."""

import ast
import re
from functools import cache

import pytest
from world import ROOT

pytestmark = pytest.mark.trial("R32")
LETTERS = {"N": 28, "A": 17, "B": 12, "C": 21, "D": 28, "E": 8}
_ROW = re.compile(r"^\| ([NABCDE][0-9]+) \|(.+)\|(.+)\|(.*)\|$", re.MULTILINE)
ROWS = {row[1]: row for row in _ROW.finditer((ROOT / "docs" / "attacks.md").read_text(encoding="utf-8"))}


@cache
def _known() -> dict[str, str]:
    """Every test of the project, and its file."""
    return {
        node.name: str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def test_every_attack_is_listed_once() -> None:
    assert list(ROWS) == [f"{letter}{number}" for letter, most in LETTERS.items() for number in range(1, most + 1)]


@pytest.mark.parametrize("entry", ROWS)
def test_its_tests_exist_or_it_says_what_it_waits_for(entry: str) -> None:
    _, _, answer, tests = ROWS[entry].groups()
    named = re.findall(r"`(test_\w+)`", tests)
    assert named or answer.strip().startswith(("waits for ", "not ours: ")), "an attack that nobody tries"
    assert [name for name in named if name not in _known()] == []
    assert re.sub(r"`test_\w+`|[\s,]", "", tests) == ""
