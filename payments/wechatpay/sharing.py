"""Profit sharing (分账, `/v3/profitsharing/…`)."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from payments.trades import Fen, Word
from payments.wechatpay.calling import Caller, missing_is_none, read
from payments.wechatpay.sealing import SealedText

_ROOT = "/v3/profitsharing"


class SharedPart(msgspec.Struct, frozen=True, kw_only=True):
    """What WeChat says of one receiver of a share."""

    type: Word
    account: Word
    amount: Fen
    result: Word
    fail_reason: Word | None = None
    detail_id: Word | None = None


class SharingOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A share. `state`: PROCESSING or FINISHED."""

    out_order_no: Word
    state: Word
    transaction_id: Word | None = None
    order_id: Word | None = None
    receivers: list[SharedPart] = []


class SharingReturn(msgspec.Struct, frozen=True, kw_only=True):
    """A return. `result`: PROCESSING, SUCCESS or FAILED."""

    out_return_no: Word
    result: Word
    out_order_no: Word | None = None
    return_id: Word | None = None
    amount: Fen | None = None
    fail_reason: Word | None = None


class Unsplit(msgspec.Struct, frozen=True):
    """What of a payment is still frozen."""

    unsplit_amount: int


class ShareClaim(msgspec.Struct, frozen=True):
    """What one receiver shall get."""

    kind: str
    account: str
    amount_fen: int
    description: str


class Sharing:
    """The merchant's own shares; `appid` is where openids of receivers are known."""

    def __init__(self, caller: Caller, appid: str) -> None:
        self._caller = caller
        self._appid = appid

    async def add_receiver(
        self,
        *,
        kind: str,
        account: str,
        relation: str,
        custom_relation: str | None = None,
        name: SealedText | None = None,
    ) -> None:
        """`POST …/receivers/add`. Once more: harmless."""
        body = {"appid": self._appid, "type": kind, "account": account, "relation_type": relation}
        if custom_relation is not None:
            body["custom_relation"] = custom_relation
        if name is not None:
            body["name"] = name.text
        await self._caller.call("POST", f"{_ROOT}/receivers/add", body, serial=name.serial if name else None)

    async def delete_receiver(self, *, kind: str, account: str) -> None:
        """`POST …/receivers/delete`. Once more: harmless."""
        body = {"appid": self._appid, "type": kind, "account": account}
        await self._caller.call("POST", f"{_ROOT}/receivers/delete", body)

    async def share(
        self, *, out_order_no: str, transaction_id: str, claims: Sequence[ShareClaim], unfreeze: bool
    ) -> SharingOrder:
        """`POST …/orders`. Same number and values: harmless. Asynchronous: query until FINISHED."""
        body: dict[str, Any] = {
            "appid": self._appid,
            "transaction_id": transaction_id,
            "out_order_no": out_order_no,
            "receivers": [
                {"type": c.kind, "account": c.account, "amount": c.amount_fen, "description": c.description}
                for c in claims
            ],
            "unfreeze_unsplit": unfreeze,
        }
        raw = await self._caller.call("POST", f"{_ROOT}/orders", body)
        return read(raw, SharingOrder, out_order_no, "out_order_no")

    async def query(self, out_order_no: str, transaction_id: str) -> SharingOrder | None:
        """`GET …/orders/{…}`. `None`: WeChat has no such share."""
        path = f"{_ROOT}/orders/{out_order_no}?transaction_id={quote(transaction_id)}"
        raw = await missing_is_none(self._caller.call("GET", path))
        return None if raw is None else read(raw, SharingOrder, out_order_no, "out_order_no")

    async def unfreeze(self, out_order_no: str, transaction_id: str, description: str) -> SharingOrder:
        """`POST …/orders/unfreeze`, with a number of its own: the rest is the merchant's."""
        body = {"transaction_id": transaction_id, "out_order_no": out_order_no, "description": description}
        raw = await self._caller.call("POST", f"{_ROOT}/orders/unfreeze", body)
        return read(raw, SharingOrder, out_order_no, "out_order_no")

    async def give_back(
        self, *, out_order_no: str, out_return_no: str, return_mchid: str, amount_fen: int, description: str
    ) -> SharingReturn:
        """`POST …/return-orders`: from a merchant, within 180 days. Same number and values: harmless."""
        body: dict[str, Any] = {
            "out_order_no": out_order_no,
            "out_return_no": out_return_no,
            "return_mchid": return_mchid,
            "amount": amount_fen,
            "description": description,
        }
        raw = await self._caller.call("POST", f"{_ROOT}/return-orders", body)
        return read(raw, SharingReturn, out_return_no, "out_return_no")

    async def query_return(self, out_return_no: str, out_order_no: str) -> SharingReturn | None:
        """`GET …/return-orders/{…}`. `None`: WeChat has no such return."""
        path = f"{_ROOT}/return-orders/{out_return_no}?out_order_no={quote(out_order_no)}"
        raw = await missing_is_none(self._caller.call("GET", path))
        return None if raw is None else read(raw, SharingReturn, out_return_no, "out_return_no")

    async def unsplit_amount(self, transaction_id: str) -> int:
        """`GET …/transactions/{…}/amounts`: what is still frozen, in fen."""
        raw = await self._caller.call("GET", f"{_ROOT}/transactions/{transaction_id}/amounts")
        return msgspec.json.decode(raw, type=Unsplit).unsplit_amount
