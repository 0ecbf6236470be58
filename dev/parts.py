"""The programs of a run: started with a keeper and a log each, awaited, watched, stopped."""

import http.client
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from signal import SIGTERM

from dev.folder import Folder
from dev.kept import Kept, Wish
from dev.stopping import Stopping
from dev.trouble import Trouble

_READY_SECONDS = 60.0
_TAIL_LINES = 15
_STOPS = ((SIGTERM, 15.0),)  # a server lets its requests finish, a worker its job


class Part:
    """One program of ours, running."""

    def __init__(self, name: str, module: list[str], folder: Folder, environment: Mapping[str, str]) -> None:
        self.name = name
        self._log = folder.log(name)
        with self._log.open("wb") as log:
            argv = [sys.executable, "-m", *module]
            self._kept = Kept(Wish(argv=argv, log=log, env=environment, stops=_STOPS, hold=[folder.hold]))

    def answers(self, port: int, path: str, stopping: Stopping) -> None:
        """Return when ``GET path`` on the port is answered with 200. Raises Trouble, Stopped."""
        deadline = time.monotonic() + _READY_SECONDS
        while not is_ok(port, path):
            self.must_run()
            if time.monotonic() > deadline:
                raise Trouble(f"`{self.name}` did not answer {path} within {_READY_SECONDS:.0f} s.{self._last_words()}")
            stopping.pause(0.03)
        self.must_run()  # somebody else may have answered in its place

    def finishes(self, stopping: Stopping) -> None:
        """Return when the program is done. Raises Trouble if it failed, Stopped."""
        while self._kept.wait(0.03) is None:
            stopping.check()
        if self._kept.exit_code() != 0:
            raise Trouble(f"`{self.name}` failed (exit code {self._kept.exit_code()}).{self._last_words()}")

    def must_run(self) -> None:
        """Raise Trouble if the program ended."""
        if self._kept.exit_code() is not None:
            raise Trouble(f"`{self.name}` ended by itself (exit code {self._kept.exit_code()}).{self._last_words()}")

    def ask_to_stop(self) -> None:
        """Begin to stop it."""
        self._kept.ask_to_stop()

    def stop(self) -> None:
        """Return when it is gone."""
        self._kept.stop()

    def _last_words(self) -> str:
        return last_words(self._log)


def last_words(log: Path) -> str:
    """Return the end of a log, ready to follow a sentence."""
    try:
        lines = log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
    except OSError:
        lines = []
    return "".join(f"\n    {line}" for line in [f"The end of {log}:", *lines])


def is_ok(port: int, path: str) -> bool:
    """Return whether a local server answers 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
