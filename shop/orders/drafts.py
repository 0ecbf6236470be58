"""Wishes that are about to be orders: everything that decides about them is read by two statements for all of them.

A draft is whole: its numbers and ids are drawn, its price is made, its answer is written. Only goods can still be short.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import ARRAY, BigInteger, Text

from catalog import offers
from catalog.offers import Offer
from kit.errors import Problem
from kit.idempotency import Intent, KeyReused
from kit.numbers import new_no
from kit.statement import Statement
from shop.members.sessions import SignedIn
from shop.orders import checkout, mine, views
from shop.orders.checkout import MAX_AWAITING, PAY_WITHIN, Destination, PriceChanged, TooManyUnpaid, Wish
from shop.orders.models import AWAITING, OrderState
from shop.orders.pricing import Quote
from shop.orders.schemas import OrderAddress, OrderDetail, OrderLineView
from shop.shipping import templates

OPERATION: Final = "placeOrder"


class Ask(msgspec.Struct, eq=False):
    """Somebody wants this ordered."""

    member: SignedIn
    wish: Wish
    expected_fen: int
    intent: Intent
    at: datetime
    language: str


class Placed(msgspec.Struct, frozen=True):
    """The order's number, and what whoever asked is told, as JSON of an `OrderDetail`."""

    no: str
    body: bytes


class Draft(msgspec.Struct, eq=False):
    """An order that only needs to be written."""

    ask: Ask
    order_id: int
    line_ids: list[int]
    quote: Quote
    address: dict[str, Any]
    pay_by: datetime
    shown_lines: bytes
    """JSON of `OrderLineView`s."""
    placed: Placed


_AWAITING = ", ".join(f"'{state}'" for state in AWAITING)
# The ids are drawn here, so that the answer can be written together with the order; those of refused wishes are lost.
_FACTS = Statement(
    f"""
    SELECT k.content, k.answer::text AS answer,
        (SELECT count(*) FROM (
            SELECT FROM orders o WHERE o.member_id = w.member AND o.state IN ({_AWAITING}) LIMIT :most
        ) few) AS awaiting,
        a.id AS address_id, a.name, a.phone, a.province, a.city, a.district, a.detail, a.tag,
        (SELECT row_to_json(t)::text FROM freight_template t WHERE t.is_default) AS template,
        nextval('orders_id_seq') AS order_id,
        ARRAY(SELECT nextval('order_line_id_seq') FROM generate_series(1, w.lines)) AS line_ids
    FROM unnest(:members, :addresses, :actors, :keys, :lines) WITH ORDINALITY
        AS w (member, address, actor, key, lines, place)
    LEFT JOIN idempotency_key k ON k.actor = w.actor AND k.operation = :operation AND k.key = w.key
    LEFT JOIN LATERAL (
        SELECT id, name, phone, province, city, district, detail, tag FROM address
        WHERE member_id = w.member AND (w.address IS NULL OR id = w.address)
        ORDER BY is_default DESC, id DESC LIMIT 1
    ) a ON true
    ORDER BY w.place
    """,  # noqa: S608  (our own constants)
    members=ARRAY(BigInteger),
    addresses=ARRAY(BigInteger),
    lines=ARRAY(BigInteger),
    actors=ARRAY(Text),
    keys=ARRAY(Text),
    operation=Text,
)
_CARTS = Statement(
    """
    SELECT member_id, sku_id, quantity FROM cart_line WHERE member_id = ANY(:members) AND selected
    ORDER BY added_at DESC, sku_id DESC
    """,
    members=ARRAY(BigInteger),
)
_answer = msgspec.json.Decoder(OrderDetail)


async def draw(connection: Any, asks: Sequence[Ask]) -> list[Draft | Placed | Problem]:
    """For each ask its draft; or the answer that its key was given before; or why not."""
    lines = await _lines(connection, asks)
    found = await offers.look_up(connection, {sku for some in lines for sku, _ in some})
    rows = await _FACTS.fetch(
        connection,
        members=[ask.member.member_id for ask in asks],
        addresses=[ask.wish.address_id for ask in asks],
        actors=[ask.intent.actor for ask in asks],
        keys=[ask.intent.key for ask in asks],
        lines=[min(len(some), checkout.MAX_LINES) for some in lines],
        operation=OPERATION,
        most=MAX_AWAITING,
    )
    return [_drawn(*each, found) for each in zip(asks, lines, rows, strict=True)]


async def _lines(connection: Any, asks: Sequence[Ask]) -> list[Sequence[tuple[int, int]]]:
    """What each wants, as (SKU, pieces)."""
    members = [ask.member.member_id for ask in asks if ask.wish.from_cart]
    carts: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    if members:
        for member_id, sku_id, quantity in await _CARTS.fetch(connection, members=members):
            carts[member_id].append((sku_id, quantity))
    return [carts[ask.member.member_id] if ask.wish.from_cart else ask.wish.lines for ask in asks]


def _drawn(ask: Ask, lines: Sequence[tuple[int, int]], row: Any, found: dict[int, Offer]) -> Draft | Placed | Problem:
    if row["content"] is not None:
        return _told_before(ask, row)
    try:
        if row["awaiting"] >= MAX_AWAITING:
            raise TooManyUnpaid(limit=MAX_AWAITING)
        address = None if row["address_id"] is None else Destination(*tuple(row)[3:11])
        considered = checkout.judge(checkout.summed(lines), found, address, templates.of_json(row["template"]))
        if considered.problems:
            raise considered.problems[0]
        total_fen = considered.quote.total_fen
        if total_fen != ask.expected_fen:
            raise PriceChanged(total_fen=total_fen, expected_fen=ask.expected_fen, considered=considered)
    except Problem as problem:
        return problem
    assert address is not None
    return _draft(ask, row["order_id"], row["line_ids"], considered.quote, address)


def _told_before(ask: Ask, row: Any) -> Placed | Problem:
    if row["content"] != ask.intent.content:
        return KeyReused()
    told = _answer.decode(row["answer"])  # the database keeps the content, not the bytes
    return Placed(told.no, msgspec.json.encode(told))


def _draft(ask: Ask, order_id: int, line_ids: list[int], quote: Quote, address: Destination) -> Draft:
    no, pay_by = new_no("D"), ask.at + PAY_WITHIN
    kept = {name: getattr(address, name) for name in Destination.__struct_fields__ if name != "id"}
    head = mine.Head(
        id=order_id, no=no, state=OrderState.UNPAID, goods_fen=quote.goods_fen, discount_fen=quote.discount_fen,
        freight_fen=quote.freight_fen, total_fen=quote.total_fen, refunded_fen=0, created_at=ask.at, pay_by=pay_by,
        paid_at=None, shipped_at=None, completed_at=None, cancelled_at=None,
    )  # fmt: skip
    shown_lines = msgspec.json.encode([
        OrderLineView(
            id=str(id_), sku_id=str(line.sku_id), product_id=str(line.product_id), title=line.title,
            options=line.options, image=line.image, price_fen=line.unit_fen, quantity=line.quantity, paid_fen=paid_fen,
            refunded_quantity=0, refunded_fen=0,
        )
        for id_, line, paid_fen in zip(line_ids, quote.lines, quote.paid_fen, strict=False)
    ])  # fmt: skip
    seen = mine.Mine(head, msgspec.Raw(shown_lines), OrderAddress(**kept), ask.wish.note, None, [], [])
    body = msgspec.json.encode(views.detail(seen, ask.at, ask.language))
    return Draft(ask, order_id, line_ids, quote, kept, pay_by, shown_lines, Placed(no, body))
