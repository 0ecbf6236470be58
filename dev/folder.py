"""The data folder: one run at a time, its marks, and the files other programs find it by."""

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Self

from dev.locks import Lock
from dev.trouble import Trouble

_EARLIER_RUN_SECONDS = 60.0  # the keepers of a killed run need this long at most to stop what they keep


class Folder:
    """The data folder, held by this run alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._run = Lock(path / "run.lock")
        self._parts = Lock(path / "parts.lock")  # inherited by the keepers: held until the last of them is done

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._refuse_a_strangers()
            with tempfile.TemporaryFile(dir=self.path):
                pass
            (self.path / "logs").mkdir(exist_ok=True, mode=0o700)
            alone = self._run.take()
        except OSError as error:
            raise Trouble(
                f"The data folder {self.path} cannot be written ({error.strerror}): set SHOP_DATA_DIR."
            ) from None
        if not alone:
            raise Trouble(f"A shop already runs in {self.path}{self._running_where()}: stop it, or set SHOP_DATA_DIR.")
        if not self._parts.take(_EARLIER_RUN_SECONDS):
            self._run.release()
            raise Trouble(f"Processes of an earlier run in {self.path} are still ending: try again in a moment.")
        self.not_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.not_ready()
        self._parts.release()
        self._run.release()

    @property
    def hold(self) -> int:
        """The descriptor each keeper holds, so that the next run waits until they are all done."""
        return self._parts.descriptor

    def log(self, name: str) -> Path:
        """Return the path of a fresh log; the last run's is kept beside it as ``.1``."""
        path = self.path / "logs" / f"{name}.log"
        with suppress(FileNotFoundError):
            path.replace(path.with_suffix(".log.1"))
        return path

    def ready(self, api: str, sandbox: str) -> None:
        """Write ``run.json``: whoever waits for this run finds it there, and only while it is ready."""
        facts = {"pid": os.getpid(), "api_url": api, "sandbox_url": sandbox, "ready": True}
        self.write("run.json", json.dumps(facts) + "\n")

    def not_ready(self) -> None:
        """Take back ``run.json`` and the database's address, which are true only while this runs."""
        for name in ("run.json", "database.env"):
            (self.path / name).unlink(missing_ok=True)

    def write(self, name: str, text: str) -> None:
        """Write a private file at once or not at all."""
        half = self.path / f"{name}.new"
        half.unlink(missing_ok=True)
        half.touch(mode=0o600)
        half.write_text(text, encoding="utf-8")
        half.replace(self.path / name)

    def _refuse_a_strangers(self) -> None:
        """Raise Trouble, above all for root, who could write here, but would leave files its user cannot."""
        lock = self.path / "run.lock"
        if lock.exists() and (owner := lock.stat().st_uid) != os.geteuid():
            raise Trouble(f"The data folder {self.path} is user {owner}'s: run as that user, or set SHOP_DATA_DIR.")

    def _running_where(self) -> str:
        try:
            return f" (its API is at {json.loads((self.path / 'run.json').read_text())['api_url']})"
        except (OSError, ValueError, KeyError):
            return ""
