"""What an order costs: pure steps over plain values, no I/O. The trace is kept with the order."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from kit.errors import Unprocessable
from kit.money import MAX_FEN


class OrderTooLarge(Unprocessable):
    """An order may not exceed {max_fen} fen."""

    zh = "订单金额超出上限"


class Line(msgspec.Struct, frozen=True, rename="camel"):
    """One SKU at today's price."""

    sku_id: int
    product_id: int
    title: str
    options: list[str]
    image: str
    unit_fen: int
    quantity: int
    weight_g: int

    @property
    def goods_fen(self) -> int:
        return self.unit_fen * self.quantity


class Quote(msgspec.Struct, frozen=True):
    """The price, and how it came about. `paid_fen[i]` is what line `i` bears of the goods' price."""

    lines: list[Line]
    goods_fen: int
    discount_fen: int
    freight_fen: int
    paid_fen: list[int]
    trace: list[dict[str, Any]]

    @property
    def total_fen(self) -> int:
        return self.goods_fen - self.discount_fen + self.freight_fen

    @property
    def weight_g(self) -> int:
        return sum(line.weight_g * line.quantity for line in self.lines)

    @property
    def quantity(self) -> int:
        return sum(line.quantity for line in self.lines)


def goods(lines: Sequence[Line]) -> Quote:
    """The first step: unit price times quantity. Raises `OrderTooLarge` (422)."""
    total = sum(line.goods_fen for line in lines)
    if total > MAX_FEN:
        raise OrderTooLarge(max_fen=MAX_FEN)
    trace = [
        {"step": "goods", "skuId": str(line.sku_id), "unitFen": line.unit_fen, "quantity": line.quantity}
        for line in lines
    ]
    return Quote(list(lines), total, 0, 0, [line.goods_fen for line in lines], trace)


def with_freight(quote: Quote, freight_of: Callable[[int, int], int]) -> Quote:
    """The freight step: `freight_of(weight_g, goods_fen)`, on what the goods cost after discounts."""
    fen = freight_of(quote.weight_g, quote.goods_fen - quote.discount_fen)
    trace = [*quote.trace, {"step": "freight", "weightG": quote.weight_g, "fen": fen}]
    return msgspec.structs.replace(quote, freight_fen=fen, trace=trace)
