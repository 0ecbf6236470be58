"""Members' own orders: those of all who ask at the same moment are read together; the owner stands in every WHERE.

What a list shows of an order is JSON of the database's, which goes out as it came: three hundred values of twenty orders
would each be an object before they were text again.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import ARRAY, BigInteger, Boolean, Text

from kit.clock import Clock
from kit.database import Database, Instant
from kit.gathering import Gathering
from kit.statement import Statement
from shop.orders import standing
from shop.orders.history import OrderNotFound
from shop.orders.models import AWAITING
from shop.orders.schemas import OrderAddress, OrderLineView, OrderView


class Listed(msgspec.Struct):
    """A page of a list."""

    items: bytes
    """`OrderView`s in JSON, with commas between them."""
    last_id: int | None
    """Of the last of them."""
    more: bool
    """Whether others follow."""


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


class Own(msgspec.Struct):
    """One order for its buyer."""

    shown: bytes
    """JSON of an `OrderDetail` without its refunds and its end."""
    refunds: list[Refund]


class Mine(msgspec.Struct):
    """One order with what its buyer sees of it, under the names of the tables' rows."""

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
# As msgspec writes times, whatever a session is set to, but for `.000000` (see `_PLAIN`). In quotes, since a colon before a
# letter would begin a parameter's name.
_TIME: Final = """to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24":"MI":"SS.US"Z"')"""
_PLAIN: Final = "replace({times}, '.000000Z', 'Z')"
"""Whole seconds as msgspec writes them, in text in which nothing else looks so."""


def _field(name: str, written: str) -> str:
    """A field of an `OrderView` in SQL: what `concat` makes JSON of. Nothing in it has to be escaped."""
    if name == "no":
        return f"""',"{written}":"', o.{name}, '"'"""
    if name.endswith("_fen"):
        return f"""',"{written}":', o.{name}"""
    return f"""',"{written}":', coalesce('"' || {_TIME.format(column=f"o.{name}")} || '"', 'null')"""


_SHOWN: Final = ", ".join(
    _field(name, written)
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
LEFT_MS: Final = f"""CASE WHEN x.state IN ({", ".join(f"'{state}'" for state in AWAITING)})
    THEN greatest(floor(extract(epoch FROM x.pay_by - :now) * 1000)::bigint, 0) END AS left_ms"""
"""Of the order `x`, for `ITEM`."""
_INSIDE: Final = f"""'{{', {standing.SAID}, ',"payLeftMs":', coalesce(o.left_ms::text, 'null'),
    {_PLAIN.format(times=f"concat({_SHOWN})")}, ',"lines":', {_LINES}"""
ITEM: Final = f"concat({_INSIDE}, '}}')"
"""JSON of an `OrderView`, of the order `o` with `LEFT_MS` and with `english`: how its reader reads."""
_REFUNDS: Final = f"""(SELECT json_agg(r ORDER BY r.id)::text FROM (
        SELECT id, {", ".join(Refund.__struct_fields__)} FROM refund WHERE payable = o.no) r)"""  # noqa: S608
# A parcel is written with its order's `shipped_at`: who has none has no parcels to be looked for.
ONE: Final = f"""{_HEADS}, {_LINES}, o.address::text, o.note, o.receive_by,
    CASE WHEN o.shipped_at IS NOT NULL THEN (SELECT json_agg(p ORDER BY p.id)::text FROM (
        SELECT id, carrier, tracking_no, shipped_at FROM parcel WHERE order_id = o.id) p) END,
    {_REFUNDS}"""  # noqa: S608
"""The columns of a `Mine`, of the order `o`."""
_LAST: Final = 2**63 - 1


_PAGES = Statement(
    f"""
    SELECT w.place, page.*
    FROM unnest(:members, :states, :befores, :mosts, :english)
        WITH ORDINALITY AS w (member, states, before, most, english, place)
    CROSS JOIN LATERAL (
        SELECT coalesce(textsend(string_agg({ITEM}, ',' ORDER BY o.n)
                FILTER (WHERE o.n <= w.most)), ''),
            min(o.id) FILTER (WHERE o.n <= w.most), coalesce(max(o.n), 0) > w.most
        FROM (
            SELECT *, {LEFT_MS}, w.english, row_number() OVER (ORDER BY x.id DESC) AS n FROM orders x
            WHERE x.member_id = w.member AND x.id < w.before
                AND (w.states IS NULL OR x.state = ANY(string_to_array(w.states, ',')))
            ORDER BY x.id DESC LIMIT w.most + 1
        ) o
    ) page
    """,  # noqa: S608  (only our own constants)
    members=ARRAY(BigInteger),
    states=ARRAY(Text),
    befores=ARRAY(BigInteger),
    mosts=ARRAY(BigInteger),
    english=ARRAY(Boolean),
    now=Instant,
)
_ONES = Statement(
    f"""
    SELECT w.place, textsend(concat({_INSIDE}, ',"address":', o.address || '{{"id": null}}', ',"note":', to_json(o.note),
            ',"receiveBy":', coalesce('"' || {_PLAIN.format(times=_TIME.format(column="o.receive_by"))} || '"', 'null'),
            ',"parcels":', CASE WHEN o.shipped_at IS NULL THEN '[]' ELSE coalesce((SELECT json_agg(x)::text FROM (
                SELECT p.carrier, p.tracking_no AS "trackingNo",
                    {_PLAIN.format(times=_TIME.format(column="p.shipped_at"))} AS "shippedAt"
                FROM parcel p WHERE p.order_id = o.id ORDER BY p.id) x), '[]') END)),
        {_REFUNDS}
    FROM unnest(:members, :nos, :english) WITH ORDINALITY AS w (member, no, english, place)
    CROSS JOIN LATERAL (
        SELECT *, {LEFT_MS}, w.english FROM orders x WHERE x.no = w.no AND x.member_id = w.member
    ) o
    """,  # noqa: S608
    members=ARRAY(BigInteger),
    nos=ARRAY(Text),
    english=ARRAY(Boolean),
    now=Instant,
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
    language: str


class MyOrders:
    """One for each process: those who ask at the same moment are read together."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._pages: Gathering[PageWish, Listed] = Gathering(self._read_pages, most=32, at_once=1)
        self._ones: Gathering[tuple[int, str, str], Own] = Gathering(self._read_ones, most=64, at_once=1)

    async def page(self, wish: PageWish) -> Listed:
        """Raises `DatabaseUnavailable`."""
        found = await self._pages.get(wish)
        assert found is not None, "the statement has a row for each wish"
        return found

    async def get(self, member_id: int, no: str, language: str) -> Own:
        """Raises `OrderNotFound` (404), also for somebody else's."""
        found = await self._ones.get((member_id, no, language))
        if found is None:
            raise OrderNotFound
        return found

    async def _read_pages(self, wishes: Sequence[PageWish]) -> dict[PageWish, Listed]:
        async with self._db.bare() as connection:
            rows = await _PAGES.fetch(
                connection,
                members=[wish.member_id for wish in wishes],
                states=[wish.states and ",".join(wish.states) for wish in wishes],
                befores=[_LAST if wish.before is None else wish.before for wish in wishes],
                mosts=[wish.limit for wish in wishes],
                english=[wish.language == "en" for wish in wishes],
                now=self._clock.now(),
            )
        return {wishes[place - 1]: Listed(items, last_id, more) for place, items, last_id, more in rows}

    async def _read_ones(self, keys: Sequence[tuple[int, str, str]]) -> dict[tuple[int, str, str], Own]:
        async with self._db.bare() as connection:
            rows = await _ONES.fetch(
                connection,
                members=[member_id for member_id, _, _ in keys],
                nos=[no for _, no, _ in keys],
                english=[language == "en" for _, _, language in keys],
                now=self._clock.now(),
            )
        return {
            keys[place - 1]: Own(shown, _refunds.decode(refunds) if refunds else []) for place, shown, refunds in rows
        }


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
