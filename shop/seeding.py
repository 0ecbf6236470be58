"""`python -m shop seed`: what a shop needs before it opens, and believable things to sell. Harmless when repeated."""

import sys

import shop.admin.staff
import shop.shipping.templates
from catalog import demo
from kit.clock import Clock
from kit.database import Database
from kit.files import write_private
from shop.app import clock_of, database_of
from shop.settings import Settings


async def run(settings: Settings, *, products: int | None = None) -> None:
    """Seed. A newly made operator's sign-in is printed last, and kept in the data folder (0600)."""
    db, clock = database_of(settings, pool_size=2, name="shop-seed"), clock_of(settings)
    try:
        await demo.seed(db, clock, media_dir=settings.data_dir / "media", products=products)
        await _open_doors(db, clock, settings)
    finally:
        await db.close()


async def _open_doors(db: Database, clock: Clock, settings: Settings) -> None:
    async with db.begin() as session:
        await shop.shipping.templates.ensure_default(session)
        password = await shop.admin.staff.ensure_operator(session, clock.now())
        if password is not None:  # before the commit: an account whose password nobody has would be of no use
            write_private(settings.data_dir / "operator.txt", f"admin {password}\n")
    if password is not None:
        sys.stdout.write(f"operator: admin {password}\n")
