"""What WeChat Pay says of a payment or a refund, read from a verified notification or a signed answer.

Unknown members are ignored; what is absent is absent, not null (WeChat Pay v3, "transaction" object). Partners, overseas
merchants and sub-orders of a combination spell some members otherwise: all of them are read into the same names.
"""

from datetime import datetime, timedelta, timezone
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from msgspec.structs import force_setattr, replace

PAID_STATES = frozenset({"SUCCESS", "REFUND"})
"""REFUND: paid, and a refund was accepted since, also a partial one."""
DEAD_STATES = frozenset({"CLOSED", "REVOKED", "PAYERROR"})
"""REVOKED, PAYERROR: of a payment code at the counter."""
USERPAYING = "USERPAYING"
"""The payer at the counter types the password: ask again."""

Word = Annotated[str, Meta(max_length=64, pattern=r"^[!-~]*$(?!\n)")]
"""A number, a code or a state: what may stand in our tables as it came."""
Fen = Annotated[int, Meta(ge=1, le=2**53)]
Share = Annotated[int, Meta(ge=0, le=2**53)]
_MAX_LOOSE = 256
_BEIJING = timezone(timedelta(hours=8))


def instant(value: str | None) -> datetime | None:
    """A time as WeChat writes it, or `None`: RFC 3339 as a rule; without an offset it is Beijing's."""
    try:
        found = datetime.fromisoformat(value or "")
    except ValueError:
        try:
            found = datetime.strptime(value or "", "%Y%m%d%H%M%S")  # noqa: DTZ007  (the zone follows)
        except ValueError:
            return None
    return found if found.tzinfo else found.replace(tzinfo=_BEIJING)


def _loosely(value: object) -> str | None:
    """A text that is good to know and decides nothing: what is odd about it must not keep money from being seen."""
    fits = isinstance(value, str) and len(value) <= _MAX_LOOSE and "\0" not in value
    return str(value) if fits else None


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    """Of `total` the payer paid `payer_total`; coupons the rest. A sub-order calls them otherwise."""

    total: Share = 0
    currency: Word | None = None
    """`CNY` when it is not said."""
    payer_total: Share | None = None
    payer_currency: Word | None = None
    total_amount: Share | None = None
    payer_amount: Share | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "total", self.total or self.total_amount or 0)
        if not self.total:
            raise ValueError("an amount of nothing")
        if self.payer_total is None:
            force_setattr(self, "payer_total", self.payer_amount)


class Payer(msgspec.Struct, frozen=True):
    """`openid` is of the app in which was paid."""

    openid: str | None = None
    sp_openid: str | None = None
    sub_openid: str | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "openid", self.openid or self.sub_openid or self.sp_openid)


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """A coupon. CASH and COUPON are prefunded: we get the whole amount. NOCASH and DISCOUNT: we get less."""

    coupon_id: Word | None = None
    promotion_id: Word | None = None
    scope: Word | None = None
    type: Word | None = None
    amount: Share = 0

    @property
    def is_prefunded(self) -> bool:
        return self.type not in {"NOCASH", "DISCOUNT"}


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction, of a query, of `TRANSACTION.SUCCESS`, or of a combination.

    `mchid` is who signs (a partner's `sp_mchid`); `appid` is the app in which was paid.
    """

    out_trade_no: Word
    trade_state: Word
    mchid: Word | None = None
    appid: Word | None = None
    sub_mchid: Word | None = None
    transaction_id: Word | None = None
    trade_type: Any = None
    """`str` or `None`, as `attach`."""
    attach: Any = None
    success_time: str | None = None
    payer: Payer | None = None
    amount: Amount | None = None
    promotion_detail: Any = None
    sp_mchid: Word | None = None
    sp_appid: Word | None = None
    sub_appid: Word | None = None
    id: Word | None = None
    """Overseas: the `transaction_id`."""

    def __post_init__(self) -> None:
        force_setattr(self, "mchid", self.mchid or self.sp_mchid)
        force_setattr(self, "appid", self.appid or self.sub_appid or self.sp_appid)
        force_setattr(self, "transaction_id", self.transaction_id or self.id)
        force_setattr(self, "trade_type", _loosely(self.trade_type))
        force_setattr(self, "attach", _loosely(self.attach))

    @property
    def promotions(self) -> list[Promotion]:
        """The coupons that were used, as far as they can be read."""
        try:
            return msgspec.convert(self.promotion_detail or [], list[Promotion])
        except msgspec.ValidationError:
            return []

    @property
    def paid(self) -> bool:
        return self.trade_state in PAID_STATES

    @property
    def dead(self) -> bool:
        """Nobody can pay it any more."""
        return self.trade_state in DEAD_STATES


class CombinedTrade(msgspec.Struct, frozen=True, kw_only=True):
    """A combination, of a query or of a notification: one payer, several sub-orders."""

    combine_out_trade_no: Word
    sub_orders: list[Trade]
    combine_appid: Word | None = None
    combine_mchid: Word | None = None
    combine_payer_info: Payer | None = None

    @property
    def trades(self) -> list[Trade]:
        """Each sub-order as a trade of its own, with the payer and the app of the whole.

        A partner combines in its own app, wherever people pay: of a sub-merchant's part only `sub_appid` tells that, and
        where it is not there, nobody does. `openid` is of the app of the whole, `sub_openid` of the sub-merchant's.
        """
        return [
            replace(
                trade,
                appid=trade.appid or (None if trade.sub_mchid else self.combine_appid),
                mchid=trade.mchid or self.combine_mchid,
                payer=trade.payer or self._payer(trade),
            )
            for trade in self.sub_orders
        ]

    def _payer(self, trade: Trade) -> Payer | None:
        whole = self.combine_payer_info
        if whole is None or not trade.sub_appid:
            return whole
        return Payer(openid=whole.sub_openid) if whole.sub_openid else None


class RefundAmount(msgspec.Struct, frozen=True):
    """Of `refund` the payer gets `payer_refund`; the rest goes back into coupons. `settlement_refund`: what we lose.

    `refund_fee`: the fee that comes back to us.
    """

    refund: Fen
    total: Fen | None = None
    currency: Word | None = None
    payer_refund: Share | None = None
    discount_refund: Share | None = None
    settlement_refund: Share | None = None
    refund_fee: Share | None = None


class RefundTrade(msgspec.Struct, frozen=True, kw_only=True):
    """A refund. Answers call its state `status`, notifications `refund_status`: `state` is either.

    Overseas the closed state is `REFUNDCLOSE` and the number `id`: `state` and `refund_id` are as everywhere.
    """

    out_refund_no: Word
    refund_id: Word | None = None
    out_trade_no: Word | None = None
    transaction_id: Word | None = None
    mchid: Word | None = None
    sp_mchid: Word | None = None
    sub_mchid: Word | None = None
    status: Word | None = None
    refund_status: Word | None = None
    success_time: str | None = None
    user_received_account: Annotated[str, Meta(max_length=64, pattern=r"^[^\x00]*$(?!\n)")] | None = None
    """In words, for the payer."""
    amount: RefundAmount | None = None
    id: Word | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "refund_id", self.refund_id or self.id)
        force_setattr(self, "mchid", self.mchid or self.sp_mchid)

    @property
    def state(self) -> str:
        said = self.refund_status or self.status or ""
        return "CLOSED" if said == "REFUNDCLOSE" else said
