"""``make test``: lint, format, types, import contract and all tests but the trials; every section runs, the failed ones
are named."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

_SCRIPTS = Path(sysconfig.get_path("scripts"))
_MOST_WORKERS = 4  # each has a PostgreSQL of its own
_BROWSER = {"Chromium": ("chromium", "chromium-browser", "google-chrome"), "ChromeDriver": ("chromedriver",)}
# pytest marker → what its tests need: one of the programs of each row
_NEEDS: dict[str, dict[str, tuple[str, ...]]] = {
    "browser": _BROWSER,
    "node": {"Node.js": ("node", "nodejs")},
    "pgbouncer": {"PgBouncer": ("pgbouncer",)},
    "haproxy": {"HAProxy": ("haproxy",)},
    "nginx": {"nginx": ("nginx",)},
    "faketime": {"faketime": ("faketime",)},
    "patroni": {"Patroni": ("patroni",), "etcd": ("etcd",)},
}


def main(names: list[str]) -> int:
    """Run the sections named (all by default). Returns 0 if all passed, else 1."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # ends the running section too
    left_out = missing()
    sections = {
        "lint": [str(_SCRIPTS / "ruff"), "check", "."],
        "format": [str(_SCRIPTS / "ruff"), "format", "--check", "."],
        "types": [sys.executable, "-m", "mypy"],
        "imports": [str(_SCRIPTS / "lint-imports")],
        "tests": _pytest(list(left_out)),
    }
    failed = [name for name in (names or list(sections)) if not _passes(name, sections[name])]
    for sentence in left_out.values():
        print(f"not run: {sentence}", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", flush=True)
    return 1 if failed else 0


def missing() -> dict[str, str]:
    """Return marker → what is not run and why, for the programs this machine lacks."""
    found = {}
    for marker, needs in _NEEDS.items():
        absent = [name for name, programs in needs.items() if not any(map(_which, programs))]
        if absent:
            found[marker] = f"{marker} tests (no {', no '.join(absent)})"
    return found


def _which(program: str) -> str | None:
    """Servers of Debian are where an ordinary user does not look."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin")


def _pytest(left_out: list[str]) -> list[str]:
    workers = min(os.cpu_count() or 1, _MOST_WORKERS)
    chosen = ["-m", " and ".join(f"not {marker}" for marker in left_out)] if left_out else []
    return [sys.executable, "-m", "pytest", "-n", str(workers), *chosen, "--ignore=tests/trials"]


def _passes(name: str, argv: list[str]) -> bool:
    print(f"\n── {name} {'─' * (60 - len(name))}", flush=True)
    began = time.monotonic()
    code = subprocess.run(argv, check=False).returncode
    print(
        f"{name}: {'passed' if code == 0 else f'FAILED (exit code {code})'} in {time.monotonic() - began:.0f} s",
        flush=True,
    )
    return code == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
