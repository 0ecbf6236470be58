"""Orders are placed together: those that wait at the same moment are priced and written by the same few statements.

Context: an order costs some fifteen statements and a commit; when many come at once, round trips and commits are what
they wait for. Decision: this is an edge that owns the transactions of a batch. A batch is read (`drafts`), decided
order by order, and written by one statement that is its own transaction (`inking`); each is answered after the commit.
Nobody is made to wait for company: what comes while a batch is under way is the next one. Consequence: where a batch
fails as a whole, each of its orders is tried by itself, so that none bears another's fault; when goods are short, those
who came first get them. Alternative: a transaction for each order, which is what a batch of one is.
"""

from collections.abc import Sequence
from typing import Any, Final

import asyncpg
import structlog

from catalog import movements
from catalog.models import DEFAULT_LOCATION
from catalog.stock import OutOfStock
from kit.batching import Batching, Waiting
from kit.database import Database
from kit.errors import Problem
from kit.idempotency import StillRunning
from shop.orders import drafts, inking
from shop.orders.drafts import Ask, Draft, Placed

log = structlog.get_logger()

MOST: Final = 64
"""Orders in a batch."""
_TRIES: Final = 3

Asked = Waiting[Ask, Placed]


class Placing:
    """One for each process."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._batching: Batching[Ask, Placed] = Batching(self._deal, owner=_member, crowd=_wanted, most=MOST)

    async def place(self, ask: Ask) -> Placed:
        """Place the order or change nothing: goods reserved, prices and address kept, the log begun.

        Raises `PriceChanged` (409, with `considered`), `OutOfStock` (409), `KeyReused` (422), `StillRunning` (409), what
        `checkout.judge` finds, and `DatabaseUnavailable` (503): then it may have been placed, and the same key tells.
        """
        return await self._batching.do(ask)

    async def _deal(self, batch: Sequence[Asked]) -> None:
        """Answer everybody; where one of them is to blame, each by itself."""
        try:
            async with self._db.bare() as connection:
                await _together(connection, batch)
        except asyncpg.IntegrityConstraintViolationError as error:
            log.info("orders one by one", batch=len(batch), constraint=error.constraint_name)
            for asked in batch:
                await self._alone(asked)

    async def _alone(self, asked: Asked) -> None:
        """A batch of one; again when the same key was being used by another process, whose answer is then there."""
        for _ in range(_TRIES):
            try:
                async with self._db.bare() as connection:
                    await _together(connection, [asked])
            except asyncpg.UniqueViolationError as error:
                if error.constraint_name != "pk_idempotency_key":
                    asked.refuse(error)
            except (Problem, asyncpg.PostgresError) as error:
                asked.refuse(error)
            if asked.told:
                return
        asked.refuse(StillRunning())


def _member(ask: Ask) -> int:
    return ask.member.member_id


def _wanted(ask: Ask) -> int | None:
    """Who wants the same thing first of all is of one crowd; what is in carts is as different as they are."""
    return ask.wish.lines[0][0] if ask.wish.lines else None


async def _together(connection: Any, batch: Sequence[Asked]) -> None:
    """Again when a cart among them was emptied meanwhile: it is read anew, and whoever wanted it is told of what is left."""
    for _ in range(_TRIES):
        try:
            await _once(connection, batch)
        except inking.CartEmptied:
            continue
        return
    for asked in batch:
        asked.refuse(StillRunning())


async def _once(connection: Any, batch: Sequence[Asked]) -> None:
    drawn = await drafts.draw(connection, [asked.ask for asked in batch])
    ready: list[tuple[Asked, Draft]] = []
    refused: list[tuple[Asked, Placed | Problem]] = []
    for asked, draft in zip(batch, drawn, strict=True):
        if isinstance(draft, Draft):
            ready.append((asked, draft))
        else:
            refused.append((asked, draft))
    if ready and not await inking.write(connection, [draft for _, draft in ready]):
        async with connection.transaction():
            ready, late = await _who_came_first(connection, ready)
            refused += late
            if ready:
                written = await inking.write(connection, [draft for _, draft in ready])
                assert written, "the rows are locked, and there is enough"
    for asked, known in refused:
        if isinstance(known, Placed):
            asked.tell(known)
        else:
            asked.refuse(known)
    for asked, draft in ready:
        asked.tell(draft.placed)


async def _who_came_first(
    connection: Any, ready: Sequence[tuple[Asked, Draft]]
) -> tuple[list[tuple[Asked, Draft]], list[tuple[Asked, Placed | Problem]]]:
    """Lock the stock rows and give to each what it wants while there is enough; beside those served, what the others are
    to be told is left. Not before the commit: where that fails, they may be served after all."""
    skus = sorted({line.sku_id for _, draft in ready for line in draft.quote.lines})
    left = dict(await movements.LOCK.fetch(connection, location=DEFAULT_LOCATION, skus=skus))
    served: list[tuple[Asked, Draft]] = []
    late: list[tuple[Asked, Placed | Problem]] = []
    for asked, draft in ready:
        lines = draft.quote.lines
        short = [
            {"skuId": str(line.sku_id), "wanted": line.quantity, "available": left.get(line.sku_id, 0)}
            for line in sorted(lines, key=lambda line: line.sku_id)
            if left.get(line.sku_id, 0) < line.quantity
        ]
        if short:
            late.append((asked, OutOfStock(items=short)))
            continue
        for line in lines:
            left[line.sku_id] -= line.quantity
        served.append((asked, draft))
    return served, late
