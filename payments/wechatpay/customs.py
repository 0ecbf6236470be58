"""Customs declaration of payments for goods from abroad (`/v3/global/customs/…`)."""


import msgspec

from payments.trades import Word
from payments.wechatpay.calling import Caller

_ORDERS = "/v3/global/customs/orders"


class CustomsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A declaration. `state`: UNDECLARED, PROCESSING, SUBMITTED, SUCCESS, FAIL, EXCEPT."""

    state: Word
    out_trade_no: Word | None = None
    transaction_id: Word | None = None
    customs: Word | None = None
    sub_order_no: Word | None = None
    verify_department: Word | None = None
    verify_department_trade_id: Word | None = None
    explanation: str | None = None

    @property
    def failed(self) -> bool:
        return self.state in {"FAIL", "EXCEPT"}


class CustomsCalls:
    """As the merchant who was paid."""

    def __init__(self, caller: Caller, mchid: str, appid: str) -> None:
        self._caller = caller
        self._us = {"appid": appid, "mchid": mchid}
