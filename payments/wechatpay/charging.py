"""Charges: opened on one of the channels, asked for, closed; and the payment code at the counter."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import msgspec

from payments.trades import USERPAYING, Trade
from payments.wechatpay.answers import Refused, Unknown, missing_is_none, read, read_about
from payments.wechatpay.speaker import Speaker
from payments.wechatpay.wording import ATTACH_BYTES, DESCRIPTION_BYTES, beijing, cut, fen, number, said, segment

_TRADE_TYPES = {"jsapi": "JSAPI", "app": "APP", "h5": "MWEB", "native": "NATIVE"}
CHANNELS = frozenset(_TRADE_TYPES)
_ONLY_STORE = "1"
"""WeChat wants to know which counter; a shop with one has no name for it."""
_SCENE_TYPES = frozenset({"Wap", "iOS", "Android"})


class ChargeAsk(msgspec.Struct, frozen=True, kw_only=True):
    """A payment to be opened. Same number and values: harmless.

    `openid` is of the app `appid` (the merchant's when it is not given), and needed for `jsapi` only. `client_ip` and
    `h5_type` (`Wap`, `iOS`, `Android`) are needed for `h5`. `profit_sharing` freezes the money until it is shared.
    """

    channel: str
    out_trade_no: str
    description: str
    amount_fen: int
    expires_at: datetime
    openid: str | None = None
    appid: str | None = None
    client_ip: str | None = None
    h5_type: str | None = None
    profit_sharing: bool = False
    attach: str | None = None

    def __post_init__(self) -> None:
        if self.channel not in CHANNELS:
            raise ValueError(f"channel must be one of {', '.join(sorted(CHANNELS))}, not {self.channel!r}")
        if self.channel == "jsapi" and not self.openid:
            raise ValueError("openid is needed for jsapi")
        if self.channel == "h5" and not self.client_ip:
            raise ValueError("client_ip is needed for h5")
        if self.h5_type not in {None, *_SCENE_TYPES}:
            raise ValueError(f"h5_type must be one of {', '.join(sorted(_SCENE_TYPES))}, not {self.h5_type!r}")
        number(self.out_trade_no, at_least=6)
        fen(self.amount_fen)


class Token(msgspec.Struct):
    """What the client opens the payment with: one of them."""

    prepay_id: str | None = None
    h5_url: str | None = None
    code_url: str | None = None
    mweb_url: str | None = None
    """Overseas: the `h5_url`."""

    @property
    def value(self) -> str:
        token = self.prepay_id or self.h5_url or self.code_url or self.mweb_url
        if not token:
            raise Unknown("an answer without prepay_id, h5_url or code_url")
        return token


class Charging(Speaker):
    """One payment by one payer."""

    async def create(self, ask: ChargeAsk) -> str:
        """`POST …/transactions/{channel}`: a `prepay_id` (two hours), an `h5_url` (five minutes) or a `code_url`.

        Raises `Refused`, `Unknown`.
        """
        dialect = self.merchant.dialect
        channel = dialect.h5 if ask.channel == "h5" else ask.channel
        raw = await self.connection.call("POST", f"{dialect.charges}/{channel}", self._charge(ask))
        return read(raw, Token).value

    async def query(self, out_trade_no: str) -> Trade | None:
        """`GET …/out-trade-no/{…}`. `None`: WeChat has no such order. Raises `Refused`, `Unknown`."""
        path = f"{self.merchant.dialect.charges}/out-trade-no/{segment(out_trade_no)}"
        query = urlencode(self.merchant.numbers())  # defect 9: the package names a sub-merchant `None`
        raw = await missing_is_none(self.connection.call("GET", f"{path}?{query}"))
        return None if raw is None else self._trade(raw, out_trade_no)

    async def close(self, out_trade_no: str) -> None:
        """`POST …/close`. Raises `Refused` when it is paid (`ORDERPAID`), among others: always query afterwards."""
        path = f"{self.merchant.dialect.charges}/out-trade-no/{segment(out_trade_no)}/close"
        await self.connection.call("POST", path, self.merchant.numbers())

    async def charge_code(
        self,
        *,
        out_trade_no: str,
        description: str,
        amount_fen: int,
        auth_code: str,
        store_id: str = _ONLY_STORE,
        device_ip: str | None = None,
        device_id: str | None = None,
        attach: str | None = None,
    ) -> Trade:
        """`POST …/codepay`: money at once, from the code that a payer shows. Never sent twice without asking.

        USERPAYING (the payer types a password) is an answer like any other: query, and `reverse` in the end. (Defect 8:
        the package sends a `notify_url`, which this call refuses.) Raises `Refused`, `Unknown`.
        """
        scene = said({"device_id": device_id, "device_ip": device_ip, "store_info": {"id": store_id}})
        body: dict[str, Any] = {
            **self.merchant.named(),
            **self._classified("MICROPAY"),
            "description": cut(description, DESCRIPTION_BYTES),
            "out_trade_no": number(out_trade_no, at_least=6),
            "amount": {"total": fen(amount_fen), "currency": self.merchant.currency},
            "payer": {"auth_code": auth_code},
            "scene_info": scene,
        }
        if attach:
            body["attach"] = cut(attach, ATTACH_BYTES)
        try:
            raw = await self.connection.call("POST", self.merchant.dialect.code_pay, body, accepted=True)
        except Refused as error:
            if error.code == USERPAYING:
                return Trade(out_trade_no=out_trade_no, trade_state=USERPAYING)
            raise
        try:
            return self._trade(raw, out_trade_no)
        except Unknown:
            # A 202 need not have the order inside. It is ours: signed, and in answer to this number.
            if read(raw, _Coded).code.replace("_", "") == USERPAYING:
                return Trade(out_trade_no=out_trade_no, trade_state=USERPAYING)
            raise

    async def reverse(self, out_trade_no: str) -> None:
        """`POST …/reverse`: an unpaid order at the counter is closed, a paid one is given back. Query afterwards.

        Not within 15 s of the payment, only within 7 days. Raises `Refused`, `Unknown`.
        """
        path = self.merchant.dialect.reverse.format(segment(out_trade_no))
        named = self.merchant.numbers() if self.merchant.region == "global" else self.merchant.named()
        await self.connection.call("POST", path, named)

    def _charge(self, ask: ChargeAsk) -> dict[str, Any]:
        """The body of a charge; every member that is not given is left out."""
        body: dict[str, Any] = {
            **self.merchant.named(ask.appid),
            **self._classified(_TRADE_TYPES[ask.channel]),
            "description": cut(ask.description, DESCRIPTION_BYTES),
            "out_trade_no": ask.out_trade_no,
            "time_expire": beijing(ask.expires_at),
            "notify_url": self.notify_url,
            "amount": {"total": ask.amount_fen, "currency": self.merchant.currency},
        }
        if ask.attach:
            body["attach"] = cut(ask.attach, ATTACH_BYTES)
        if ask.channel == "jsapi" and ask.openid:
            body["payer"] = self.merchant.payer(ask.openid, ask.appid)
        if ask.profit_sharing:
            body["settle_info"] = {"profit_sharing": True}
        if scene := scene_of(ask):
            body["scene_info"] = scene
        return body

    def _classified(self, trade_type: str) -> dict[str, str]:
        if not self.merchant.dialect.names_trade_type:
            return {}
        return {"trade_type": trade_type, "merchant_category_code": self.merchant.merchant_category_code or ""}

    def _trade(self, raw: bytes, out_trade_no: str) -> Trade:
        trade = read_about(raw, Trade, "out_trade_no", out_trade_no)
        if trade.sub_mchid not in {None, self.merchant.sub_mchid}:
            raise Unknown("an answer about another sub-merchant")
        return trade


class _Coded(msgspec.Struct):
    code: str = ""


def scene_of(ask: ChargeAsk) -> dict[str, Any]:
    """`scene_info`: where the payer is. Needed for `h5`."""
    if not ask.client_ip:
        return {}
    if ask.channel != "h5":
        return {"payer_client_ip": ask.client_ip}
    return {"payer_client_ip": ask.client_ip, "h5_info": {"type": ask.h5_type or "Wap"}}
