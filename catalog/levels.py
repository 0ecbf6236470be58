"""How much there is of some SKUs, for many who ask at once: one statement on the narrow stock table for all of them."""

import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy.dialects.postgresql import ARRAY

from catalog.models import DEFAULT_LOCATION
from kit.database import Database
from kit.gathering import Gathering
from kit.statement import Statement

_LEVELS = Statement(
    "SELECT sku_id, available FROM stock WHERE location_id = :location AND sku_id = ANY(:skus) AND available > 0",
    skus=ARRAY(BigInteger),
)

Skus = tuple[int, ...]


class Reading:
    """Pieces by SKU at the moment `at` (`time.monotonic`), of the SKUs asked for and perhaps others; none: 0."""

    __slots__ = ("at", "pieces")

    def __init__(self, at: float, pieces: dict[int, int]) -> None:
        self.at = at
        self.pieces = pieces


class Levels:
    """Reads the default location's stock, never older than the call."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._gathering: Gathering[Skus, Reading] = Gathering(self._read, at_once=1)  # fewer and larger statements

    async def of(self, skus: Skus) -> Reading:
        """Raises `DatabaseUnavailable`."""
        reading = await self._gathering.get(skus)
        assert reading is not None
        return reading

    async def _read(self, wanted: Sequence[Skus]) -> dict[Skus, Reading]:
        at = time.monotonic()
        skus = sorted({sku for some in wanted for sku in some})
        async with self._db.bare() as connection:
            rows: list[Any] = await _LEVELS.fetch(connection, location=DEFAULT_LOCATION, skus=skus)
        reading = Reading(at, dict(rows))
        return dict.fromkeys(wanted, reading)
