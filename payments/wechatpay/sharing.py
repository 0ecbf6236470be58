"""Profit sharing (分账, `/v3/profitsharing/…`)."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

from payments.trades import Fen, Word
from payments.wechatpay.answers import missing_is_none, read, read_about
from payments.wechatpay.sealing import SealedText
from payments.wechatpay.speaker import Speaker
from payments.wechatpay.wording import REASON_BYTES, cut, fen, number, segment

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


class Sharing(Speaker):
    """Shares of the merchant's own payments, or of the sub-merchant's."""

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
        body = {**self._named(), "type": kind, "account": account, "relation_type": relation}
        if custom_relation is not None:
            body["custom_relation"] = custom_relation
        if name is not None:
            body["name"] = name.text
        await self.connection.call("POST", f"{_ROOT}/receivers/add", body, serial=name.serial if name else None)

    async def delete_receiver(self, *, kind: str, account: str) -> None:
        """`POST …/receivers/delete`. Once more: harmless."""
        body = {**self._named(), "type": kind, "account": account}
        await self.connection.call("POST", f"{_ROOT}/receivers/delete", body)

    async def share(
        self, *, out_order_no: str, transaction_id: str, claims: Sequence[ShareClaim], unfreeze: bool
    ) -> SharingOrder:
        """`POST …/orders`. Same number and values: harmless. Asynchronous: query until FINISHED."""
        body: dict[str, Any] = {
            **self._named(),
            "transaction_id": transaction_id,
            "out_order_no": number(out_order_no, at_most=64),
            "receivers": [
                {
                    "type": c.kind,
                    "account": c.account,
                    "amount": fen(c.amount_fen),
                    "description": cut(c.description, REASON_BYTES),
                }
                for c in claims
            ],
            "unfreeze_unsplit": unfreeze,
        }
        raw = await self.connection.call("POST", f"{_ROOT}/orders", body)
        return read_about(raw, SharingOrder, "out_order_no", out_order_no)

    async def query(self, out_order_no: str, transaction_id: str) -> SharingOrder | None:
        """`GET …/orders/{…}`. `None`: WeChat has no such share."""
        asked = {"transaction_id": transaction_id, **self.merchant.sub()}
        path = f"{_ROOT}/orders/{segment(out_order_no)}?{urlencode(asked)}"
        raw = await missing_is_none(self.connection.call("GET", path))
        return None if raw is None else read_about(raw, SharingOrder, "out_order_no", out_order_no)

    async def unfreeze(self, out_order_no: str, transaction_id: str, description: str) -> SharingOrder:
        """`POST …/orders/unfreeze`, with a number of its own: the rest is the merchant's."""
        body = {
            **self.merchant.sub(),
            "transaction_id": transaction_id,
            "out_order_no": number(out_order_no, at_most=64),
            "description": cut(description, REASON_BYTES),
        }
        raw = await self.connection.call("POST", f"{_ROOT}/orders/unfreeze", body)
        return read_about(raw, SharingOrder, "out_order_no", out_order_no)

    async def give_back(
        self, *, out_order_no: str, out_return_no: str, return_mchid: str, amount_fen: int, description: str
    ) -> SharingReturn:
        """`POST …/return-orders`: from a merchant, within 180 days. Same number and values: harmless."""
        body: dict[str, Any] = {
            **self.merchant.sub(),
            "out_order_no": out_order_no,
            "out_return_no": number(out_return_no, at_most=64),
            "return_mchid": return_mchid,
            "amount": fen(amount_fen),
            "description": cut(description, REASON_BYTES),
        }
        raw = await self.connection.call("POST", f"{_ROOT}/return-orders", body)
        return read_about(raw, SharingReturn, "out_return_no", out_return_no)

    async def query_return(self, out_return_no: str, out_order_no: str) -> SharingReturn | None:
        """`GET …/return-orders/{…}`. `None`: WeChat has no such return."""
        asked = {"out_order_no": out_order_no, **self.merchant.sub()}  # defect 12: the package begins with `?&`
        path = f"{_ROOT}/return-orders/{segment(out_return_no)}?{urlencode(asked)}"
        raw = await missing_is_none(self.connection.call("GET", path))
        return None if raw is None else read_about(raw, SharingReturn, "out_return_no", out_return_no)

    async def unsplit_amount(self, transaction_id: str) -> int:
        """`GET …/transactions/{…}/amounts`: what is still frozen, in fen."""
        raw = await self.connection.call("GET", f"{_ROOT}/transactions/{segment(transaction_id)}/amounts")
        return read(raw, Unsplit).unsplit_amount

    def _named(self) -> dict[str, str]:
        """Where openids of receivers are known; a partner adds whose payment it is."""
        us = {"appid": self.merchant.appid, **self.merchant.sub()}
        if self.merchant.sub_appid is not None:
            us["sub_appid"] = self.merchant.sub_appid
        return us
