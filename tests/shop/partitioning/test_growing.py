"""`docs/growing.md` tells what is so: the rows an order leaves, and what the models say about sharding."""

import re
from collections.abc import Iterable

from cast import Shop
from sqlalchemy import UniqueConstraint
from world import ROOT

from kit import jobs
from kit.database import Table
from shop import schema

_PAGE = (ROOT / "docs" / "growing.md").read_text(encoding="utf-8")


def _section(heading: str) -> str:
    found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#|\Z)", _PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None, heading
    return found[2]


def _after(words: str) -> list[str]:
    """The names listed in the first paragraph after these words."""
    return re.findall(r"`([^`]+)`", _PAGE.split(words, 1)[1].strip().split("\n\n")[0])


def _places() -> dict[str, str]:
    rows = re.findall(r"^\| (.+?) \| (`.+`) \|$", _section("Where each table would lie"), re.MULTILINE)
    listed = [(table, where) for where, tables in rows for table in re.findall(r"`(\w+)`", tables)]
    assert len(listed) == len(dict(listed)), "a table is listed twice"
    return dict(listed)


def _columns() -> dict[str, str]:
    """The distribution column of each table that has one."""
    found = {table: re.fullmatch(r"by `(\w+)`", where) for table, where in _places().items()}
    return {table: "id" if table == "member" else match[1] for table, match in found.items() if match}


def _uniques(table: str) -> Iterable[tuple[str, ...]]:
    model = Table.metadata.tables[table]
    yield from (tuple(c.name for c in u.columns) for u in model.constraints if isinstance(u, UniqueConstraint))
    yield from (tuple(c.name for c in index.columns) for index in model.indexes if index.unique)


def test_every_table_has_a_place() -> None:
    schema.load_models()
    assert set(_places()) == set(Table.metadata.tables)


def test_what_lacks_the_distribution_column_is_listed() -> None:
    schema.load_models()
    tables, columns = Table.metadata.tables, _columns()
    without = {table for table, column in columns.items() if column not in tables[table].c}
    assert _after("have no such column today; each would carry it from its parent:") == sorted(without)
    keys = {table for table, column in columns.items() if column not in tables[table].primary_key.columns}
    assert _after("Primary keys that would have to take the distribution column in:") == sorted(keys)
    uniques = {
        f"{table} ({', '.join(unique)})"
        for table, column in columns.items()
        for unique in _uniques(table)
        if column not in unique
    }
    assert _after("and a sharded one only within a member's shard:") == sorted(uniques)


def test_no_foreign_key_joins_two_places() -> None:
    schema.load_models()
    places = _places()
    crossing = [
        (name, key.target_fullname)
        for name, table in Table.metadata.tables.items()
        for key in table.foreign_keys
        if places[key.column.table.name] not in (places[name], "on every node (reference)")
    ]
    assert crossing == []


async def test_an_order_leaves_the_rows_that_the_page_lists(shop: Shop) -> None:
    tables = [*Table.metadata.tables, *jobs.TABLES]

    async def count() -> dict[str, int]:
        return {table: await shop.sql.fetchval(f'SELECT count(*) FROM "{table}"') for table in tables}

    operator, buyer = await shop.operator(), await shop.buyer("grows")
    skus = await shop.stocked(9, 9, 9)
    before = await count()
    no = await shop.paid_order(buyer, dict.fromkeys(skus, 1))
    shipped = await operator.post(f"/orders/{no}/ship", {"carrier": "SF", "trackingNo": "SF1234567890123"})
    received = await buyer.post(f"/orders/{no}/confirm", {})
    assert (shipped.status_code, received.json()["state"]) == (200, "completed")
    after = await count()
    told = re.findall(r"^\| `(\w+)` \| (\d+) \|", _section("What grows"), re.MULTILINE)
    assert {t: after[t] - before[t] for t in tables if after[t] != before[t]} == {t: int(n) for t, n in told}
