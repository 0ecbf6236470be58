"""What of an order goes back: pieces of lines, money of lines, freight. No I/O: it changes the counters it is given.

Shares are to the fen: a line's last pieces carry what rounding left, and a plain amount is spread by largest remainder,
so any sequence of partial refunds gives back exactly what was paid.
"""

from collections.abc import Sequence

import msgspec

from kit.errors import Unprocessable
from kit.money import share
from shop.aftersales.models import AfterSaleLine
from shop.orders.models import Order, OrderLine


class UnknownLine(Unprocessable):
    """This order has no line {line_id}."""

    zh = "订单中没有该商品行：{line_id}"


class MoreThanOrdered(Unprocessable):
    """Only {left} of line {line_id} can still be refunded."""

    zh = "可退数量不足，最多 {left} 件"


class LineTooMuch(Unprocessable):
    """Only {left_fen} fen of line {line_id} can still be refunded."""

    zh = "该商品可退金额不足，最多 {left_fen} 分"


class FreightTooMuch(Unprocessable):
    """Only {left_fen} fen of the freight can still be refunded."""

    zh = "可退运费不足，最多 {left_fen} 分"


class OrderTooMuch(Unprocessable):
    """Only {left_fen} fen of this order can still be refunded."""

    zh = "订单可退金额不足，最多 {left_fen} 分"


class NothingToRefund(Unprocessable):
    """Name at least one line, some freight or an amount."""

    zh = "请选择要退款的商品、运费或金额"


class Claim(msgspec.Struct, frozen=True):
    """Pieces of one order line with their money, or money alone."""

    line_id: int
    quantity: int = 0
    amount_fen: int = 0


def take(
    order: Order, lines: Sequence[OrderLine], claims: Sequence[Claim], freight_fen: int, amount_fen: int
) -> tuple[list[AfterSaleLine], int]:
    """Claim all of it; the parts of lines, and the part of the freight.

    `amount_fen` is spread over everything that is left, and is claimed to the fen: WeChat may have given back that and
    no more. What takes all the money that is left of a line or of the order takes its pieces too, and when lines leave no
    piece to be sent, nothing is owed for sending.

    Raises `UnknownLine`, `MoreThanOrdered`, `LineTooMuch`, `FreightTooMuch`, `OrderTooMuch`, `NothingToRefund` (422).
    """
    by_id = {line.id: line for line in lines}
    parts = [_claim(by_id, claim) for claim in _merged(claims)]
    _claim_freight(order, freight_fen)
    if amount_fen:
        more, more_freight_fen = _spread(order, lines, amount_fen)
        parts = _joined(parts + more)
        freight_fen += more_freight_fen
    elif order.shipped_at is None and all(line.refunded_quantity == line.quantity for line in lines):
        rest_fen = order.freight_fen - order.freight_refunded_fen
        _claim_freight(order, rest_fen)
        freight_fen += rest_fen
    if sum(part.amount_fen for part in parts) + freight_fen == 0:
        raise NothingToRefund
    return parts, freight_fen


def _merged(claims: Sequence[Claim]) -> list[Claim]:
    found: dict[int, Claim] = {}
    for claim in claims:
        known = found.get(claim.line_id, Claim(claim.line_id))
        found[claim.line_id] = Claim(
            claim.line_id, known.quantity + claim.quantity, known.amount_fen + claim.amount_fen
        )
    return list(found.values())


def _claim(lines: dict[int, OrderLine], claim: Claim) -> AfterSaleLine:
    line = lines.get(claim.line_id)
    if line is None:
        raise UnknownLine(line_id=str(claim.line_id))
    left, left_fen = line.quantity - line.refunded_quantity, line.paid_fen - line.refunded_fen
    if claim.quantity > left:
        raise MoreThanOrdered(line_id=str(line.id), left=left)
    pieces_fen = left_fen if 0 < claim.quantity == left else left_fen * claim.quantity // max(left, 1)
    amount_fen = pieces_fen + claim.amount_fen
    if amount_fen > left_fen:
        raise LineTooMuch(line_id=str(line.id), left_fen=left_fen - pieces_fen)
    all_of_it = claim.amount_fen > 0 and amount_fen == left_fen
    return _part(line, left if all_of_it else claim.quantity, amount_fen)


def _part(line: OrderLine, quantity: int, amount_fen: int) -> AfterSaleLine:
    line.refunded_quantity += quantity
    line.refunded_fen += amount_fen
    return AfterSaleLine(order_line_id=line.id, quantity=quantity, amount_fen=amount_fen, restocked=0)


def _claim_freight(order: Order, freight_fen: int) -> None:
    left_fen = order.freight_fen - order.freight_refunded_fen
    if freight_fen > left_fen:
        raise FreightTooMuch(left_fen=left_fen)
    order.freight_refunded_fen += freight_fen


def _spread(order: Order, lines: Sequence[OrderLine], amount_fen: int) -> tuple[list[AfterSaleLine], int]:
    lefts = [line.paid_fen - line.refunded_fen for line in lines]
    freight_left_fen = order.freight_fen - order.freight_refunded_fen
    left_fen = sum(lefts) + freight_left_fen
    if amount_fen > left_fen:
        raise OrderTooMuch(left_fen=left_fen)
    *shares, freight_fen = share(amount_fen, [*lefts, freight_left_fen])
    order.freight_refunded_fen += freight_fen
    parts = []
    for line, part_fen in zip(lines, shares, strict=True):
        quantity = line.quantity - line.refunded_quantity if amount_fen == left_fen else 0
        if quantity or part_fen:
            parts.append(_part(line, quantity, part_fen))
    return parts, freight_fen


def _joined(parts: Sequence[AfterSaleLine]) -> list[AfterSaleLine]:
    """One part for each line."""
    found: dict[int, AfterSaleLine] = {}
    for part in parts:
        known = found.setdefault(part.order_line_id, part)
        if known is not part:
            known.quantity += part.quantity
            known.amount_fen += part.amount_fen
    return list(found.values())
