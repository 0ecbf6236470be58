"""Combined payment (合单, `/v3/combine-transactions/…`): one tap pays several sub-orders, all or nothing.

Other names than elsewhere: `total_amount` for `total`, and `attach` is a must.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from payments.trades import CombinedTrade, Trade
from payments.wechatpay.answers import Unknown, missing_is_none, read, read_about
from payments.wechatpay.charging import ChargeAsk, Token, scene_of
from payments.wechatpay.speaker import Speaker
from payments.wechatpay.wording import ATTACH_BYTES, DESCRIPTION_BYTES, beijing, cut, number, segment

_ROOT = "/v3/combine-transactions"
_FEWEST, _MOST = 2, 50


class Combining(Speaker):
    """Several payments by one payer at once."""

    async def create_combined(
        self,
        combine_no: str,
        asks: Sequence[ChargeAsk],
        *,
        openid: str | None = None,
        expires_at: datetime,
        channel: str = "jsapi",
        client_ip: str | None = None,
    ) -> str:
        """`POST …/{channel}`: the token that opens all of them. Same numbers and values: harmless.

        Raises `ValueError` for fewer than two or more than fifty, `Refused`, `Unknown`.
        """
        if not _FEWEST <= len(asks) <= _MOST:
            raise ValueError(f"a combination has {_FEWEST} to {_MOST} sub-orders, not {len(asks)}")
        body: dict[str, Any] = {
            "combine_appid": self._appid(asks[0].appid),
            "combine_mchid": self.merchant.mchid,
            "combine_out_trade_no": number(combine_no, at_least=6),
            "time_expire": beijing(expires_at),
            "notify_url": self.notify_url,
            "sub_orders": [self._sub_order(ask) for ask in asks],
        }
        if payer := openid or asks[0].openid:
            named = self.merchant.payer(payer, asks[0].appid)
            body["combine_payer_info"] = {name.removeprefix("sp_"): value for name, value in named.items()}
        scene = scene_of(asks[0])
        if client_ip:
            scene["payer_client_ip"] = client_ip
        if scene:
            body["scene_info"] = scene
        raw = await self.connection.call("POST", f"{_ROOT}/{channel}", body)
        return read(raw, Token).value

    async def query_combined(self, combine_no: str) -> list[Trade] | None:
        """`GET …/out-trade-no/{…}`: each sub-order as a trade. `None`: WeChat has no such combination."""
        raw = await missing_is_none(self.connection.call("GET", f"{_ROOT}/out-trade-no/{segment(combine_no)}"))
        if raw is None:
            return None
        whole = read_about(raw, CombinedTrade, "combine_out_trade_no", combine_no)
        if self.merchant.is_partner and whole.combine_appid not in (None, self.merchant.appid):
            raise Unknown("an answer about another app")
        return whole.trades

    async def close_combined(self, combine_no: str, out_trade_nos: Sequence[str], *, appid: str | None = None) -> None:
        """`POST …/close`, with exactly the sub-orders it was opened with. Raises `Refused` when it is paid."""
        body = {
            "combine_appid": self._appid(appid),
            "sub_orders": [
                {"mchid": self.merchant.mchid, "out_trade_no": no, **self.merchant.sub()} for no in out_trade_nos
            ],
        }
        await self.connection.call("POST", f"{_ROOT}/out-trade-no/{segment(combine_no)}/close", body)

    def _appid(self, paid_in: str | None) -> str:
        """A partner combines in its own name; the app of the payer may be a sub-merchant's."""
        return self.merchant.appid if self.merchant.is_partner else paid_in or self.merchant.client_appid

    def _sub_order(self, ask: ChargeAsk) -> dict[str, Any]:
        order: dict[str, Any] = {
            "mchid": self.merchant.mchid,
            **self.merchant.sub_named(ask.appid),
            "attach": cut(ask.attach or ask.out_trade_no, ATTACH_BYTES),
            "amount": {"total_amount": ask.amount_fen, "currency": self.merchant.currency},
            "out_trade_no": ask.out_trade_no,
            "description": cut(ask.description, DESCRIPTION_BYTES),
        }
        if ask.profit_sharing:
            order["settle_info"] = {"profit_sharing": True}
        return order
