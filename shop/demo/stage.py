"""Where the demo plays: on the shop that runs in this folder, or on one of its own in a temporary folder."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec

from shop import settings

_PATIENCE_S = 120.0
_ROOT = Path(__file__).resolve().parents[2]


class NoStage(SystemExit):
    """There is nothing to play on; the argument says why."""


class Stage(msgspec.Struct, frozen=True):
    """Addresses of a started shop, and what only its operator knows."""

    api_url: str
    sandbox_url: str
    database_url: str
    login: str
    password: str
    own: bool


@contextmanager
def find() -> Iterator[Stage]:
    """The shop started in this folder, else one of our own that ends with the demo. Raises `NoStage`."""
    data = Path(os.environ.get("SHOP_DATA_DIR", "").strip() or ".data").absolute()
    if _is_running(data):
        yield _read(data, own=False)
        return
    with tempfile.TemporaryDirectory(prefix="wechat-shop-demo-") as folder:
        process = _start(Path(folder))
        try:
            yield _read(Path(folder), own=True)
        finally:
            process.terminate()
            process.wait(30)


def _is_running(data: Path) -> bool:
    """`run.json` says where; one that a killed run left behind names a shop that does not answer."""
    try:
        api_url = json.loads((data / "run.json").read_text())["api_url"]
        return httpx.get(f"{api_url}/readyz", timeout=5, trust_env=False).is_success
    except (OSError, ValueError, KeyError, httpx.TransportError):
        return False


def _start(folder: Path) -> subprocess.Popen[bytes]:
    """Start a shop of our own on free ports and wait until it is ready."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DATABASE_", "SHOP_", "WECHAT_"))}
    ports = {"SHOP_PORT": str(_free_port()), "SANDBOX_PORT": str(_free_port())}
    output = (folder / "launch.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "dev.run", "--with-parent"],
        cwd=_ROOT,
        env={**kept, **ports, "SHOP_DATA_DIR": str(folder)},
        stdout=output,
        stderr=subprocess.STDOUT,
    )
    output.close()
    until = time.monotonic() + _PATIENCE_S
    while not (folder / "run.json").exists():
        if process.poll() is not None or time.monotonic() > until:
            process.terminate()
            raise NoStage("The demo's own shop did not start:\n" + (folder / "launch.log").read_text(errors="replace"))
        time.sleep(0.1)
    return process


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _read(data: Path, *, own: bool) -> Stage:
    facts = json.loads((data / "run.json").read_text())
    try:
        login, _, password = (data / "operator.txt").read_text().strip().partition(" ")
    except OSError as error:
        raise NoStage(f"The operator's sign-in is not in {data / 'operator.txt'}: {error.strerror}") from error
    found = settings.read({**os.environ, "SHOP_DATA_DIR": str(data)})
    return Stage(facts["api_url"], facts["sandbox_url"], found.database_url, login, password, own)
