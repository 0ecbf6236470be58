"""A rush after a quiet night: what each notification reads does not grow with those who wait beside it.

The planner knows the tables of the night, when hardly any order was unpaid, and on a million orders learns of the others
only after a hundred thousand changes.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import msgspec
from cast import Shop
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from kit.idempotency import intent
from payments import bulk, charges, notices, underway
from payments.trades import Trade
from shop.orders import payee, paying

KEPT, RUSH = 4000, 4000
MOST = 100
"""Rows that one step of a plan may read for three notifications."""
_CLONE = """
    INSERT INTO {table} OVERRIDING SYSTEM VALUE
    SELECT made.* FROM {table} t, generate_series($1::bigint, $1 + $2 - 1) AS n,
        jsonb_populate_record(t, $3::jsonb || jsonb_build_object({unique})) AS made WHERE {of}
"""
_UNIQUE = {
    "member": "'id', 1000000 + n",
    "orders": "'id', 1000000 + n, 'no', 'N' || n, 'member_id', 1000000 + n",
    "payment": "'id', 1000000 + n, 'out_trade_no', 'P' || n, 'payable', 'N' || n",
    "notice": "'id', 'L' || n",
}


async def _clone(shop: Shop, table: str, first: int, count: int, of: str, **changed: Any) -> None:
    statement = _CLONE.format(table=table, unique=_UNIQUE[table], of=of)
    await shop.sql.execute(statement, first, count, json.dumps(changed))


class Explained:
    """A connection, or a session, on which statements are explained instead of answered."""

    def __init__(self, sql: Any) -> None:
        self.sql = sql
        self.read: list[tuple[str, float]] = []
        """How many rows each step of their plans has read."""

    async def fetch(self, statement: str, *given: Any) -> list[Any]:
        told = await self.sql.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *given)
        self.read += _steps(json.loads(told)[0]["Plan"])
        return []

    async def scalars(self, statement: Any) -> list[Any]:
        compiled = statement.compile(dialect=dialect(), compile_kwargs={"render_postcompile": True})
        return await self.fetch(str(compiled), *(compiled.params[name] for name in compiled.positiontup))


def _steps(plan: dict[str, Any]) -> Iterator[tuple[str, float]]:
    removed = sum(value for name, value in plan.items() if name.startswith("Rows Removed by"))
    name = " ".join(str(plan.get(word, "")) for word in ("Node Type", "Relation Name", "Index Name"))
    yield name, (plan["Actual Rows"] + removed) * plan["Actual Loops"]
    for part in plan.get("Plans", []):
        yield from _steps(part)


async def test_a_notification_reads_its_own_order_whoever_else_waits(shop: Shop) -> None:
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(50)
    paid, waiting = await buyer.order({sku: 1}), await buyer.order({sku: 1})
    shop.world.pay(await buyer.prepay(paid))
    await shop.notify()
    await buyer.prepay(waiting)
    transaction = shop.sql.transaction()
    await transaction.start()
    try:
        await shop.sql.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        await _clone(shop, "member", 1, KEPT + RUSH, "t.id = 1")
        await _clone(shop, "orders", 1, KEPT, f"t.no = '{waiting}'", state="cancelled")
        await _clone(shop, "payment", 1, KEPT, f"t.payable = '{waiting}'", state="closed")
        await _clone(shop, "notice", 1, KEPT, "t.handled_at IS NOT NULL AND t.id NOT LIKE 'L%'")
        await shop.sql.execute("UPDATE orders SET state = 'cancelled' WHERE no = $1", waiting)
        await shop.sql.execute("UPDATE payment SET state = 'closed' WHERE payable = $1", waiting)
        await shop.sql.execute("ANALYZE orders, payment, notice")  # nobody waits
        await _clone(shop, "orders", KEPT + 1, RUSH, f"t.no = '{waiting}'", state="unpaid")
        await _clone(shop, "payment", KEPT + 1, RUSH, f"t.payable = '{waiting}'", state="open")
        await _clone(
            shop,
            "notice",
            KEPT + 1,
            RUSH,
            "t.handled_at IS NOT NULL AND t.id NOT LIKE 'L%'",
            handled_at=None,
            outcome=None,
        )
        explained = Explained(shop.sql)
        await _ask_for_three(shop, explained)
        assert [step for step in explained.read if step[1] > MOST] == []
    finally:
        await transaction.rollback()


async def _ask_for_three(shop: Shop, explained: Explained) -> None:
    mine = range(KEPT + 1, KEPT + 4)
    payment = await shop.sql.fetchrow("SELECT * FROM payment WHERE payable = 'N1'")
    letters, receipts = [], []
    for n in mine:
        fen = {"total": payment["amount_fen"], "currency": payment["currency"]}
        known = {"mchid": payment["mchid"], "appid": payment["appid"], "payer": {"openid": payment["openid"]}}
        trade = {"out_trade_no": f"P{n}", "trade_state": "SUCCESS", "transaction_id": f"T{n}", "amount": fen, **known}
        letters.append(bulk.Paid(f"L{n}", msgspec.convert(trade, Trade), payment["created_at"]))
        receipts.append(bulk._receipt(letters[-1], f"N{n}"))
    await bulk._lock(explained, letters)
    await payee.paid_together(explained, receipts, payment["created_at"])
    await underway.attempts(explained, [f"N{n}" for n in mine])  # type: ignore[arg-type]
    letter: Any = SimpleNamespace(id=f"L{mine[0]}")
    await explained.scalars(notices._failed(letter, "Unknown", payment["created_at"]))
    due = {
        "no": f"N{mine[0]}",
        "member_id": 1_000_000 + mine[0],
        "payable_until": payment["created_at"],
        "expected_fen": None,
    }
    sheet = charges.Sheet(description="x", openid=payment["openid"])
    wish = intent("member:1", "prepayOrder", "rush", None)
    with suppress(IndexError):  # what is only explained has no row
        await charges.begin_due(explained, paying._DUE, shop.worker.gateway, sheet, wish, payment["created_at"], **due)
