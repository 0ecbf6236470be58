"""Members' own orders: those of all who ask at the same moment are read together; the owner stands in every WHERE.

Of a list, all but what the state means comes as JSON of the database's, which goes out as it came: twenty orders have
three hundred values. Of a single order only the lines do; the rest under the names of the tables' rows, which `views`
reads.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import ARRAY, BigInteger, Text

from kit.database import Database
from kit.gathering import Gathering
from kit.statement import Statement
from shop.orders.history import OrderNotFound
from shop.orders.models import AWAITING
from shop.orders.schemas import OrderAddress, OrderLineView, OrderView


class Listed(msgspec.Struct):
    """An order of a list. `pay_by` only of one that awaits its payment."""

    id: int
    state: str
    pay_by: datetime | None
    shown: bytes
    """JSON of an `OrderView`, without what `views` makes of the state, and without the lines; its times end in `+00:00`."""
    lines: bytes
    """A JSON array of `OrderLineView`s."""


class Head(msgspec.Struct):
    """A row of `orders`, as far as its buyer sees it."""

    id: int
    no: str
    state: str
    goods_fen: int
    discount_fen: int
    freight_fen: int
    total_fen: int
    refunded_fen: int
    created_at: datetime
    pay_by: datetime
    paid_at: datetime | None
    shipped_at: datetime | None
    completed_at: datetime | None
    cancelled_at: datetime | None


class Parcel(msgspec.Struct):
    carrier: str
    tracking_no: str
    shipped_at: datetime


class Refund(msgspec.Struct):
    out_refund_no: str
    amount_fen: int
    state: str
    reason: str
    payer_refund_fen: int | None
    user_received_account: str | None
    requested_at: datetime
    succeeded_at: datetime | None


class Mine(msgspec.Struct):
    """One order with what its buyer sees of it."""

    order: Head
    lines: msgspec.Raw
    """A JSON array of `OrderLineView`s."""
    address: OrderAddress
    note: str
    receive_by: datetime | None
    parcels: list[Parcel]
    refunds: list[Refund]


_HEAD: Final = Head.__struct_fields__
_HEADS: Final = ", ".join(f"o.{name}" for name in _HEAD)
_SHOWN: Final = ", ".join(
    f'o.{name} AS "{written}"'
    for name, written in zip(OrderView.__struct_fields__, OrderView.__struct_encode_fields__, strict=True)
    if name in _HEAD and name != "state"
)
_COLUMNS: Final = """l.id::text, l.sku_id::text, l.product_id::text, l.title, l.options, l.image, l.unit_fen, l.quantity,
    l.paid_fen, l.refunded_quantity, l.refunded_fen"""
"""The fields of an `OrderLineView`."""
_NAMED: Final = ", ".join(
    f'{column} AS "{name}"'
    for column, name in zip(_COLUMNS.split(","), OrderLineView.__struct_encode_fields__, strict=True)
)
"""The same under the names of its JSON."""
LINES_AS_THEY_ARE: Final = f"""(SELECT json_agg(x)::text FROM (
        SELECT {_NAMED} FROM order_line l WHERE l.order_id = o.id ORDER BY l.id) x)"""  # noqa: S608
"""Of the order `o`, as JSON of `OrderLineView`s."""
_LINES: Final = f"coalesce(o.shown_lines, {LINES_AS_THEY_ARE})"
"""As they were when it was placed, unless one of them has changed since."""
LISTED: Final = f"""o.id, o.state, CASE WHEN o.state IN ({", ".join(f"'{state}'" for state in AWAITING)}) THEN o.pay_by END,
    convert_to((SELECT row_to_json(x)::text FROM (SELECT {_SHOWN}) x), 'UTF8'), convert_to({_LINES}, 'UTF8')"""  # noqa: S608
"""The columns of a `Listed`, of the order `o`."""
# A parcel is written with its order's `shipped_at`: who has none has no parcels to be looked for.
ONE: Final = f"""{_HEADS}, {_LINES}, o.address::text, o.note, o.receive_by,
    CASE WHEN o.shipped_at IS NOT NULL THEN (SELECT json_agg(p ORDER BY p.id)::text FROM (
        SELECT id, carrier, tracking_no, shipped_at FROM parcel WHERE order_id = o.id) p) END,
    (SELECT json_agg(r ORDER BY r.id)::text FROM (
        SELECT id, {", ".join(Refund.__struct_fields__)} FROM refund WHERE payable = o.no) r)"""  # noqa: S608
"""The columns of a `Mine`, of the order `o`."""
_LAST: Final = 2**63 - 1


_PAGES = Statement(
    f"""
    SELECT w.place, {LISTED}
    FROM unnest(:members, :states, :befores, :mosts) WITH ORDINALITY AS w (member, states, before, most, place)
    CROSS JOIN LATERAL (
        SELECT * FROM orders x
        WHERE x.member_id = w.member AND x.id < w.before
            AND (w.states IS NULL OR x.state = ANY(string_to_array(w.states, ',')))
        ORDER BY x.id DESC LIMIT w.most
    ) o
    """,  # noqa: S608  (only our own constants)
    members=ARRAY(BigInteger),
    states=ARRAY(Text),
    befores=ARRAY(BigInteger),
    mosts=ARRAY(BigInteger),
)
_ONES = Statement(
    f"""
    SELECT {ONE}, w.place
    FROM unnest(:members, :nos) WITH ORDINALITY AS w (member, no, place)
    JOIN orders o ON o.no = w.no AND o.member_id = w.member
    """,  # noqa: S608
    members=ARRAY(BigInteger),
    nos=ARRAY(Text),
)
_address = msgspec.json.Decoder(OrderAddress)
_parcels = msgspec.json.Decoder(list[Parcel])
_refunds = msgspec.json.Decoder(list[Refund])


class PageWish(msgspec.Struct, frozen=True):
    """`limit` orders of a member, newest first: those in `states` (all: `None`), from below the id `before`."""

    member_id: int
    states: tuple[str, ...] | None
    before: int | None
    limit: int


class MyOrders:
    """One for each process: those who ask at the same moment are read together."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._pages: Gathering[PageWish, list[Listed]] = Gathering(self._read_pages, most=32, at_once=1)
        self._ones: Gathering[tuple[int, str], Mine] = Gathering(self._read_ones, most=64, at_once=1)

    async def page(self, wish: PageWish) -> list[Listed]:
        """Orders with their lines, and one more, if there is one. Raises `DatabaseUnavailable`."""
        return await self._pages.get(wish) or []

    async def get(self, member_id: int, no: str) -> Mine:
        """Raises `OrderNotFound` (404), also for somebody else's."""
        found = await self._ones.get((member_id, no))
        if found is None:
            raise OrderNotFound
        return found

    async def _read_pages(self, wishes: Sequence[PageWish]) -> dict[PageWish, list[Listed]]:
        async with self._db.bare() as connection:
            rows = await _PAGES.fetch(
                connection,
                members=[wish.member_id for wish in wishes],
                states=[wish.states and ",".join(wish.states) for wish in wishes],
                befores=[_LAST if wish.before is None else wish.before for wish in wishes],
                mosts=[wish.limit + 1 for wish in wishes],
            )
        found: dict[PageWish, list[Listed]] = {wish: [] for wish in wishes}
        for place, *columns in rows:
            found[wishes[place - 1]].append(Listed(*columns))
        for page in found.values():
            page.sort(key=_newest_first)  # as good as sorted; the database would carry their text about for it
        return found

    async def _read_ones(self, keys: Sequence[tuple[int, str]]) -> dict[tuple[int, str], Mine]:
        async with self._db.bare() as connection:
            rows = await _ONES.fetch(connection, members=[key[0] for key in keys], nos=[key[1] for key in keys])
        return {keys[row[-1] - 1]: Mine(**fields(row)[0]) for row in rows}


def _newest_first(order: Listed) -> int:
    return -order.id


def fields(row: Any) -> tuple[dict[str, Any], Sequence[Any]]:
    """Those of a `Mine` by a row that begins with `ONE`, and what else is in the row."""
    lines, address, note, receive_by, parcels, refunds, *more = row[len(_HEAD) :]
    found = {
        "order": Head(*row[: len(_HEAD)]),
        "lines": msgspec.Raw(lines.encode()),
        "address": _address.decode(address),
        "note": note,
        "receive_by": receive_by,
        "parcels": _parcels.decode(parcels) if parcels else [],
        "refunds": _refunds.decode(refunds) if refunds else [],
    }
    return found, more
