"""Which SKUs have moved lately: the end of the log of stock moves is read a few times a second, while somebody asks.

Context: stock that is shown is younger than a second, and few of the pages that are shown have sold anything in that
second. Decision: what did not move is as it was; what moved is read with the look that finds it, and its product's other
SKUs too, so that every sum on a page can be made again without another question. The log has an entry for each change of a
counter, written by the transaction that changes it (`catalog.movements`), under a number that is drawn while the stock's
row is locked. Numbers become visible out of order, so the reading begins again at the last number below which every
transaction had ended. Consequence: a transaction that is open for long makes the readings longer, and at last breaks the
flow; then stock is read for each page, as before it began. Alternative: NOTIFY from each order, whose commits would wait
for each other.
"""

import sys
import time
from collections import ChainMap
from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import BigInteger
from sqlalchemy.dialects.postgresql import ARRAY

from catalog.models import DEFAULT_LOCATION
from kit.database import Database
from kit.gathering import Gathering
from kit.statement import Statement

_MOST: Final = 20_000
"""Moves that are read at once, and SKUs that are remembered as moved."""
_FEW: Final = 500
"""When more than so many have moved since the last look, their stock is read for the pages that are asked for."""
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
_HELD: Final = 3_000
"""SKUs of which is remembered what there is, twice: those read lately, and those before. Lists are asked for often."""
_FAMILIES: Final = Statement(
    """
    SELECT s.id, coalesce(t.available, 0) AS pieces FROM sku moved JOIN sku s ON s.product_id = moved.product_id
    LEFT JOIN stock t ON t.sku_id = s.id AND t.location_id = :location
    WHERE moved.id = ANY(:skus)
    """,
    skus=ARRAY(BigInteger),
)
_NEVER: Final = sys.maxsize


class Flow:
    """Looks are counted. What was read after a look had ended has what that look saw, and perhaps more."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._looks: Gathering[None, bool] = Gathering(self._look, at_once=1)
        self._low: int | None = None
        """Every move below this one was seen, or will never be there."""
        self._above: set[int] = set()
        """Moves that were seen, from there on."""
        self._waiting: list[tuple[int, int]] = []
        """Moves, each with the transaction before which all have to end until it can be the lowest."""
        self._moved: dict[int, int] = {}
        """The last look that saw a SKU move."""
        self._since = _NEVER
        """What was read before this look may have moved unseen."""
        self.pieces: ChainMap[int, int] = ChainMap({}, {})
        """What was there at `at` of some SKUs that moved, and of those that are sold with them."""
        self.at = float("-inf")
        """Up to when all is known (`time.monotonic`)."""
        self.turn = 0
        """The last look."""
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

    def moved(self, skus: Collection[int], turn: int) -> Collection[int] | None:
        """Which of these are not as they were read after the look `turn` had ended, or may not be; `None`: nobody knows."""
        if turn < self._since:
            return None
        moved = self._moved
        if moved.keys().isdisjoint(skus):
            return ()
        return {sku for sku in skus if moved.get(sku, turn) > turn}

    async def _look(self, _: list[None]) -> dict[None, bool]:
        try:
            at = time.monotonic()
            async with self._db.bare() as connection:
                if self._low is None:
                    ((ends, self._low),) = await _LAST.fetch(connection)
                    self._waiting = [(self._low, ends)]
                ((oldest, ends, ids, skus),) = await _MOVED.fetch(connection, low=self._low, most=_MOST)
                new = {sku for move, sku in zip(ids, skus, strict=True) if move not in self._above}
                rows: Sequence[Any] = ()
                if 0 < len(new) <= _FEW:
                    rows = await _FAMILIES.fetch(connection, skus=sorted(new), location=DEFAULT_LOCATION)
            self._learn_pieces(new, dict(rows))
            self._learn(at, oldest, ends, ids, new)
        finally:
            self.expected = False
        return {None: True}

    def _learn(self, at: float, oldest: int, ends: int, ids: list[int], new: set[int]) -> None:
        """`oldest`: transactions before this one have ended. `ends`: this one and later ones have not begun."""
        self.at = at
        self.turn += 1
        lost = ids[:1] != [self._low] and self._low != 0  # emptied, or another database than it was
        if lost or len(ids) == _MOST or len(self._moved) + len(new) > _MOST:
            self._begin_anew()
            return
        self._moved.update(dict.fromkeys(new, self.turn))
        self._rise(oldest)
        self._above = {move for move in ids if move >= (self._low or 0)}
        if ids and (not self._waiting or self._waiting[-1][0] < ids[-1]):
            self._waiting.append((ids[-1], ends))

    def _learn_pieces(self, new: set[int], found: dict[int, int]) -> None:
        """What did not move is as it was; of what moved, only what was read after it had."""
        lately, before = self.pieces.maps
        for sku in new:
            lately.pop(sku, None)
            before.pop(sku, None)
        if len(lately) > _HELD:
            lately, before = {}, lately
        lately.update(found)
        self.pieces = ChainMap(lately, before)

    def _rise(self, oldest: int) -> None:
        over = [move for move, ends in self._waiting if ends <= oldest]
        if over:
            self._low = max(over)
            self._waiting = [(move, ends) for move, ends in self._waiting if ends > oldest]
            self._since = min(self._since, self.turn)

    def _begin_anew(self) -> None:
        self._low = None
        self._above, self._moved, self.pieces = set(), {}, ChainMap({}, {})
        self._since = _NEVER
