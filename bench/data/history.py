"""Orders in bulk: two years of them, mostly done, or many that await their payment; and the way back.

Everything that belongs to an order is written as the shop would have: its lines, log, stock moves, payment, posting and
parcel, in one transaction for each batch.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from bench.data.goods import follow
from bench.data.people import APP_ID
from bench.size import Size

BATCH = 50_000
_SQL = Path(__file__).parent


def _statements(name: str) -> list[str]:
    return [part for part in (_SQL / name).read_text(encoding="utf-8").split(";\n") if part.strip()]


async def past(
    connection: Any,
    size: Size,
    mchid: str,
    batches: range,
    done: Callable[[], None] = lambda: None,
    *,
    before: int = 0,
) -> None:
    """Orders of the last two years: those of `batches`, of all that `size` wants; their ids follow on `before`.

    The newest are unpaid, to be shipped and on their way; one in twelve was cancelled. Several connections may each
    write some of the batches. `follow` must be called at the end.
    """
    await _prepare(connection)
    for batch in batches:
        ids = before + batch * BATCH + 1, before + min((batch + 1) * BATCH, size.orders)
        await _write(connection, "history", ids, (before, size.orders), size, mchid)
        done()


async def awaiting(connection: Any, orders: int, size: Size, mchid: str) -> list[tuple[str, int, str]]:
    """Place `orders` with an open payment each; returns (out_trade_no, fen, openid of the payer) of them."""
    before = int(await connection.fetchval("SELECT coalesce(max(id), 0) FROM orders"))
    await _prepare(connection)
    for first in range(before + 1, before + orders + 1, BATCH):
        last = min(first + BATCH - 1, before + orders)
        await _write(connection, "awaiting", (first, last), (before, orders), size, mchid)
    await follow(connection, "orders")
    rows = await connection.fetch(
        "SELECT p.out_trade_no, p.amount_fen, p.openid FROM orders o JOIN payment p ON p.payable = o.no AND p.state = 'open'"
        " WHERE o.id > $1",
        before,
    )
    return [(row[0], row[1], row[2]) for row in rows]


async def cancel_unpaid(connection: Any) -> None:
    """Cancel what the runs before left unpaid, so that no member meets the limit of unpaid orders."""
    async with connection.transaction():
        for statement in _statements("cancel.sql"):
            await connection.execute(statement)


async def _prepare(connection: Any) -> None:
    await connection.execute((_SQL / "number.sql").read_text(encoding="utf-8"))


async def _write(
    connection: Any,
    kind: Literal["history", "awaiting"],
    ids: tuple[int, int],
    of: tuple[int, int],
    size: Size,
    mchid: str,
) -> None:
    """One batch: orders of these ids, which are part `of` (last id before, how many)."""
    facts = {
        "kind": kind,
        "first": ids[0],
        "last": ids[1],
        "of_first": of[0],
        "of_count": of[1],
        "skus": size.skus,
        "members": size.members,
        "signed_in": size.signed_in,
        "mchid": mchid,
        "appid": APP_ID,
    }
    async with connection.transaction():
        for name, value in facts.items():
            await connection.execute("SELECT set_config('bench.' || $1, $2, true)", name, str(value))
        for statement in _statements("orders.sql"):
            await connection.execute(statement)
