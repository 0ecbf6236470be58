"""Which SKUs have moved lately: the end of the log of stock moves is read a few times a second, while somebody asks.

Context: stock that is shown is younger than a second, and few of the pages that are shown have sold anything in that
second. Decision: what did not move is as it was; only what moved is read again. The log has an entry for each change of a
counter, written by the transaction that changes it (`catalog.movements`), under a number that is drawn while the stock's
row is locked. Numbers become visible out of order, so the reading begins again at the last number below which every
transaction had ended. Consequence: a transaction that is open for long makes the readings longer, and at last breaks the
flow; then stock is read for each page, as before it began. Alternative: NOTIFY from each order, whose commits would wait
for each other.
"""

import time
from typing import Final

from kit.database import Database
from kit.gathering import Gathering
from kit.statement import Statement

_MOST: Final = 20_000
"""Moves that are read at once, and SKUs that are remembered as moved."""
_MOVED = Statement(
    """
    WITH moved AS MATERIALIZED (SELECT id, sku_id FROM stock_move WHERE id >= :low ORDER BY id LIMIT :most)
    SELECT pg_snapshot_xmin(s)::text::bigint, pg_snapshot_xmax(s)::text::bigint,
        ARRAY(SELECT id FROM moved ORDER BY id), ARRAY(SELECT sku_id FROM moved ORDER BY id)
    FROM pg_current_snapshot() s
    """
)
_LAST = Statement(
    """
    SELECT pg_snapshot_xmax(s)::text::bigint, (SELECT coalesce(max(id), 0) FROM stock_move)
    FROM pg_current_snapshot() s
    """
)
_NEVER: Final = float("inf")


class Flow:
    """Times are of `time.monotonic`."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._looks: Gathering[None, bool] = Gathering(self._look, at_once=1)
        self._low: int | None = None
        """Every move below this one was seen, or will never be there."""
        self._above: set[int] = set()
        """Moves that were seen, from there on."""
        self._waiting: list[tuple[int, int]] = []
        """Moves, each with the transaction before which all have to end until it can be the lowest."""
        self._moved: dict[int, float] = {}
        self._since = _NEVER
        """What was read before this may have moved unseen."""
        self.at = float("-inf")
        """Up to when all is known."""
        self.turn = 0
        """Counts the looks."""
        self.expected = False
        """A look is on its way."""

    async def look(self) -> None:
        """Raises `DatabaseUnavailable`."""
        self.expected = True
        await self._looks.get(None)

    def soon(self) -> None:
        """The same for who does not wait."""
        self.expected = True
        self._looks.soon(None)

    def holds(self, skus: tuple[int, ...], read_at: float) -> bool:
        """Whether what was read of these, beginning at `read_at`, was still so at `at`."""
        if read_at < self._since:
            return False
        moved = self._moved
        return moved.keys().isdisjoint(skus) or all(moved.get(sku, read_at) <= read_at for sku in skus)

    async def _look(self, _: list[None]) -> dict[None, bool]:
        try:
            at = time.monotonic()
            async with self._db.bare() as connection:
                if self._low is None:
                    ((ends, self._low),) = await _LAST.fetch(connection)
                    self._waiting = [(self._low, ends)]
                (found,) = await _MOVED.fetch(connection, low=self._low, most=_MOST)
            self._learn(at, *found)
        finally:
            self.expected = False
        return {None: True}

    def _learn(self, at: float, oldest: int, ends: int, ids: list[int], skus: list[int]) -> None:
        """`oldest`: transactions before this one have ended. `ends`: this one and later ones have not begun."""
        known_at = time.monotonic()
        self.at = at
        self.turn += 1
        new = {sku for move, sku in zip(ids, skus, strict=True) if move not in self._above}
        lost = ids[:1] != [self._low] and self._low != 0  # emptied, or another database than it was
        if lost or len(ids) == _MOST or len(self._moved) + len(new) > _MOST:
            self._begin_anew()
            return
        self._moved.update(dict.fromkeys(new, known_at))
        self._rise(oldest, known_at)
        self._above = {move for move in ids if move >= (self._low or 0)}
        if ids and (not self._waiting or self._waiting[-1][0] < ids[-1]):
            self._waiting.append((ids[-1], ends))

    def _rise(self, oldest: int, known_at: float) -> None:
        over = [move for move, ends in self._waiting if ends <= oldest]
        if over:
            self._low = max(over)
            self._waiting = [(move, ends) for move, ends in self._waiting if ends > oldest]
            self._since = min(self._since, known_at)

    def _begin_anew(self) -> None:
        self._low = None
        self._above, self._moved = set(), {}
        self._since = _NEVER
