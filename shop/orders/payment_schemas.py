"""Bodies on the wire of paying: sheets, combinations, codes at the counter, new prices."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from kit.fields import Fen, No, Word
from payments.wechatpay.gateway import AppParams


class PayWish(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Where the member pays. `h5Type` is the kind of browser; `expectedFen` the amount that the member saw."""

    channel: Literal["jsapi", "app", "h5", "native"]
    h5_type: Literal["Wap", "iOS", "Android"] = "Wap"
    expected_fen: Fen | None = None


class CombinedPayWish(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Several of my unpaid orders at once, by one tap. `expectedFen` is the sum that the member saw."""

    order_nos: Annotated[list[No], Meta(min_length=2, max_length=10)]
    expected_fen: Fen | None = None


class BridgeParams(msgspec.Struct, frozen=True):
    """What `wx.requestPayment`, or `getBrandWCPayRequest` in a page of a service account, is given, member for member."""

    appId: str  # noqa: N815  (WeChat's own names)
    timeStamp: str  # noqa: N815
    nonceStr: str  # noqa: N815
    package: str
    signType: str  # noqa: N815
    paySign: str  # noqa: N815


class PaySheet(msgspec.Struct, rename="camel", kw_only=True):
    """What the client opens: one of `jsapi`, `app`, `h5Url`, `codeUrl`, by the channel.

    To `h5Url` (good for five minutes) the client may append `&redirect_url=…`. `codeUrl` is shown as a QR code, which
    `/orders/{no}/pay-qr.svg` and `.png` draw. Payable until `payBy`.
    """

    channel: str
    amount_fen: int
    pay_by: datetime
    order_nos: list[str]
    jsapi: BridgeParams | None = None
    app: AppParams | None = None
    h5_url: str | None = None
    code_url: str | None = None


class CodeWish(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The payment code that the payer shows: 18 digits beginning with 10 to 15, good for a minute. It is kept nowhere."""

    auth_code: Annotated[str, Meta(pattern=r"^1[0-5][0-9]{16}$(?!\n)")]

    def __repr__(self) -> str:
        return "CodeWish(…)"


class CodeChargeView(msgspec.Struct, rename="camel", kw_only=True):
    """How far a charge at the counter is.

    `state`: `userpaying` (the payer types a password, or WeChat has not answered: look again in a few seconds),
    `reversing` (given up; the money goes back if it was paid), `paid` (see `orderState`), `closed` (`reason` says why,
    in WeChat's code: `PAYERROR`, `AUTHCODEEXPIRE`, `NOTENOUGH`, `REVOKED`, …).
    """

    order_no: str
    order_state: str
    state: str
    reason: str | None
    amount_fen: int
    started_at: datetime
    waits_until: datetime


class RepriceWish(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The new price of an unpaid order: its total, or its discount; and its freight, if that changes."""

    reason: Word
    total_fen: Fen | None = None
    discount_fen: Fen | None = None
    freight_fen: Fen | None = None
