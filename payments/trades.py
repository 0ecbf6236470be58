"""What WeChat Pay says of a payment or a refund, read from a verified notification or a signed answer.

Unknown members are ignored; what is absent is absent, not null (WeChat Pay v3, "transaction" object).
"""

from datetime import datetime, timedelta, timezone
from typing import Annotated

import msgspec
from msgspec import Meta

PAID_STATES = frozenset({"SUCCESS", "REFUND"})
"""REFUND: paid, and a refund was accepted since, also a partial one."""
DEAD_STATES = frozenset({"CLOSED", "REVOKED", "PAYERROR"})

Word = Annotated[str, Meta(max_length=64, pattern=r"^[!-~]*$(?!\n)")]
"""A number, a code or a state: what may stand in our tables as it came."""
Fen = Annotated[int, Meta(ge=1, le=2**53)]
Share = Annotated[int, Meta(ge=0, le=2**53)]
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


class Amount(msgspec.Struct, frozen=True):
    total: Fen
    currency: Word | None = None
    """`CNY` when it is not said."""


class Payer(msgspec.Struct, frozen=True):
    openid: str | None = None


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction, of `GET /v3/pay/transactions/…` and of `TRANSACTION.SUCCESS`."""

    out_trade_no: Word
    trade_state: Word
    mchid: Word | None = None
    appid: Word | None = None
    transaction_id: Word | None = None
    success_time: str | None = None
    payer: Payer | None = None
    amount: Amount | None = None

    @property
    def paid(self) -> bool:
        return self.trade_state in PAID_STATES

    @property
    def dead(self) -> bool:
        """Nobody can pay it any more."""
        return self.trade_state in DEAD_STATES


class RefundAmount(msgspec.Struct, frozen=True):
    """Of `refund` the payer gets `payer_refund`; the rest goes back into coupons. `settlement_refund`: what we lose."""

    refund: Fen
    payer_refund: Share | None = None
    discount_refund: Share | None = None
    settlement_refund: Share | None = None


class RefundTrade(msgspec.Struct, frozen=True, kw_only=True):
    """A refund. Answers call its state `status`, notifications `refund_status`: `state` is either."""

    out_refund_no: Word
    refund_id: Word | None = None
    out_trade_no: Word | None = None
    transaction_id: Word | None = None
    mchid: Word | None = None
    status: Word | None = None
    refund_status: Word | None = None
    success_time: str | None = None
    user_received_account: Annotated[str, Meta(max_length=64, pattern=r"^[^\x00]*$(?!\n)")] | None = None
    """In words, for the payer."""
    amount: RefundAmount | None = None

    @property
    def state(self) -> str:
        return self.refund_status or self.status or ""
