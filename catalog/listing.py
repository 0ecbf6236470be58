"""The list of what is on sale: filter, search, sort, one page by keyset, in one statement.

The page is cut first, on keys alone; what its few products look like and have in stock is looked up after.
"""

from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import BigInteger, Text, TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from catalog import search
from catalog.models import DEFAULT_LOCATION
from catalog.schemas import ProductItem, Sort
from kit.errors import invalid
from kit.paging import Page, decode_cursor, encode_cursor


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a buyer wants to see; `None` means: no such filter. Prices in fen, both ends included."""

    words: str | None = None
    category_id: int | None = None
    min_price_fen: int | None = None
    max_price_fen: int | None = None
    in_stock: bool = False
    sort: Sort = "default"
    cursor: str | None = None
    limit: int = 20


# Sort keys, and whether they grow. The last is unique, and all of a sort run one way, so that a page begins where one
# row comparison says, and one index serves it.
_SORTS: dict[str, tuple[list[str], bool]] = {
    "default": (["p.priority", "p.sold", "p.id"], False),
    "match": (["(p.search_vector @@ CAST(:titled AS tsquery))::int", "p.sold", "p.id"], False),
    "price": (["p.min_price_fen", "p.id"], True),
    "-price": (["p.min_price_fen", "p.id"], False),
    "-sold": (["p.sold", "p.id"], False),
    "-new": (["p.id"], False),
}

_FILTERS = {
    "words": "p.search_vector @@ CAST(:words AS tsquery)",
    "category": "p.category_id = ANY(ARRAY(SELECT c.id FROM category c LEFT JOIN category u ON u.id = c.parent_id"
    " WHERE :category IN (c.id, c.parent_id, u.parent_id)))",
    "min_price": "p.min_price_fen >= :min_price",
    "max_price": "p.min_price_fen <= :max_price",
    "in_stock": "EXISTS (SELECT FROM sku k JOIN stock s ON s.sku_id = k.id AND s.location_id = :location"
    " WHERE k.product_id = p.id AND k.enabled AND s.available > 0)",
}

_TYPES: dict[str, Any] = {"words": Text, "titled": Text}


@lru_cache(maxsize=256)
def _statement(sort: str, filters: tuple[str, ...], after: bool) -> TextClause:
    """One of a few dozen fixed statements; nothing that a client sends becomes part of their text."""
    keys, grows = _SORTS[sort]
    where = ["p.status = 'on_sale'", *(_FILTERS[name] for name in filters)]
    if after:
        places = ", ".join(f"CAST(:key{i} AS bigint)" for i in range(len(keys)))
        where.append(f"({', '.join(keys)}) {'>' if grows else '<'} ({places})")
    way = "ASC" if grows else "DESC"
    chosen = ", ".join(f"{key} AS k{i}" for i, key in enumerate(keys))
    order = ", ".join(f"{key} {way}" for key in keys)
    again = ", ".join(f"page.k{i} {way}" for i in range(len(keys)))
    statement = text(
        f"""
        SELECT p.id::text, p.title, p.subtitle, coalesce(p.images ->> 0, ''), p.min_price_fen, p.max_price_fen,
               p.list_price_fen, p.tags, p.sold, held.stock::bigint, held.sku_id::text,
               ARRAY[{", ".join(f"page.k{i}" for i in range(len(keys)))}]
        FROM (
            SELECT p.id, {chosen} FROM product p WHERE {" AND ".join(where)} ORDER BY {order} LIMIT :fetch
        ) page
        JOIN product p ON p.id = page.id
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(s.available), 0) AS stock, CASE count(*) WHEN 1 THEN min(k.id) END AS sku_id
            FROM sku k LEFT JOIN stock s ON s.sku_id = k.id AND s.location_id = :location
            WHERE k.product_id = p.id AND k.enabled
        ) held
        ORDER BY {again}
        """  # noqa: S608  (only our own constants above)
    )
    named = {*statement._bindparams}  # noqa: SLF001  (the only way to ask which parameters the text names)
    return statement.bindparams(*(bindparam(name, type_=_TYPES.get(name, BigInteger)) for name in named))


def _filters(wish: Wish) -> dict[str, Any]:
    given = {
        "category": wish.category_id,
        "min_price": wish.min_price_fen,
        "max_price": wish.max_price_fen,
        "in_stock": wish.in_stock or None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _after(cursor: str, sort: str) -> dict[str, int]:
    keys = decode_cursor(cursor, (str, *(int for _ in _SORTS[sort][0])))
    if keys[0] != sort:
        raise invalid("cursor", "must be a nextCursor of the same list")
    return {f"key{i}": key for i, key in enumerate(keys[1:])}


async def list_products(session: AsyncSession, wish: Wish, *, location: int = DEFAULT_LOCATION) -> Page[ProductItem]:
    """One page. Raises `InvalidInput` for a cursor of another list or sort."""
    sort: str = wish.sort
    filters = _filters(wish)
    given: dict[str, Any] = {"location": location, "fetch": wish.limit + 1}
    if wish.words is not None and wish.words.strip():
        found = search.queries(wish.words)
        if found is None:
            return Page([], None)
        filters["words"], titled = found
        if sort == "default":
            sort = "match"
            given["titled"] = titled
    if wish.cursor is not None:
        given |= _after(wish.cursor, sort)
    statement = _statement(sort, tuple(filters), wish.cursor is not None)
    rows = (await session.execute(statement, given | filters)).all()
    items = [ProductItem(*row[:-1]) for row in rows[: wish.limit]]
    more = len(rows) > wish.limit
    return Page(items, encode_cursor(sort, *rows[wish.limit - 1][-1]) if more else None)
