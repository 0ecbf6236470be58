"""A till: the shop's database and gateway, and bills that are put into it as if WeChat had sent them."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from world import World

from kit.clock import ManualClock
from kit.database import Database
from payments.reconciliation import days, download, keeping, wanting
from payments.reconciliation.models import BillKind, DayState
from payments.wechatpay.gateway import Gateway
from shop.app import ShopPayee, gateway_of
from shop.settings import Settings


@dataclass
class Till:
    db: Database
    sql: Any
    gateway: Gateway
    clock: ManualClock

    async def want(self, day: date) -> None:
        async with self.db.begin() as session:
            await wanting.ask_for(session, day, self.clock.now(), due=self.clock.now())

    async def put(self, day: date, kind: BillKind, pieces: Iterable[bytes]) -> None:
        """As `download.fetch` does with what WeChat sends."""
        with download.Spool() as spool:
            for piece in pieces:
                spool.write(piece)
            spool.close()
            await keeping.keep(self.db, self.clock, day, kind, spool)

    async def match(self, day: date) -> DayState:
        return await days.match(self.db, self.gateway, ShopPayee(), self.clock, day)

    async def open(self, day: date) -> set[tuple[str, str]]:
        """What differs, as kind and reference."""
        rows = await self.sql.fetch(
            "SELECT kind, reference FROM bill_difference WHERE day = $1 AND gone_at IS NULL", day
        )
        return {(row["kind"], row["reference"]) for row in rows}

    async def cases(self) -> set[tuple[str, str]]:
        """The open ones."""
        rows = await self.sql.fetch("SELECT kind, reference FROM payment_exception WHERE resolved_at IS NULL")
        return {(row["kind"], row["reference"]) for row in rows}


@asynccontextmanager
async def opened(
    settings: Settings, db: Database, sql: Any, clock: ManualClock, world: World, folder: Path
) -> AsyncIterator[Till]:
    """On the sixth of March 2026, about noon in Beijing."""
    world.heal()
    gateway = gateway_of(world.connected(settings, "http://127.0.0.1:9", folder))
    clock.advance(datetime(2026, 3, 6, 4, 0, tzinfo=UTC) - clock.now())
    yield Till(db, sql, gateway, clock)
    await gateway.close_connections()
