"""Customs declaration of payments for goods from abroad (`/v3/global/customs/…`)."""

from typing import Any
from urllib.parse import urlencode

import msgspec

from payments.trades import Word
from payments.wechatpay.answers import Unknown, missing_is_none, read
from payments.wechatpay.speaker import Speaker
from payments.wechatpay.wording import said

_ORDERS = "/v3/global/customs/orders"
_REDECLARE = "/v3/global/customs/redeclare"
_PAGE = 20


class CustomsAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What customs is to be told. Amounts in fen; the order's own only with `sub_order_no`."""

    out_trade_no: str
    transaction_id: str
    customs: str
    merchant_customs_no: str
    currency: str
    duty_fen: int | None = None
    sub_order_no: str | None = None
    order_fen: int | None = None
    transport_fen: int | None = None
    product_fen: int | None = None


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
    modify_time: str | None = None


class _Found(msgspec.Struct):
    transaction_id: Word | None = None
    verify_department: Word | None = None
    verify_department_trade_id: Word | None = None
    data: list[CustomsAnswer] = []


class Declarations(Speaker):
    """As the merchant who was paid."""

    async def declare(self, ask: CustomsAsk) -> CustomsAnswer:
        """`POST …/orders`. Same values: harmless."""
        body = self._body(ask) | ({"fee_type": ask.currency} if ask.sub_order_no else {})
        return self._read(await self.connection.call("POST", _ORDERS, body), ask)

    async def amend(self, ask: CustomsAsk) -> CustomsAnswer:
        """`PATCH …/orders`: other values, which are declared again."""
        return self._read(await self.connection.call("PATCH", _ORDERS, self._body(ask)), ask)

    async def redeclare(self, ask: CustomsAsk) -> CustomsAnswer:
        """`POST …/redeclare`: the same values once more, after SUCCESS or EXCEPT, when customs has lost them."""
        names = ("out_trade_no", "transaction_id", "customs", "merchant_customs_no", "sub_order_no")
        body = {name: value for name, value in self._body(ask).items() if name in {*names, *self._us()}}
        return self._read(await self.connection.call("POST", _REDECLARE, body), ask)

    async def query(self, out_trade_no: str, customs: str, sub_order_no: str | None = None) -> CustomsAnswer | None:
        """`GET …/orders`. `None`: this office was told nothing of it."""
        kind, number = ("sub_order_no", sub_order_no) if sub_order_no else ("out_trade_no", out_trade_no)
        query = {**self._us(), "order_type": kind, "order_no": number, "customs": customs, "offset": 0, "limit": _PAGE}
        raw = await missing_is_none(self.connection.call("GET", f"{_ORDERS}?{urlencode(query)}"))
        if raw is None:
            return None
        found = read(raw, _Found)
        ours = (
            each
            for each in found.data
            if each.customs in (None, customs) and (each.sub_order_no or None) in (None, sub_order_no)
        )
        one = next(ours, None)
        if one is None:
            return None
        whole = {
            name: getattr(found, name) for name in ("transaction_id", "verify_department", "verify_department_trade_id")
        }
        return msgspec.structs.replace(one, **{name: value for name, value in whole.items() if value is not None})

    def _body(self, ask: CustomsAsk) -> dict[str, Any]:
        body: dict[str, Any] = {
            **self._us(),
            "out_trade_no": ask.out_trade_no,
            "transaction_id": ask.transaction_id,
            "customs": ask.customs,
            "merchant_customs_no": ask.merchant_customs_no,
            "duty": ask.duty_fen,
            "sub_order_no": ask.sub_order_no,
            "order_fee": ask.order_fen,
            "transport_fee": ask.transport_fen,
            "product_fee": ask.product_fen,
        }
        return said(body)

    def _us(self) -> dict[str, str]:
        return {"appid": self.merchant.appid, "mchid": self.merchant.mchid}

    def _read(self, raw: bytes, ask: CustomsAsk) -> CustomsAnswer:
        answer = read(raw, CustomsAnswer)
        if answer.out_trade_no not in (None, ask.out_trade_no):
            raise Unknown("an answer about another number")
        return answer
