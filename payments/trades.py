"""What WeChat Pay says of a payment or a refund, read from a verified notification or a signed answer.

Unknown members are ignored; what is absent is absent, not null (WeChat Pay v3, "transaction" object).
"""

from datetime import datetime

import msgspec

PAID_STATES = frozenset({"SUCCESS", "REFUND"})
"""REFUND: paid, and a refund was accepted since, also a partial one."""
DEAD_STATES = frozenset({"CLOSED", "REVOKED", "PAYERROR"})


class Amount(msgspec.Struct, frozen=True):
    total: int
    currency: str = "CNY"


class Payer(msgspec.Struct, frozen=True):
    openid: str | None = None


class Trade(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction, of `GET /v3/pay/transactions/…` and of `TRANSACTION.SUCCESS`."""

    out_trade_no: str
    trade_state: str
    mchid: str | None = None
    appid: str | None = None
    transaction_id: str | None = None
    success_time: datetime | None = None
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
    refund: int
    total: int | None = None


class RefundTrade(msgspec.Struct, frozen=True, kw_only=True):
    """A refund. Answers call its state `status`, notifications `refund_status`: `state` is either."""

    out_refund_no: str
    refund_id: str | None = None
    out_trade_no: str | None = None
    transaction_id: str | None = None
    mchid: str | None = None
    status: str | None = None
    refund_status: str | None = None
    success_time: datetime | None = None
    amount: RefundAmount | None = None

    @property
    def state(self) -> str:
        return self.refund_status or self.status or ""
