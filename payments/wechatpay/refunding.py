"""Refunds: asked for, looked up, and helped on when the payer's account is gone."""

from typing import Any
from urllib.parse import urlencode

from payments.trades import RefundTrade
from payments.wechatpay import sealing
from payments.wechatpay.answers import missing_is_none, read_about
from payments.wechatpay.speaker import Speaker
from payments.wechatpay.wording import REASON_BYTES, cut, fen, number, said, segment

KINDS = frozenset({"USER_BANK_CARD", "MERCHANT_BANK_CARD"})


class Refunding(Speaker):
    """Money back to who paid."""

    async def refund(
        self,
        *,
        out_refund_no: str,
        out_trade_no: str,
        amount_fen: int,
        total_fen: int,
        reason: str,
        transaction_id: str | None = None,
    ) -> RefundTrade:
        """`POST …/refunds`: accepted is not refunded yet. Same number and values: harmless.

        With `transaction_id` that names the payment instead of `out_trade_no` (a part of a combined one).

        Our `notify_url` always goes with it: without one WeChat may tell the portal's address, in XML. (Defect 7: the
        package would guess.) Raises `Refused`, `Unknown`.
        """
        dialect = self.merchant.dialect
        body: dict[str, Any] = {
            **(self.merchant.named() if dialect.refund_names_merchant else self.merchant.sub()),
            **({"transaction_id": transaction_id} if transaction_id else {"out_trade_no": number(out_trade_no)}),
            "out_refund_no": number(out_refund_no, at_most=64),
            "notify_url": self.notify_url,
            "amount": {"refund": fen(amount_fen), "total": fen(total_fen), "currency": self.merchant.currency},
        }
        if reason:
            body["reason"] = cut(reason, REASON_BYTES)
        raw = await self.connection.call("POST", dialect.refunds, body)
        return read_about(raw, RefundTrade, "out_refund_no", out_refund_no)

    async def query_refund(self, out_refund_no: str) -> RefundTrade | None:
        """`GET …/refunds/{…}`. `None`: WeChat has no such refund. Raises `Refused`, `Unknown`."""
        dialect = self.merchant.dialect
        path = dialect.refund.format(segment(out_refund_no))
        asked = self.merchant.numbers() if dialect.refund_names_merchant else self.merchant.sub()
        if asked:
            path += "?" + urlencode(asked)
        raw = await missing_is_none(self.connection.call("GET", path))
        return None if raw is None else read_about(raw, RefundTrade, "out_refund_no", out_refund_no)

    async def apply_abnormal(
        self,
        *,
        refund_id: str,
        out_refund_no: str,
        kind: str,
        bank_type: str | None = None,
        bank_account: str | None = None,
        real_name: str | None = None,
    ) -> RefundTrade:
        """`POST …/{refund_id}/apply-abnormal-refund`: to a bank card of the payer, or back to the merchant.

        `kind`: USER_BANK_CARD (with `bank_type`, `bank_account`, `real_name`) or MERCHANT_BANK_CARD. Domestic only.
        Raises `Refused`, `Unknown`, `sealing.CannotSeal` (503), `ValueError`.
        """
        if kind not in KINDS or (kind == "USER_BANK_CARD" and not (bank_type and bank_account and real_name)):
            raise ValueError("USER_BANK_CARD needs bank_type, bank_account and real_name; else MERCHANT_BANK_CARD")
        sealed = {
            name: sealing.seal(self.connection.keyring, value)
            for name, value in (("bank_account", bank_account), ("real_name", real_name))
            if value
        }
        body = said({"out_refund_no": out_refund_no, "type": kind, "bank_type": bank_type, **self.merchant.sub()})
        body |= {name: value.text for name, value in sealed.items()}
        path = f"/v3/refund/domestic/refunds/{segment(refund_id)}/apply-abnormal-refund"
        serial = next((value.serial for value in sealed.values()), None)
        raw = await self.connection.call("POST", path, body, serial=serial)
        return read_about(raw, RefundTrade, "out_refund_no", out_refund_no)
