"""The world around the shop under test: a simulated WeChat in a process of its own, and the post that it sends."""

import shlex
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

from kit.clock import FollowedClock
from shop.settings import Settings, read

ROOT = Path(__file__).parent.parent
_ALL = 100_000
"""The most that the levers list."""


class World:
    """One `python -m sandbox`."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "sandbox", "--data-dir", str(folder), "--port", str(self.port)]
        command += arguments
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        self.http = httpx.Client(base_url=self.url, timeout=15, trust_env=False)
        self._await()
        lines = (folder / "merchant.env").read_text().splitlines()
        self.env = dict(shlex.split(line)[0].split("=", 1) for line in lines)
        self.clock = FollowedClock(folder / "clock")

    def _await(self) -> None:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            assert self.process.poll() is None, "the sandbox ended at once"
            try:
                if self.http.get("/_sandbox/health").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.02)
        raise AssertionError("the sandbox does not answer")

    def stop(self) -> None:
        self.http.close()
        self.process.terminate()
        self.process.wait(10)

    def connected(self, settings: Settings, public_url: str, folder: Path, **more: str) -> Settings:
        """Those of a shop in this world, on the database of `settings`; it is notified at `public_url`."""
        return read(
            {
                **self.env,
                "DATABASE_URL": settings.database_url,
                "DATABASE_OWNER_URL": settings.database_owner_url,
                "SHOP_PUBLIC_URL": public_url,
                "SHOP_DATA_DIR": str(folder),
                **more,
            }
        )

    def tell(self, lever: str, /, **body: Any) -> Any:
        """POST to a lever; its JSON answer."""
        answer = self.http.post(f"/_sandbox/{lever}", json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def skip(self, **units: float) -> None:
        """`skip(minutes=31)`: business time moves on, here and in WeChat."""
        from datetime import timedelta  # noqa: PLC0415

        self.tell("clock/advance", seconds=timedelta(**units).total_seconds())
        self.clock._read_at = -1.0

    def code(self, user: str, kind: str = "login") -> str:
        return str(self.tell("codes", kind=kind, user=user)["code"])

    def pay(self, out_trade_no: str, **how: Any) -> Any:
        """The buyer pays on the phone."""
        return self.tell(f"payments/{out_trade_no}/pay", **how)

    def payments(self) -> list[dict[str, Any]]:
        """All there are, the latest first."""
        return self._all("payments")

    def refunds(self) -> list[dict[str, Any]]:
        """All there are, the latest first."""
        return self._all("refunds")

    def _all(self, lever: str) -> list[dict[str, Any]]:
        answer = self.http.get(f"/_sandbox/{lever}", params={"limit": _ALL})
        items: list[dict[str, Any]] = answer.json()["items"]
        assert len(items) < _ALL
        return items

    def faults(self, **fault: Any) -> None:
        self.tell("faults", **fault)

    def heal(self) -> None:
        self.http.delete("/_sandbox/faults")


@dataclass
class Letter:
    """A notification as it came over the wire."""

    headers: dict[str, str]
    body: bytes


@dataclass
class Mailbox:
    """Where WeChat's notifications arrive, so that a test may deliver them when and how often it likes."""

    letters: list[Letter] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def __post_init__(self) -> None:
        mailbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with mailbox.arrived:
                    mailbox.letters.append(Letter(dict(self.headers.items()), body))
                    mailbox.arrived.notify_all()
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self) -> Letter:
        """The next letter, waited for."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: self.letters, timeout=10), "no notification came"
            return self.letters.pop(0)

    def clear(self) -> None:
        with self.arrived:
            self.letters.clear()
