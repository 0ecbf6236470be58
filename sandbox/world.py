"""Everything the routes share: keys, clock, state, knobs, and what has been refused lately."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox import keyring, knobs
from sandbox.clock import Clock
from sandbox.database import Database
from sandbox.faults import Faults
from sandbox.keyring import Account, Keyring
from sandbox.knobs import Knobs


@dataclass
class World:
    """One simulated WeChat. Used from one thread, the event loop's."""

    folder: Path
    base_url: str
    keys: Keyring
    clock: Clock
    db: Database
    knobs: Knobs
    faults: Faults = field(default_factory=Faults)
    signature_failures: deque[dict[str, object]] = field(default_factory=lambda: deque(maxlen=100))
    calls: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=300))
    tickets: dict[str, Any] = field(default_factory=dict)
    """What download addresses open; forgotten at a restart, as they live for minutes only."""
    nonces: deque[str] = field(default_factory=lambda: deque(maxlen=10_000))
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever something may have become due: a new notice, a refund, a jump of the clock."""

    def keep_knobs(self) -> None:
        """Remember the knobs and let the clockwork look again."""
        knobs.keep(self.db, self.knobs)
        self.changed.set()


def open_world(
    folder: Path,
    base_url: str,
    *,
    app_id: str | None = None,
    app_secret: str | None = None,
    account: Account | None = None,
) -> World:
    """Enter the world that lives in ``folder``, making it when there is none yet."""
    db = Database(folder / "state.sqlite3")
    return World(
        folder=folder,
        base_url=base_url,
        keys=keyring.keep(folder, app_id=app_id, app_secret=app_secret, account=account),
        clock=Clock(folder / "clock"),
        db=db,
        knobs=knobs.load(db),
    )
