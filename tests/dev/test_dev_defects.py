"""The list of planted defects does not rot, and the tool tells a test that caught one from a run that went wrong."""

import ast
from pathlib import Path

import pytest

from dev import defects
from dev.defects import Defect

ALL = defects.read()
CONFTEST = """
def pytest_addoption(parser):
    parser.addoption("--seed", type=int)
"""
TESTS = """
import pytest

def test_good():
    pass

def test_bad():
    assert "a shop" == "sold out"

@pytest.fixture
def broken():
    raise ConnectionError

def test_never_began(broken):
    pass

@pytest.fixture
def audited():
    yield
    assert "the books" == "balanced"

def test_found_afterwards(audited):
    pass
"""


def test_there_are_enough_and_each_has_a_name_of_its_own() -> None:
    names = [defect.name for defect in ALL]
    assert len(names) >= 40
    assert sorted(set(names)) == sorted(names)
    assert [defect.name for defect in ALL if not defect.breaks.endswith(".") or not defect.caught_by] == []


@pytest.mark.parametrize("defect", ALL, ids=lambda defect: defect.name)
def test_its_text_stands_in_the_code_exactly_once(defect: Defect) -> None:
    assert defect.places == 1, defect.file
    assert defect.new != defect.old
    assert not defect.file.startswith("tests/")


@pytest.mark.parametrize("defect", ALL, ids=lambda defect: defect.name)
def test_what_must_catch_it_exists(defect: Defect) -> None:
    for test in defect.caught_by:
        file, _, name = test.partition("::")
        tree = ast.parse((defects.ROOT / file).read_text("utf-8"))
        functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert name.rpartition("::")[2] in functions, test


def test_the_table_names_them_all() -> None:
    rows = [line for line in defects.TABLE.read_text("utf-8").splitlines() if line.startswith("| `")]
    written = [line.split(" | ")[:3] for line in rows]
    assert written == [[f"| `{one.name}`", one.breaks, f"`{one.file}`"] for one in ALL], "python -m dev.defects --write"


def test_each_trial_has_shown_that_it_can_fail() -> None:
    """The numbers of the trials (docs/trials.md) of which no test has caught anything."""
    catching = {test.partition("[")[0] for defect in ALL for test in defect.caught_by}
    numbers = _trials()
    silent = set(numbers) - {number for number, tests in numbers.items() if catching & tests}
    # R21 is itself the proof that R20 sees a loss; R39 is this; R40 is an hour of what the others do in minutes.
    assert silent == {"R21", "R39", "R40"}


def _trials() -> dict[str, set[str]]:
    """Number → the tests that are marked with it, also by their module's `pytestmark`."""
    found: dict[str, set[str]] = {}
    for path in (defects.ROOT / "tests").rglob("test_*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        marks = {target.id: node.value for node in tree.body if isinstance(node, ast.Assign)
                 for target in node.targets if isinstance(target, ast.Name)}  # fmt: skip
        of_all = _numbers(marks.get("pytestmark"))
        for test in ast.walk(tree):
            if isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef) and test.name.startswith("test_"):
                for number in of_all | _numbers(*test.decorator_list):
                    found.setdefault(number, set()).add(f"{path.relative_to(defects.ROOT)}::{test.name}")
    return found


def _numbers(*marks: ast.expr | None) -> set[str]:
    calls = [node for mark in marks if mark for node in ast.walk(mark) if isinstance(node, ast.Call)]
    return {argument.value for call in calls if ast.unparse(call.func) == "pytest.mark.trial"
            for argument in call.args if isinstance(argument, ast.Constant)}  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text(TESTS)
    (folder / "test_torn.py").write_text("def test_torn(:\n")
    return folder


@pytest.mark.parametrize(
    ("tests", "failed", "trouble"),
    [
        ("test_it.py::test_good", (), "all passed"),
        ("test_it.py::test_bad", ("test_it.py::test_bad",), "1 failed"),
        ("test_it.py::test_found_afterwards", ("test_it.py::test_found_afterwards",), "1 error"),
        ("test_it.py::test_never_began", (), "1 error"),
        ("test_it.py::test_not_there", (), "no match"),
        ("test_torn.py::test_torn", (), ""),
    ],
)
def test_only_what_is_asserted_catches(tree: Path, tests: str, failed: tuple[str, ...], trouble: str) -> None:
    outcome = defects.run(tree, [tests], seed=1)
    assert outcome.failed == failed
    assert outcome.missed(Defect("one", "Something.", "a.py", "x", "y", (tests,))) == (() if failed else (tests,))
    assert trouble in outcome.trouble


def test_a_text_that_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    for old in ("x = 1", "y = 1"):
        with pytest.raises(ValueError, match="stands"):
            defects.spoil(tmp_path, Defect("twice", "Something.", "a.py", old, "z", ()))
