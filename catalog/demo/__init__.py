"""A believable shop to look at, and as many products as one likes to try it at size. Nothing is downloaded."""

from pathlib import Path

from sqlalchemy import select, text

from catalog.demo import crowd, shelves
from catalog.models import Product
from kit.clock import Clock
from kit.database import Database

_ANY = select(Product.id).limit(1)
_ONE_SEEDS = text("SELECT pg_advisory_xact_lock(7260126002)")


async def seed(db: Database, clock: Clock, *, media_dir: Path, products: int | None) -> bool:
    """Fill an empty catalog, whole or not at all; then add variations until there are `products` of them.

    Does nothing to a catalog that has enough products already. Says whether anything was added.
    """
    filled = await _is_empty(db) and await _fill(db, clock, media_dir)
    added = await crowd.gather(db, clock.now(), wanted=products) if products else 0
    return filled or added > 0


async def _is_empty(db: Database) -> bool:
    async with db.begin() as session:
        return (await session.scalars(_ANY)).first() is None


async def _fill(db: Database, clock: Clock, media_dir: Path) -> bool:
    planned = shelves.plan(media_dir)
    async with db.begin() as session:
        await session.execute(_ONE_SEEDS)  # two at once: the second finds the shop filled
        if (await session.scalars(_ANY)).first() is not None:
            return False
        await shelves.fill(session, planned, clock.now())
    return True


__all__ = ["seed"]
