"""Planted defects: each takes away one thing that keeps money, goods or people safe, and a named test must notice.

The tree is copied, one text in it is replaced, and only the named tests run there; each must fail by what it asserts,
not by an error on the way to it. The defects themselves stand in `tests/defects/*.toml`.
"""

import argparse
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar
from xml.etree import ElementTree as ET

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "defects"
TABLE = ROOT / "docs" / "defects.md"
_MOST_WORKERS = 2  # each has a PostgreSQL and a simulated WeChat
_RUNNING: set[subprocess.Popen[bytes]] = set()
T = TypeVar("T")
_PATIENCE_S = 300
_PATIENCE_FOR_EACH_S = 60  # without a defect, all the tests of a folder run in one go
_PASSED = "all passed"
_HEAD = """# Planted defects

Written by `python -m dev.defects --write`; `make defects` tries them, `make trials-all` as trial R39. Each row is one
change to the code that somebody could make by mistake, and the tests each of which fails when it is made. The same tests
pass on the code as it is.

| defect | what it breaks | where | caught by | s |
|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Defect:
    """One replacement in one file, and the tests each of which must fail for it."""

    name: str
    breaks: str
    file: str
    old: str
    new: str
    caught_by: tuple[str, ...]

    @property
    def places(self) -> int:
        """How often the text stands in the file: once, or the defect is out of date."""
        return (ROOT / self.file).read_text("utf-8").count(self.old)


@dataclass(frozen=True)
class Outcome:
    """What the named tests said: `failed` ones caught it; `trouble` is why of the others nothing can be said."""

    failed: tuple[str, ...]
    trouble: str
    took_s: float

    def missed(self, defect: Defect) -> tuple[str, ...]:
        """The named tests that did not fail, for whatever reason."""
        return tuple(test for test in defect.caught_by if test.partition("[")[0] not in self.failed)


def read() -> list[Defect]:
    """All of them, in the order of the files."""
    rows = [row for path in sorted(FOLDER.glob("*.toml")) for row in tomllib.loads(path.read_text("utf-8"))["defect"]]
    return [Defect(**row | {"caught_by": tuple(row["caught_by"])}) for row in rows]


def main(argv: list[str]) -> int:
    """Plant the defects named (all by default). Returns 0 when each was caught, else 1."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    arguments = _arguments(argv)
    chosen = [defect for defect in read() if not arguments.names or defect.name in arguments.names]
    if unknown := set(arguments.names) - {defect.name for defect in chosen}:
        print(f"no such defect: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    with Trees() as trees:
        if not arguments.no_control and not _control(trees, chosen, arguments.seed):
            return 1
        outcomes = _together(lambda defect: _told(trees, defect, arguments.seed), chosen)
    missed = [defect.name for defect, outcome in zip(chosen, outcomes, strict=True) if outcome.missed(defect)]
    print(f"\n{len(chosen) - len(missed)} of {len(chosen)} planted defects were caught, seed {arguments.seed}")
    if missed:
        print(f"not caught: {', '.join(missed)}")
    if arguments.write and not missed and not arguments.names:
        TABLE.write_text(_HEAD + "".join(f"{row(d, o)}\n" for d, o in zip(chosen, outcomes, strict=True)), "utf-8")
    return 1 if missed else 0


class Trees:
    """Copies of the tree, one for each that works at the same time; what was compiled there once serves again."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="defects-")
        self._free: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for number in range(_MOST_WORKERS):
            self._free.put(Path(self._folder.name, str(number)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def plant(self, defect: Defect, seed: int) -> Outcome:
        """Try one defect; afterwards its file is as it was."""
        tree = self._taken()
        try:
            kept = tree / f"{defect.name}.kept"
            shutil.copy2(tree / defect.file, kept)
            try:
                spoil(tree, defect)
                outcome = run(tree, defect.caught_by, seed)
                if not outcome.failed and outcome.trouble != _PASSED:  # none of them began: a busy machine, perhaps
                    outcome = run(tree, defect.caught_by, seed)
                return outcome
            finally:
                kept.replace(tree / defect.file)
        finally:
            self._free.put(tree)

    def control(self, tests: Sequence[str], seed: int) -> Outcome:
        tree = self._taken()
        try:
            return run(tree, tests, seed)
        finally:
            self._free.put(tree)

    def _taken(self) -> Path:
        tree = self._free.get()
        if not tree.exists():
            copy_to(tree)
        return tree


def copy_to(tree: Path) -> None:
    """The files of the working tree that are, or could be, committed; with the environment beside them."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, names):
        source = ROOT / name
        if source.is_file():  # what was deleted is listed until that is committed
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, tree / name)
    if (ROOT / ".venv").exists():
        (tree / ".venv").symlink_to(ROOT / ".venv")


def spoil(tree: Path, defect: Defect) -> None:
    """Make the replacement. Raises `ValueError` unless the text is there exactly once."""
    path = tree / defect.file
    text = path.read_text("utf-8")
    if text.count(defect.old) != 1:
        raise ValueError(f"{defect.name}: its text stands {text.count(defect.old)} times in {defect.file}")
    path.write_text(text.replace(defect.old, defect.new), "utf-8")


def row(defect: Defect, outcome: Outcome) -> str:
    """A row of the table; a bar would end a cell."""
    tests = "<br>".join(f"`{name}`" for name in outcome.failed)
    return f"| `{defect.name}` | {defect.breaks} | `{defect.file}` | {tests} | {outcome.took_s:.0f} |"


def _together(run: Callable[[T], Outcome], each: Sequence[T]) -> list[Outcome]:
    """A few at a time. Whoever is stopped meanwhile leaves no run behind."""
    pool = ThreadPoolExecutor(min(2 * (os.cpu_count() or 1), _MOST_WORKERS))
    try:
        return list(pool.map(run, each))
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in list(_RUNNING):
            process.terminate()  # its servers watch whether it lives
        raise
    finally:
        pool.shutdown()


def _told(trees: Trees, defect: Defect, seed: int) -> Outcome:
    outcome = trees.plant(defect, seed)
    missed = outcome.missed(defect)
    why = f"{', '.join(missed)}: {outcome.trouble}" if missed else ", ".join(outcome.failed)
    print(f"{'MISSED' if missed else 'caught'}  {outcome.took_s:4.0f} s  {defect.name}: {why}", flush=True)
    return outcome


def _control(trees: Trees, defects: Sequence[Defect], seed: int) -> bool:
    """Without a defect all of these tests pass; who fails anyway catches nothing."""
    folders: defaultdict[str, set[str]] = defaultdict(set)
    for defect in defects:
        for test in defect.caught_by:
            folders[test.partition("::")[0].rpartition("/")[0]].add(test)
    outcomes = _together(lambda tests: trees.control(sorted(tests), seed), list(folders.values()))
    wrong = [outcome for outcome in outcomes if outcome.trouble != _PASSED]
    for outcome in wrong:
        print(f"without a defect: {', '.join(outcome.failed) or outcome.trouble}", flush=True)
    if not wrong:
        print("without a defect: all passed", flush=True)
    return not wrong


def run(tree: Path, tests: Sequence[str], seed: int) -> Outcome:
    """Run these tests in that tree."""
    report = tree / "outcome.xml"
    report.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "pytest", *tests, "--seed", str(seed), f"--hypothesis-seed={seed}"]
    argv += ["--tb=short", "--junitxml", str(report), "-o", "junit_family=xunit1"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    patience_s = _PATIENCE_S + _PATIENCE_FOR_EACH_S * len(tests)
    began = time.monotonic()
    told = tree / "said.txt"  # no pipe: whoever outlives the run would keep it open
    with (
        told.open("w") as out,
        subprocess.Popen(argv, cwd=tree, env=environment, stdout=out, stderr=subprocess.STDOUT) as process,
    ):
        _RUNNING.add(process)
        try:
            process.wait(timeout=patience_s)
        except subprocess.TimeoutExpired:
            process.terminate()
            return Outcome((), f"no answer in {patience_s} s", time.monotonic() - began)
        finally:
            _RUNNING.discard(process)
    took_s = time.monotonic() - began
    failed = tuple(dict.fromkeys(_failed(report))) if process.returncode == 1 else ()
    last = (told.read_text("utf-8", "replace").strip().splitlines() or ["nothing was said"])[-1]
    return Outcome(failed, _PASSED if process.returncode == 0 else last, took_s)


def _failed(report: Path) -> Iterable[str]:
    """Tests that failed by what they assert, also afterwards (the invariants); not those that could not begin."""
    for case in ET.parse(report).iter("testcase"):  # noqa: S314  (pytest has just written it)
        after = [error for error in case.findall("error") if error.get("message", "").startswith("failed on teardown")]
        if case.findall("failure") or after:
            yield _name(str(case.get("file")), str(case.get("classname")), str(case.get("name")))


def _name(file: str, classes: str, test: str) -> str:
    """As pytest calls a test, without its parameters; `classes` is the module with those around the test."""
    within = classes.removeprefix(file.removesuffix(".py").replace("/", ".")).strip(".")
    return "::".join(filter(None, (file, *within.split("."), test.partition("[")[0])))


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m dev.defects", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="of the tests' dice")
    parser.add_argument("--write", action="store_true", help="write docs/defects.md, when all were planted and caught")
    parser.add_argument(
        "--no-control", action="store_true", help="do not see first that the tests pass without a defect"
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="of defects; all by default")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
