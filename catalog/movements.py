"""How pieces move: one statement for every verb of `catalog.stock`, which says what the verbs mean."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Text, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from kit.database import Instant
from kit.statement import Statement


class Want(msgspec.Struct, frozen=True):
    """So many pieces of a SKU."""

    sku_id: int
    quantity: int


PARAMETERS = (
    bindparam("skus", type_=ARRAY(BigInteger)),
    bindparam("quantities", type_=ARRAY(BigInteger)),
    bindparam("location", type_=BigInteger),
    bindparam("reason", type_=Text),
    bindparam("ref", type_=Text),
    bindparam("actor", type_=Text),
    bindparam("at", type_=Instant),
)

# `held` locks in order before `moved` touches anything; `moved` re-reads each row that another transaction has changed
# meanwhile, and finds it as locked. `a`, `r`, `s` are -1, 0 or 1: what a piece of `quantity` does to each counter.
_MOVE = text(
    """
    WITH wish AS MATERIALIZED (
        SELECT sku_id, quantity FROM unnest(:skus, :quantities) AS w(sku_id, quantity)
    ), held AS MATERIALIZED (
        SELECT sku_id, available FROM stock
        WHERE location_id = :location AND sku_id = ANY(:skus)
        ORDER BY sku_id FOR NO KEY UPDATE
    ), short AS MATERIALIZED (
        SELECT w.sku_id, w.quantity, coalesce(h.available, 0) AS available
        FROM wish w LEFT JOIN held h USING (sku_id)
        WHERE coalesce(h.available, 0) + w.quantity * :a < 0
    ), moved AS (
        UPDATE stock s
        SET available = s.available + w.quantity * :a, reserved = s.reserved + w.quantity * :r,
            sold = s.sold + w.quantity * :s
        FROM wish w
        WHERE s.sku_id = w.sku_id AND s.location_id = :location AND NOT EXISTS (SELECT FROM short)
        RETURNING s.sku_id, w.quantity
    ), logged AS (
        INSERT INTO stock_move
            (sku_id, location_id, delta_available, delta_reserved, delta_sold, reason, ref, actor, at)
        SELECT sku_id, :location, quantity * :a, quantity * :r, quantity * :s, :reason, :ref, :actor, :at
        FROM moved ORDER BY sku_id
        RETURNING 1
    )
    SELECT NULL::bigint AS sku_id, count(*) AS quantity, 0 AS available FROM logged
    UNION ALL
    SELECT sku_id, quantity, available FROM short
    """
).bindparams(*PARAMETERS, *(bindparam(name, type_=BigInteger) for name in "ars"))


# The same lock, check and update as `_MOVE`, for many orders in one statement of somebody else's: `short` is empty
# exactly when all has moved. Each part is a SKU of an order; the parts of one SKU are moved together. What else must hold
# is said by `unless`, which stands before: nothing moves when it has rows.
RESERVE = """
    part AS MATERIALIZED (
        SELECT * FROM unnest(:part_skus, :part_quantities, :part_refs, :part_actors, :part_ats)
            AS p (sku_id, quantity, ref, actor, at)
    ), wish AS MATERIALIZED (
        SELECT sku_id, sum(quantity)::bigint AS quantity FROM part GROUP BY sku_id
    ), held AS MATERIALIZED (
        SELECT sku_id, available FROM stock WHERE location_id = :location AND sku_id = ANY(:part_skus)
        ORDER BY sku_id FOR NO KEY UPDATE
    ), short AS MATERIALIZED (
        SELECT w.sku_id, false AS otherwise FROM wish w LEFT JOIN held h USING (sku_id)
        WHERE coalesce(h.available, 0) < w.quantity
        UNION ALL SELECT sku_id, true FROM unless
    ), moved AS (
        UPDATE stock s SET available = s.available - w.quantity, reserved = s.reserved + w.quantity
        FROM wish w WHERE s.sku_id = w.sku_id AND s.location_id = :location AND NOT EXISTS (SELECT FROM short)
    ), logged AS (
        INSERT INTO stock_move (sku_id, location_id, delta_available, delta_reserved, delta_sold, reason, ref, actor, at)
        SELECT sku_id, :location, -quantity, quantity, 0, 'reserve', ref, actor, at
        FROM part WHERE NOT EXISTS (SELECT FROM short)
    )"""

# What was reserved is sold, for many orders: `part` (SKU, quantity, ref) is there already. `sold` has each SKU once.
SELL = """
    wish AS MATERIALIZED (
        SELECT sku_id, sum(quantity)::bigint AS quantity FROM part GROUP BY sku_id
    ), held AS MATERIALIZED (
        SELECT sku_id FROM stock WHERE location_id = :location AND sku_id = ANY(ARRAY(SELECT sku_id FROM wish))
        ORDER BY sku_id FOR NO KEY UPDATE
    ), sold AS (
        UPDATE stock s SET reserved = s.reserved - w.quantity, sold = s.sold + w.quantity
        FROM wish w JOIN held USING (sku_id) WHERE s.sku_id = w.sku_id AND s.location_id = :location
        RETURNING s.sku_id
    ), logged AS (
        INSERT INTO stock_move (sku_id, location_id, delta_available, delta_reserved, delta_sold, reason, ref, actor, at)
        SELECT sku_id, :location, 0, -quantity, quantity, 'sell', ref, :actor, :at FROM part
    )"""

LOCK = Statement(
    """
    SELECT sku_id, available FROM stock WHERE location_id = :location AND sku_id = ANY(:skus)
    ORDER BY sku_id FOR NO KEY UPDATE
    """,
    skus=ARRAY(BigInteger),
)


def summed(wants: Sequence[Want]) -> dict[int, int]:
    """Quantities by SKU, ascending; two lines of one SKU count together."""
    total: dict[int, int] = {}
    for want in wants:
        if want.quantity <= 0:
            raise ValueError("a quantity is positive")
        total[want.sku_id] = total.get(want.sku_id, 0) + want.quantity
    return dict(sorted(total.items()))


async def move(
    session: AsyncSession, quantities: dict[int, int], deltas: tuple[int, int, int], reason: str, **told: Any
) -> list[Any]:
    """Rows of SKUs that are short; none when everything has moved."""
    if not quantities:
        return []
    a, r, s = deltas
    given = {"skus": list(quantities), "quantities": list(quantities.values()), "reason": reason, **told}
    moved, *short = (await session.execute(_MOVE, given | {"a": a, "r": r, "s": s})).all()
    if not short and moved.quantity != len(quantities):
        raise LookupError(f"{reason}: a SKU has no stock row")
    return short
