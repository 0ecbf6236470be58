"""Carts of all who ask at the same moment: read, or added to, together."""

from collections.abc import Sequence

import asyncpg

from kit.batching import Batching, Waiting
from kit.database import Database, raw
from kit.gathering import Gathering
from shop.cart import basket, view
from shop.cart.view import EMPTY, Cart, More


class Carts:
    """One for each process."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._reads: Gathering[int, Cart] = Gathering(self._read)
        self._adds: Batching[More, Cart | None] = Batching(self._add, owner=lambda more: more.member_id)

    async def whole(self, member_id: int) -> Cart:
        """Raises `DatabaseUnavailable`."""
        return await self._reads.get(member_id) or EMPTY

    async def add(self, more: More) -> Cart:
        """The whole cart with so much more in it. Raises what `basket.add` raises, and `DatabaseUnavailable`."""
        cart = await self._adds.do(more)
        if cart is None:
            async with self._db.begin() as session:
                await basket.add(session, more.member_id, more.sku_id, more.quantity, more.at)
                cart = await view.whole(await raw(session), more.member_id)
        return cart

    async def _read(self, member_ids: Sequence[int]) -> dict[int, Cart]:
        async with self._db.bare() as connection:
            return await view.read(connection, member_ids)

    async def _add(self, batch: Sequence[Waiting[More, Cart | None]]) -> None:
        try:
            async with self._db.bare() as connection:
                carts = await view.with_more(connection, [one.ask for one in batch])
        except asyncpg.IntegrityConstraintViolationError:  # of one of them: each is decided by itself
            carts = {}
        for one in batch:
            one.tell(carts.get(one.ask.member_id))
