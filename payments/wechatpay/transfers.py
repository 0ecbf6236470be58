"""Transfers to a user (商家转账, `/v3/fund-app/mch-transfer/…`), each confirmed by the user in WeChat."""

from collections.abc import Mapping
from typing import Any

import msgspec

from payments.trades import Fen, Word
from payments.wechatpay.calling import Caller, read, missing_is_none
from payments.wechatpay.sealing import SealedText

_BILLS = "/v3/fund-app/mch-transfer/transfer-bills"


class TransferBill(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer, of an answer or of `MCHTRANSFER.BILL.FINISHED`. What is absent was not said."""

    out_bill_no: Word
    state: Word
    transfer_bill_no: Word | None = None
    mch_id: Word | None = None
    mchid: Word | None = None
    appid: Word | None = None
    openid: Word | None = None
    transfer_amount: Fen | None = None
    fail_reason: Word | None = None
    package_info: str | None = None
    create_time: str | None = None
    update_time: str | None = None

    @property
    def merchant(self) -> str | None:
        """Notifications spell it both ways."""
        return self.mch_id or self.mchid


class Transfers:
    """`notify_url` is told of the end."""

    def __init__(self, caller: Caller, notify_url: str) -> None:
        self._caller = caller
        self._notify_url = notify_url

    async def create(
        self,
        *,
        out_bill_no: str,
        appid: str,
        scene_id: str,
        openid: str,
        amount_fen: int,
        remark: str,
        report: Mapping[str, str],
        user_name: SealedText | None = None,
    ) -> TransferBill:
        """`POST …/transfer-bills`. Same number and values: harmless. `package_info` only in WAIT_USER_CONFIRM."""
        body: dict[str, Any] = {
            "appid": appid,
            "out_bill_no": out_bill_no,
            "transfer_scene_id": scene_id,
            "openid": openid,
            "transfer_amount": amount_fen,
            "transfer_remark": remark,
            "notify_url": self._notify_url,
            "transfer_scene_report_infos": [
                {"info_type": kind, "info_content": content} for kind, content in sorted(report.items())
            ],
        }
        if user_name is not None:
            body["user_name"] = user_name.text
        serial = user_name.serial if user_name else None
        return read(
            await self._caller.call("POST", _BILLS, body, serial=serial), TransferBill, out_bill_no, "out_bill_no"
        )

    async def query(self, out_bill_no: str) -> TransferBill | None:
        """`GET …/out-bill-no/{…}`. `None`: WeChat has no such transfer."""
        raw = await missing_is_none(self._caller.call("GET", f"{_BILLS}/out-bill-no/{out_bill_no}"))
        return None if raw is None else read(raw, TransferBill, out_bill_no, "out_bill_no")

    async def cancel(self, out_bill_no: str) -> TransferBill:
        """`POST …/cancel`, with an empty body. Raises `Refused` when the user was faster."""
        raw = await self._caller.call("POST", f"{_BILLS}/out-bill-no/{out_bill_no}/cancel")
        return read(raw, TransferBill, out_bill_no, "out_bill_no")
