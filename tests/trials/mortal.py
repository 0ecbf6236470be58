"""A process that does one deed at a time and is killed at the nth message that it sends to Postgres."""

import json
import os
import queue
import secrets
import signal
import subprocess
import sys
import tempfile
from base64 import b64encode
from pathlib import Path
from typing import Any

from cast import Buyer, Operator
from counting import CountingDoor
from processes import ROOT, free_environment
from world import Letter

Deed = dict[str, Any]
_PATIENCE_S = 20


class Mortal:
    """`dies_at` begins a deed and ends the process in the middle of it."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        # No pipe: nobody reads it, and a full one holds the writer up.
        self._said = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115  (`stop` closes it)
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("dying.py"))],
            cwd=ROOT,
            env=free_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def dies_at(self, door: CountingDoor, deed: Deed, nth: int, when: str) -> bool:
        """Begin `deed`; kill it at the nth message. False: it got through alive before that. The 0th never comes."""
        victim: queue.Queue[int] = queue.Queue()
        assert self.process.stdin is not None
        # The door holds the message back until its sender is dead, however late its number is known.
        door.arm(nth, when, lambda: os.kill(victim.get(timeout=_PATIENCE_S), signal.SIGKILL))
        self.process.stdin.write(json.dumps({"environment": self.environment, "deed": deed}) + "\n")
        self.process.stdin.flush()
        victim.put(int(self._line()))
        code = int(self._line())
        assert code == (-signal.SIGKILL if door.struck else 0), (deed, nth, when, code, self._last_words())
        return door.struck

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()
        self._said.close()

    def _last_words(self) -> list[str]:
        self._said.seek(0)
        return self._said.readlines()[-3:]


def notice(letter: Letter) -> Deed:
    """WeChat delivers this letter."""
    left_out = {"host", "content-length", "connection", "accept-encoding"}
    headers = {name: value for name, value in letter.headers.items() if name.lower() not in left_out}
    body = b64encode(letter.body).decode()
    return {"path": "/wechat/pay/notify", "headers": headers, "body": body, "fine": [204]}


def request(who: Buyer | Operator, path: str, body: Any = None, fine: tuple[int, ...] = (200,)) -> Deed:
    """Somebody asks, under a key of its own."""
    headers = {**who.headers, "idempotency-key": secrets.token_hex(8)}
    if body is None:
        return {"path": path, "headers": headers, "fine": list(fine)}
    headers["content-type"] = "application/json"
    content = b64encode(json.dumps(body).encode()).decode()
    return {"path": path, "headers": headers, "body": content, "fine": list(fine)}
