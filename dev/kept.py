"""The owner's side of a keeper: start a process that ends with us, ask whether it runs, stop it."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGTERM
from typing import IO

from dev import keeper

_KEEPER_GRACE_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Wish:
    """How a process is to be started and stopped.

    ``stops`` are (signal number, seconds) tried in turn before SIGKILL; ``prefix`` is a command the keeper itself is
    started through; ``give`` are descriptors for the process, ``hold`` for its keeper only.
    """

    argv: Sequence[str]
    log: IO[bytes]
    env: Mapping[str, str] | None = None
    stops: Sequence[tuple[int, float]] = ((SIGTERM, 10.0),)
    prefix: Sequence[str] = ()
    account: tuple[int, int] | None = None
    give: Sequence[int] = ()
    hold: Sequence[int] = field(default=())


class Kept:
    """A running process that cannot outlive us."""

    def __init__(self, wish: Wish) -> None:
        orders = keeper.Orders(argv=list(wish.argv), stops=list(wish.stops), give=list(wish.give), account=wish.account)
        self._patience = sum(seconds for _, seconds in wish.stops) + _KEEPER_GRACE_SECONDS
        self._keeper = subprocess.Popen(
            [*wish.prefix, sys.executable, "-I", "-S", str(Path(keeper.__file__).resolve()), json.dumps(orders)],
            stdin=subprocess.PIPE,
            stdout=wish.log,
            stderr=wish.log,
            env=wish.env,
            pass_fds=[*wish.give, *wish.hold],
            start_new_session=True,
        )

    def exit_code(self) -> int | None:
        """Return the process's exit code, or None while it runs."""
        return self._keeper.poll()

    def wait(self, seconds: float) -> int | None:
        """Wait up to ``seconds`` for the end and return the exit code, or None if it still runs."""
        try:
            return self._keeper.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def ask_to_stop(self) -> None:
        """Close the pipe: the keeper begins to stop the process. Returns at once."""
        if self._keeper.stdin is not None:
            self._keeper.stdin.close()

    def stop(self) -> None:
        """Stop the process and return when it is gone."""
        self.ask_to_stop()
        if self.wait(self._patience) is None:
            self._keeper.kill()  # the kernel then ends its child
            self._keeper.wait()
