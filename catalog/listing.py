"""The list of what is on sale: filter, search, sort, one page by keyset, in one statement.

The page is cut first, on keys alone; what its few products look like is looked up after. How much there is of each
is read with every answer (`catalog.pages`), not here.
"""

from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import Text

from catalog import search
from catalog.models import DEFAULT_LOCATION
from catalog.schemas import ProductItem, Sort
from kit.errors import invalid
from kit.paging import Page, decode_cursor, encode_cursor
from kit.statement import Statement


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

    @property
    def by_price(self) -> bool:
        """Whether prices decide what is in it, or where."""
        bounds = (self.min_price_fen, self.max_price_fen)
        return self.sort in ("price", "-price") or any(bound is not None for bound in bounds)


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

# A category and all below it, on three levels.
_CATEGORIES = """SELECT c.id FROM category c LEFT JOIN category u ON u.id = c.parent_id
        WHERE :category IN (c.id, c.parent_id, u.parent_id)"""
# OFFSET 0 keeps the planner from joining: it does not know how few a page holds, and would read all there are for a tenth.
_FILTERS = {
    "words": "p.search_vector @@ CAST(:words AS tsquery)",
    "category": f"p.category_id = ANY(ARRAY({_CATEGORIES}))",
    "min_price": "p.min_price_fen >= :min_price",
    "max_price": "p.min_price_fen <= :max_price",
    "in_stock": "EXISTS (SELECT FROM sku k JOIN stock s ON s.sku_id = k.id AND s.location_id = :location"
    " WHERE k.product_id = p.id AND k.enabled AND s.available > 0 OFFSET 0)",
}


@lru_cache(maxsize=256)
def _statement(sort: str, filters: tuple[str, ...], after: bool) -> Statement:
    """One of a few dozen fixed statements; nothing that a client sends becomes part of their text."""
    keys, grows = _SORTS[sort]
    where = ["p.status = 'on_sale'", *(_FILTERS[name] for name in filters)]
    if after:
        places = ", ".join(f"CAST(:key{i} AS bigint)" for i in range(len(keys)))
        where.append(f"({', '.join(keys)}) {'>' if grows else '<'} ({places})")
    way = "ASC" if grows else "DESC"
    chosen = ", ".join(f"{key} AS k{i}" for i, key in enumerate(keys))
    again = ", ".join(f"page.k{i} {way}" for i in range(len(keys)))
    apart = "category" in filters and "words" not in filters
    if apart:
        where[1 + filters.index("category")] = "p.category_id = c.id"
    found = f"""SELECT p.id, {chosen} FROM product p WHERE {" AND ".join(where)}
            ORDER BY {", ".join(f"{key} {way}" for key in keys)} LIMIT :fetch"""  # noqa: S608  (only our own constants)
    if apart:  # the first of each category, which an index knows, and of those the first: nothing else is read
        found = f"""SELECT f.* FROM ({_CATEGORIES}) c CROSS JOIN LATERAL ({found}) f
            ORDER BY {", ".join(f"f.k{i} {way}" for i in range(len(keys)))} LIMIT :fetch"""  # noqa: S608
    return Statement(
        f"""
        SELECT shown.*, ARRAY[{", ".join(f"page.k{i}" for i in range(len(keys)))}]::bigint[] AS keys
        FROM ({found}) page
        CROSS JOIN LATERAL (
            SELECT p.id, p.title, p.subtitle, coalesce(p.images ->> 0, '') AS image, p.min_price_fen, p.max_price_fen,
                p.list_price_fen, p.tags, p.sold,
                ARRAY(SELECT k.id FROM sku k WHERE k.product_id = p.id AND k.enabled ORDER BY k.id) AS skus
            FROM product p WHERE p.id = page.id OFFSET 0
        ) shown
        ORDER BY {again}
        """,  # noqa: S608
        words=Text,
        titled=Text,
    )


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


class Listed(msgspec.Struct, frozen=True):
    """A page, and the enabled SKUs of each of its products: their stock is what the items' `stock` has to say."""

    page: Page[ProductItem]
    skus: list[tuple[int, ...]]


async def read(connection: Any, wish: Wish, *, location: int = DEFAULT_LOCATION) -> Listed:
    """One page, `stock` 0 everywhere. Raises `InvalidInput` for a cursor of another list or sort."""
    sort: str = wish.sort
    filters = _filters(wish)
    given: dict[str, Any] = {"location": location, "fetch": wish.limit + 1}
    if wish.words is not None and wish.words.strip():
        found = search.queries(wish.words)
        if found is None:
            return Listed(Page([], None), [])
        filters["words"], titled = found
        if sort == "default":
            sort = "match"
            given["titled"] = titled
    if wish.cursor is not None:
        given |= _after(wish.cursor, sort)
    statement = _statement(sort, tuple(filters), wish.cursor is not None)
    rows = await statement.fetch(connection, **given, **filters)
    shown = rows[: wish.limit]
    more = len(rows) > wish.limit
    page = Page([_item(row) for row in shown], encode_cursor(sort, *shown[-1]["keys"]) if more else None)
    return Listed(page, [tuple(row["skus"]) for row in shown])


def _item(row: Any) -> ProductItem:
    tags: Any = msgspec.Raw(row["tags"].encode())  # goes out as it was written
    return ProductItem(
        id=str(row["id"]),
        title=row["title"],
        subtitle=row["subtitle"],
        image=row["image"],
        price_fen=row["min_price_fen"],
        max_price_fen=row["max_price_fen"],
        list_price_fen=row["list_price_fen"],
        tags=tags,
        sold=row["sold"],
        stock=0,
        sku_id=str(row["skus"][0]) if len(row["skus"]) == 1 else None,
    )
