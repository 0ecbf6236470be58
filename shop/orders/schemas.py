"""Bodies on the wire of checkout and orders."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from kit.fields import Fen, Id, OptionalLine, Quantity, Word


class Wanted(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    sku_id: Id
    quantity: Quantity


class Source(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """Where the member came from."""

    scene: Annotated[str, Meta(max_length=64, pattern=r"^[!-~]*$")] = ""
    code: Annotated[str, Meta(max_length=64, pattern=r"^[!-~]*$")] = ""
    campaign: Annotated[str, Meta(max_length=64, pattern=r"^[!-~]*$")] = ""


class PreviewWish(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Either `lines`, or `fromCart` for what is selected there."""

    lines: Annotated[list[Wanted], Meta(max_length=50)] = []
    from_cart: bool = False
    address_id: Id | None = None


class PlaceWish(PreviewWish, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A preview's wish, with the amount that the member saw and confirmed."""

    expected_pay_fen: Fen
    note: OptionalLine = ""
    source: Source = msgspec.field(default_factory=Source)


class CancelWish(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    reason: OptionalLine = ""


class PreviewLine(msgspec.Struct, rename="camel"):
    sku_id: str
    product_id: str
    title: str
    options: list[str]
    image: str
    price_fen: int
    quantity: int
    amount_fen: int
    stock: int


class ProblemView(msgspec.Struct, rename="camel"):
    """What stands in the way: `code` is that of the refusal that placing would get."""

    code: str
    message: str
    facts: dict[str, Any]


class OrderAddress(msgspec.Struct, rename="camel"):
    name: str
    phone: str
    province: str
    city: str
    district: str
    detail: str
    tag: str
    id: str | None = None


class PreviewView(msgspec.Struct, rename="camel"):
    """What it would cost now. `payFen` is what `expectedPayFen` must say."""

    payable: bool
    problems: list[ProblemView]
    address: OrderAddress | None
    lines: list[PreviewLine]
    quantity: int
    goods_fen: int
    discount_fen: int
    freight_fen: int
    pay_fen: int


class OrderLineView(msgspec.Struct, rename="camel"):
    id: str
    sku_id: str
    product_id: str
    title: str
    options: list[str]
    image: str
    price_fen: int
    quantity: int
    paid_fen: int
    refunded_quantity: int
    refunded_fen: int


class ParcelView(msgspec.Struct, rename="camel"):
    carrier: str
    tracking_no: str
    shipped_at: datetime


class RefundView(msgspec.Struct, rename="camel"):
    """Money going back or gone back.

    `state`: `waiting` (for a second person), `requested`, `processing`, `succeeded`, `abnormal`, `closed`, `refused`,
    `rejected`. `amountFen` is of the order's total; `payerRefundFen` of it is money (null: WeChat has not said yet), the
    rest goes back into coupons. `userReceivedAccount`: where the payer finds it, in WeChat's words.
    """

    no: str
    amount_fen: int
    state: str
    state_text: str
    reason: str
    payer_refund_fen: int | None
    user_received_account: str | None
    requested_at: datetime
    succeeded_at: datetime | None


class EventView(msgspec.Struct, rename="camel"):
    what: str
    from_state: str | None
    to_state: str
    by: str
    at: datetime
    facts: dict[str, Any]


class OrderView(msgspec.Struct, rename="camel", kw_only=True):
    """`actions` are what this member may do now: `pay`, `cancel`, `confirm`."""

    no: str
    state: str
    state_text: str
    actions: list[str]
    goods_fen: int
    discount_fen: int
    freight_fen: int
    total_fen: int
    refunded_fen: int
    lines: list[OrderLineView]
    created_at: datetime
    pay_by: datetime
    pay_left_ms: int | None
    """Milliseconds left to pay; null when there is nothing to pay."""
    paid_at: datetime | None
    shipped_at: datetime | None
    completed_at: datetime | None
    cancelled_at: datetime | None


class OrderDetail(OrderView, kw_only=True, rename="camel"):
    address: OrderAddress
    note: str
    receive_by: datetime | None
    parcels: list[ParcelView]
    refunds: list[RefundView]


class OrderCounts(msgspec.Struct, rename="camel"):
    unpaid: int
    to_ship: int
    to_receive: int


class AdminOrderView(OrderDetail, kw_only=True, rename="camel"):
    member_id: str
    channel: str
    source: dict[str, Any]
    trace: list[dict[str, Any]]
    """How the price came about, step by step; who gave it another one, and when, is in `events`, why is here."""
    close_reason: str | None
    events: list[EventView]


class ShipWish(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """`carrier` is the carrier's code (`SF`, `ZTO`, …)."""

    carrier: Word
    tracking_no: Annotated[str, Meta(min_length=4, max_length=64, pattern=r"^[0-9A-Za-z-]+$(?!\n)")]


class CloseWish(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    reason: Word
