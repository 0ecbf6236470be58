"""Transfers to a user (商家转账, `/v3/fund-app/mch-transfer/…`), each confirmed by the user in WeChat."""

from collections.abc import Mapping
from typing import Any

import msgspec

from payments.trades import Fen, Word
from payments.wechatpay.answers import missing_is_none, read_about
from payments.wechatpay.sealing import SealedText
from payments.wechatpay.speaker import Speaker
from payments.wechatpay.wording import REMARK_BYTES, cut, fen, number, segment

_BILLS = "/v3/fund-app/mch-transfer/transfer-bills"
_STYLES = ("CONFIRM_PAGE", "RED_PACKET")


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


class Transfers(Speaker):
    """`notify_url` is told of the end. Always of the merchant who signs, also where that is a partner."""

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
        style: str | None = None,
        perception: str | None = None,
    ) -> TransferBill:
        """`POST …/transfer-bills`. Same number and values: harmless. `package_info` only in WAIT_USER_CONFIRM.

        `style`: CONFIRM_PAGE or RED_PACKET. (Defect 7: the package drops the name under 0.30 yuan without a word, sends
        a `null` for what is not there, and knows no style.) Raises `Refused`, `Unknown`, `ValueError`.
        """
        if style not in {None, *_STYLES}:
            raise ValueError(f"style must be one of {', '.join(_STYLES)}")
        body: dict[str, Any] = {
            "appid": appid,
            "out_bill_no": number(out_bill_no),
            "transfer_scene_id": scene_id,
            "openid": openid,
            "transfer_amount": fen(amount_fen),
            "transfer_remark": cut(remark, REMARK_BYTES),
            "notify_url": self.notify_url,
            "transfer_scene_report_infos": [
                {"info_type": kind, "info_content": content} for kind, content in sorted(report.items())
            ],
        }
        if user_name is not None:
            body["user_name"] = user_name.text
        if style is not None:
            body["user_recv_style"] = {"type": style}
        if perception is not None:
            body["user_recv_perception"] = perception
        raw = await self.connection.call("POST", _BILLS, body, serial=user_name.serial if user_name else None)
        return read_about(raw, TransferBill, "out_bill_no", out_bill_no)

    async def query(self, out_bill_no: str) -> TransferBill | None:
        """`GET …/out-bill-no/{…}`. `None`: WeChat has no such transfer."""
        raw = await missing_is_none(self.connection.call("GET", f"{_BILLS}/out-bill-no/{segment(out_bill_no)}"))
        return None if raw is None else read_about(raw, TransferBill, "out_bill_no", out_bill_no)

    async def cancel(self, out_bill_no: str) -> TransferBill:
        """`POST …/cancel`, with an empty body (defect 2: the package sends `null`, and is refused).

        Raises `Refused` when the user was faster.
        """
        raw = await self.connection.call("POST", f"{_BILLS}/out-bill-no/{segment(out_bill_no)}/cancel")
        return read_about(raw, TransferBill, "out_bill_no", out_bill_no)
