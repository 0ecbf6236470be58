"""``make audit``: has any version that the locks name a hole that is known? Says so, or says that it was not checked.

pip-audit is installed in an environment of its own, from a lock of its own, so that nothing of it is in ours. What it
did not look at counts as not checked: a tool that reaches nobody finds nothing, and that must not look like an answer.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock")
CLEAN, HOLES, NOT_CHECKED = 0, 1, 3  # 2 is for who calls it wrongly
_PLACE = ROOT / ".venv" / "audit"
_LOCK = "requirements-audit.lock"
_PATIENCE_S = 300


class NotChecked(Exception):
    """Nothing can be said; the message is why."""


@dataclass(frozen=True)
class Hole:
    """One that is known, in a version that a lock names."""

    package: str
    version: str
    name: str
    mended_in: str

    def __str__(self) -> str:
        return f"{self.package} {self.version}: {self.name}, mended in {self.mended_in or 'no version yet'}"


def main() -> int:
    """Look at every lock. Returns 0: all checked, nothing known; 1: holes; 3: not checked."""
    outcomes = [_look(lock) for lock in LOCKS]
    return HOLES if HOLES in outcomes else max(outcomes)


def _look(lock: str) -> int:
    try:
        holes = holes_in(_ask(lock), wanted((ROOT / lock).read_text("utf-8")))
    except NotChecked as reason:
        print(f"{lock}: not checked: {reason}", flush=True)
        return NOT_CHECKED
    for hole in holes:
        print(f"{lock}: {hole}", flush=True)
    if not holes:
        print(f"{lock}: checked, no known holes", flush=True)
    return HOLES if holes else CLEAN


def wanted(lock: str) -> dict[str, str]:
    """Name and version of what the lock installs on this machine."""
    lines = [line.rstrip(" \\") for line in lock.splitlines() if line[:1].isalnum()]
    found = [
        requirement
        for requirement in map(Requirement, lines)
        if not requirement.marker or requirement.marker.evaluate()
    ]
    return {canonicalize_name(each.name): str(each.specifier).removeprefix("==") for each in found}


def holes_in(said: subprocess.CompletedProcess[str], names: Mapping[str, str]) -> list[Hole]:
    """What pip-audit found. Raises `NotChecked` unless it has looked at every one of `names`, in that version."""
    try:
        found = [one for one in json.loads(said.stdout)["dependencies"] if "skip_reason" not in one]
        seen: dict[str, str] = {canonicalize_name(one["name"]): one["version"] for one in found}
        holes = [
            Hole(one["name"], one["version"], hole["id"], " or ".join(hole["fix_versions"]))
            for one in found
            for hole in one["vulns"]
        ]
    except (ValueError, KeyError, TypeError):
        raise NotChecked(_last_line(said)) from None
    left_out = sorted(name for name, version in names.items() if seen.get(name) != version)
    if holes:  # known is known, whatever else was not looked at
        return holes
    if left_out:
        raise NotChecked(f"{len(left_out)} of {len(names)} packages were not looked at: {', '.join(left_out[:5])} …")
    if said.returncode != 0 or not names:
        raise NotChecked(_last_line(said))
    return []


def _last_line(said: subprocess.CompletedProcess[str]) -> str:
    lines = said.stderr.strip().splitlines() or ["no answer"]
    return f"pip-audit ended with {said.returncode}: {lines[-1]}"


def _ask(lock: str) -> subprocess.CompletedProcess[str]:
    argv = [str(_tool()), "--strict", "--disable-pip", "--require-hashes", "--requirement", str(ROOT / lock)]
    return _run([*argv, "--format", "json", "--progress-spinner", "off"])


def _tool() -> Path:
    """pip-audit of its own environment, made when its lock has changed. Raises `NotChecked`."""
    mark, lock = _PLACE / ".lock", (ROOT / _LOCK).read_text("utf-8")
    if not mark.exists() or mark.read_text("utf-8") != lock:
        pip = [str(_PLACE / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
        for argv in (
            [sys.executable, "-m", "venv", "--clear", str(_PLACE)],
            [*pip, "--quiet", "--require-hashes", "--no-deps", "--requirement", str(ROOT / _LOCK)],
        ):
            done = _run(argv)
            if done.returncode != 0:
                lines = (done.stderr or done.stdout).strip().splitlines() or ["no answer"]
                raise NotChecked(f"pip-audit could not be installed: {lines[-1]}")
        mark.write_text(lock, "utf-8")
    return _PLACE / "bin" / "pip-audit"


def _run(argv: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=_PATIENCE_S)
    except subprocess.TimeoutExpired as error:
        raise NotChecked(f"no answer in {_PATIENCE_S} s") from error
    except OSError as error:
        raise NotChecked(f"{argv[0]} does not run: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
