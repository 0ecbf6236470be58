"""Orders as staff read them: a page of a search, and one with its log. One statement each, by a bare connection or the one
underneath a session.
"""

from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import msgspec
from sqlalchemy import Boolean, Text

from kit.database import Instant
from kit.statement import Statement
from shop.orders import mine
from shop.orders.history import OrderNotFound
from shop.orders.mine import Mine
from shop.orders.models import OrderState
from shop.orders.schemas import EventView

_FILTERS: Final = {
    "no": ("o.no = :no", Text),
    "member_id": ("o.member_id = :member_id", None),
    "phone": ("o.address ->> 'phone' = :phone", Text),
    "placed_from": ("o.created_at >= :placed_from", Instant),
    "placed_before": ("o.created_at < :placed_before", Instant),
    "before_id": ("o.id < :before_id", None),
}
"""What a search may be narrowed by, beside the state: the condition and its parameter's type, a bigint where none is said."""


class Filed(Mine):
    """One order with what its buyer does not see: who, whence, and its log."""

    member_id: int
    channel: str
    source: dict[str, Any]
    trace: list[dict[str, Any]]
    close_reason: str | None
    events: list[EventView]


_EVENTS: Final = ", ".join(
    f'e.{name} AS "{written}"'
    for name, written in zip(EventView.__struct_fields__, EventView.__struct_encode_fields__, strict=True)
)
_ONE = Statement(
    f"""
    SELECT {mine.ONE}, o.member_id, o.channel, o.source::text, o.trace::text, o.close_reason,
        (SELECT json_agg(x)::text FROM (SELECT {_EVENTS} FROM order_event e WHERE e.order_id = o.id ORDER BY e.id) x)
    FROM orders o WHERE o.no = :no
    """,  # noqa: S608  (only our own constants)
    no=Text,
)
_source = msgspec.json.Decoder(dict[str, Any])
_trace = msgspec.json.Decoder(list[dict[str, Any]])
_events = msgspec.json.Decoder(list[EventView])


@lru_cache(maxsize=256)
def _search(state: OrderState | None, filters: tuple[str, ...]) -> Statement:
    """The state stands in the text: a plan for any of them would walk past all orders to find the rarest."""
    where = [] if state is None else [f"o.state = '{state.value}'"]
    where += [_FILTERS[name][0] for name in filters]
    types = {name: _FILTERS[name][1] for name in filters if _FILTERS[name][1] is not None}
    return Statement(
        f"""
        SELECT o.id, textsend({mine.ITEM}) FROM (SELECT *, {mine.LEFT_MS}, :english AS english FROM orders x) o
        WHERE {" AND ".join(where) or "true"}
        ORDER BY o.id DESC LIMIT :most
        """,  # noqa: S608
        now=Instant,
        english=Boolean,
        **types,
    )


async def search(
    connection: Any,
    *,
    limit: int,
    now: datetime,
    language: str,
    state: OrderState | None = None,
    **filters: str | int | datetime | None,
) -> list[tuple[int, bytes]]:
    """Newest first, at most `limit`: each one's id, and JSON of its `OrderView`. `filters`: `no`, `member_id`, `phone`, `placed_from`,
    `placed_before`, `before_id`; `None` is no filter.
    """
    given = {name: value for name, value in filters.items() if value is not None}
    statement = _search(state, tuple(given))
    rows = await statement.fetch(connection, most=limit, now=now, english=language == "en", **given)
    return [(row[0], row[1]) for row in rows]


async def one(connection: Any, no: str) -> Filed:
    """Raises `OrderNotFound` (404)."""
    for row in await _ONE.fetch(connection, no=no):
        fields, (member_id, channel, source, trace, close_reason, events) = mine.fields(row)
        return Filed(
            **fields,
            member_id=member_id,
            channel=channel,
            source=_source.decode(source),
            trace=_trace.decode(trace),
            close_reason=close_reason,
            events=_events.decode(events or "[]"),
        )
    raise OrderNotFound
