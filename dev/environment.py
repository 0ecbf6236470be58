"""The project's own virtual environment: made once, exactly what the lock says, redone when it was interrupted.

``.venv/.whole`` names the locks that are fully installed, by their hash, and the Python that was used. It is written
last and removed first, so that its absence means: start over.
"""

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
RUN_LOCK = "requirements.lock"
DEV_LOCK = "requirements-dev.lock"  # made under the constraint of the other, so it includes it

_MARK = VENV / ".whole"
_TAIL_LINES = 12


def enter(arguments: list[str]) -> None:
    """Make the environment whole, then become its Python with ``arguments``. Exits with a sentence on trouble."""
    os.environ.setdefault("SHOP_RUN_BEGAN", str(time.time()))
    dev = arguments[:1] == ["--dev"]
    signal.signal(signal.SIGTERM, _leave)
    try:
        with_lock(dev=dev)
    except OSError as error:
        sys.exit(f"error: {VENV} cannot be written: {error.strerror}.")
    except KeyboardInterrupt:
        sys.exit(130)
    rest = arguments[1:] if dev else arguments
    if rest:
        python = str(VENV / "bin" / "python")
        os.chdir(ROOT)
        os.execv(python, [python, *rest])  # noqa: S606 - our own interpreter


def with_lock(*, dev: bool) -> None:
    """Install what is missing, one caller at a time. Raises OSError, SystemExit with a sentence."""
    root = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(root, fcntl.LOCK_EX)
        wanted = {name: _digest(name) for name in ([RUN_LOCK, DEV_LOCK] if dev else [RUN_LOCK])}
        present = _present()
        if wanted.items() <= present.items():
            return
        _install(DEV_LOCK if dev else RUN_LOCK, root, anew=not present)
        _MARK.write_text(json.dumps({"python": _python(), **wanted}) + "\n")
    finally:
        os.close(root)


def _present() -> dict[str, str]:
    """Return lock → hash of what is installed whole for this Python; nothing if any of it is in doubt."""
    try:
        found: dict[str, str] = json.loads(_MARK.read_text())
    except (OSError, ValueError):
        return {}
    usable = (VENV / "bin" / "python").exists()  # false too when the Python it points to is gone
    return found if usable and found.pop("python", None) == _python() else {}


def _install(lock: str, held: int, *, anew: bool) -> None:
    if not os.access(ROOT, os.W_OK):
        sys.exit(f"error: {VENV} cannot be made: this user may not write in {ROOT}.")
    _MARK.unlink(missing_ok=True)
    if anew:
        _make(held)
    count = sum(1 for line in (ROOT / lock).read_text().splitlines() if line[:1].isalnum())
    print(f"Installing {count} packages into .venv, once …", flush=True)
    began = time.monotonic()
    pip = [*_pip(), "--disable-pip-version-check", "--no-input", "install", "--quiet"]
    pip += ["--require-hashes", "--no-deps", "--requirement", str(ROOT / lock)]
    _run(pip, held, "pip could not install the packages")
    print(f"Installed in {time.monotonic() - began:.0f} s.", flush=True)


def _make(held: int) -> None:
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        sys.exit(f"error: {sys.executable} lacks the venv module (on Debian and Ubuntu: apt install python3-venv).")
    if VENV.exists():
        shutil.rmtree(VENV)
    print(f"Making .venv with Python {_python()} …", flush=True)
    bare = ["--without-pip"] if _outer_pip() else []
    _run([sys.executable, "-m", "venv", *bare, str(VENV)], held, "The virtual environment could not be made")


def _outer_pip() -> bool:
    """Whether this Python's own pip can install elsewhere: a copy in each environment costs seconds of the first start."""
    try:
        return tuple(int(part) for part in importlib.metadata.version("pip").split(".")[:2]) >= (22, 3)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return False


def _pip() -> list[str]:
    python = str(VENV / "bin" / "python")
    return [sys.executable, "-m", "pip", "--python", python] if _outer_pip() else [python, "-m", "pip"]


def _run(argv: list[str], held: int, failure: str) -> None:
    """Run a command that shares our lock: should we be killed, the next caller waits until it is done."""
    done = subprocess.run(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, pass_fds=[held]
    )
    if done.returncode != 0:
        end = "".join(f"\n    {line}" for line in done.stdout.strip().splitlines()[-_TAIL_LINES:])
        sys.exit(f"error: {failure}:{end}")


def _leave(number: int, _: object) -> None:
    sys.exit(128 + number)  # unlike the signal itself, this ends pip too


def _digest(lock: str) -> str:
    return hashlib.sha256((ROOT / lock).read_bytes()).hexdigest()


def _python() -> str:
    return ".".join(str(part) for part in sys.version_info[:2])
