"""Drafts become orders: one statement writes all of them, or nothing.

Locks: the stock rows, then the cart lines, each in order and all at once; inserts anywhere.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import ARRAY, BigInteger, LargeBinary, Text

from catalog import movements
from catalog.models import DEFAULT_LOCATION
from kit.database import Instant
from kit.statement import Statement
from shop.orders.drafts import OPERATION, Draft

_ORDER: dict[str, Any] = {
    "id": BigInteger, "no": Text, "member_id": BigInteger, "actor": Text, "key": Text, "content": LargeBinary,
    "answer": Text, "source": Text, "goods_fen": BigInteger, "discount_fen": BigInteger, "freight_fen": BigInteger,
    "total_fen": BigInteger, "trace": Text, "shown_lines": Text, "address": Text, "note": Text, "pay_by": Instant, "at": Instant,
}  # fmt: skip
_LINE: dict[str, Any] = {
    "id": BigInteger, "order_id": BigInteger, "sku_id": BigInteger, "product_id": BigInteger, "title": Text,
    "options": Text, "image": Text, "unit_fen": BigInteger, "quantity": BigInteger, "paid_fen": BigInteger,
}  # fmt: skip
_PART: dict[str, Any] = {"skus": BigInteger, "quantities": BigInteger, "refs": Text, "actors": Text, "ats": Instant}
_TAKEN: dict[str, Any] = {"members": BigInteger, "skus": BigInteger}


def _unnest(prefix: str, columns: dict[str, Any]) -> str:
    return f"unnest({', '.join(f':{prefix}_{name}' for name in columns)}) AS w ({', '.join(columns)})"


_WRITE = Statement(
    f"""
    WITH wanted AS MATERIALIZED (
        SELECT * FROM {_unnest("taken", _TAKEN)}
    ), carted AS MATERIALIZED (
        SELECT c.member_id, c.sku_id FROM cart_line c JOIN wanted w ON c.member_id = w.members AND c.sku_id = w.skus
        ORDER BY c.member_id, c.sku_id FOR UPDATE OF c
    ), unless AS MATERIALIZED (
        SELECT skus AS sku_id FROM wanted
        WHERE NOT EXISTS (SELECT FROM carted c WHERE c.member_id = members AND c.sku_id = skus)
    ), {movements.RESERVE}, ask AS MATERIALIZED (
        SELECT * FROM {_unnest("order", _ORDER)} WHERE NOT EXISTS (SELECT FROM short)
    ), ordered AS (
        INSERT INTO orders (id, no, member_id, channel, source, state, goods_fen, discount_fen, freight_fen, total_fen,
            trace, shown_lines, address, note, pay_by, close_at, created_at)
        OVERRIDING SYSTEM VALUE
        SELECT id, no, member_id, 'mini_program', source::jsonb, 'unpaid', goods_fen, discount_fen, freight_fen, total_fen,
            trace::jsonb, shown_lines, address::jsonb, note, pay_by, pay_by, at FROM ask
    ), lined AS (
        INSERT INTO order_line (id, order_id, sku_id, product_id, title, options, image, unit_fen, quantity, paid_fen)
        OVERRIDING SYSTEM VALUE
        SELECT id, order_id, sku_id, product_id, title, options::jsonb, image, unit_fen, quantity, paid_fen
        FROM {_unnest("line", _LINE)} WHERE NOT EXISTS (SELECT FROM short)
    ), told AS (
        INSERT INTO order_event (order_id, what, from_state, to_state, by, facts, at)
        SELECT id, 'placed', NULL, 'unpaid', actor, '{{}}', at FROM ask
    ), taken AS (
        DELETE FROM cart_line c USING carted w
        WHERE c.member_id = w.member_id AND c.sku_id = w.sku_id AND NOT EXISTS (SELECT FROM short)
    ), kept AS (
        INSERT INTO idempotency_key (actor, operation, key, content, answer, started_at)
        SELECT actor, :operation, key, content, answer::jsonb, at FROM ask
    )
    SELECT bool_or(otherwise) FROM short HAVING count(*) > 0
    """,  # noqa: S608  (only our own constants)
    operation=Text,
    **{f"order_{name}": ARRAY(type_) for name, type_ in _ORDER.items()},
    **{f"line_{name}": ARRAY(type_) for name, type_ in _LINE.items()},
    **{f"part_{name}": ARRAY(type_) for name, type_ in _PART.items()},
    **{f"taken_{name}": ARRAY(type_) for name, type_ in _TAKEN.items()},
)


class CartEmptied(Exception):
    """A line of a cart that is ordered is there no more: another process has ordered it, or its member took it out."""


async def write(connection: Any, drafts: Sequence[Draft]) -> bool:
    """Write all of `drafts`; or nothing, and `False`, when they want more together than there is of a SKU.

    Raises `CartEmptied`: nothing is written, draw them anew; and what asyncpg raises: `UniqueViolationError` when a key
    among them was used meanwhile.
    """
    values: dict[str, list[Any]] = {
        f"{prefix}_{name}": []
        for prefix, columns in (("order", _ORDER), ("line", _LINE), ("part", _PART), ("taken", _TAKEN))
        for name in columns
    }
    for draft in drafts:
        for name, value in zip(_ORDER, _order(draft), strict=True):
            values[f"order_{name}"].append(value)
        _add_lines(values, draft)
    in_the_way = await _WRITE.fetch(connection, **values, location=DEFAULT_LOCATION, operation=OPERATION)
    if in_the_way and in_the_way[0][0]:
        raise CartEmptied
    return not in_the_way


def _order(draft: Draft) -> tuple[Any, ...]:
    ask, quote = draft.ask, draft.quote
    return (
        draft.order_id, draft.placed.no, ask.member.member_id, ask.intent.actor, ask.intent.key, ask.intent.content,
        draft.placed.body.decode(), _json(ask.wish.source), quote.goods_fen, quote.discount_fen, quote.freight_fen,
        quote.total_fen, _json(quote.trace), draft.shown_lines.decode(), _json(draft.address), ask.wish.note, draft.pay_by, ask.at,
    )  # fmt: skip


def _add_lines(values: dict[str, list[Any]], draft: Draft) -> None:
    ask, quote = draft.ask, draft.quote
    member_id, no, actor = ask.member.member_id, draft.placed.no, ask.intent.actor
    for id_, line, paid_fen in zip(draft.line_ids, quote.lines, quote.paid_fen, strict=False):
        row = (
            id_, draft.order_id, line.sku_id, line.product_id, line.title, _json(line.options), line.image,
            line.unit_fen, line.quantity, paid_fen,
        )  # fmt: skip
        for name, value in zip(_LINE, row, strict=True):
            values[f"line_{name}"].append(value)
        for name, value in zip(_PART, (line.sku_id, line.quantity, no, actor, ask.at), strict=True):
            values[f"part_{name}"].append(value)
        if ask.wish.from_cart:
            values["taken_members"].append(member_id)
            values["taken_skus"].append(line.sku_id)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
