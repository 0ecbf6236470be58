"""Who we are to WeChat Pay, and what that changes: paths and names of members, in one table.

A direct merchant, a partner who collects for a sub-merchant (服务商), and merchants overseas all run the same code; only
`Merchant.dialect` differs. Callers never know.
"""

from typing import Any

import msgspec


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """Paths of one kind of merchant. `{…}` stands for a number."""

    charges: str
    """`+ /jsapi`, `+ /out-trade-no/{…}`, `+ /out-trade-no/{…}/close`."""
    h5: str
    """The last part of the path that opens a payment in a browser."""
    code_pay: str
    reverse: str
    refunds: str
    refund: str
    """One refund, by our number."""
    names_trade_type: bool = False
    """Overseas: `trade_type` and `merchant_category_code` are members of a charge."""
    refund_names_merchant: bool = False
    """Overseas: a refund carries `mchid` and `appid`, its query the `mchid`."""


_OVERSEAS = Dialect(
    charges="/v3/global/transactions",
    h5="mweb",
    code_pay="/v3/global/micropay/transactions/pay",
    reverse="/v3/global/micropay/transactions/out-trade-no/{}/reverse",
    refunds="/v3/global/refunds",
    refund="/v3/global/refunds/out-refund-no/{}",
    names_trade_type=True,
    refund_names_merchant=True,
)
_DIALECTS = {
    ("cn", "direct"): Dialect(
        charges="/v3/pay/transactions",
        h5="h5",
        code_pay="/v3/pay/transactions/codepay",
        reverse="/v3/pay/transactions/out-trade-no/{}/reverse",
        refunds="/v3/refund/domestic/refunds",
        refund="/v3/refund/domestic/refunds/{}",
    ),
    ("cn", "partner"): Dialect(
        charges="/v3/pay/partner/transactions",
        h5="h5",
        code_pay="/v3/pay/partner/transactions/codepay",
        reverse="/v3/pay/partner/transactions/out-trade-no/{}/reverse",
        refunds="/v3/refund/domestic/refunds",
        refund="/v3/refund/domestic/refunds/{}",
    ),
    ("global", "direct"): _OVERSEAS,
    ("global", "partner"): _OVERSEAS,
}


class Merchant(msgspec.Struct, frozen=True, kw_only=True):
    """`mchid` signs. With `sub_mchid` it is a partner's, and the money is the sub-merchant's.

    `appid` is bound to `mchid`, `sub_appid` to `sub_mchid`; people pay in the app `paying_appid`, which is one of them.
    `region`: `cn` or `global`; there, `currency` is what prices are in, and `merchant_category_code` (MCC) is a must.
    """

    mchid: str
    appid: str
    paying_appid: str | None = None
    sub_mchid: str | None = None
    sub_appid: str | None = None
    region: str = "cn"
    currency: str = "CNY"
    merchant_category_code: str | None = None

    @property
    def is_partner(self) -> bool:
        return self.sub_mchid is not None

    @property
    def client_appid(self) -> str:
        """The app in which people pay: openids are of it, and the client's parameters are signed for it."""
        return self.paying_appid or self.appid

    @property
    def dialect(self) -> Dialect:
        return _DIALECTS[self.region, "partner" if self.is_partner else "direct"]

    def named(self, appid: str | None = None) -> dict[str, str]:
        """Who charges, as members of a request, for a payer in the app `appid`."""
        if self.sub_mchid is None:
            return {"appid": appid or self.client_appid, "mchid": self.mchid}
        return {"sp_appid": self.appid, "sp_mchid": self.mchid, **self.sub_named(appid)}

    def numbers(self) -> dict[str, str]:
        """Whose order: of queries, and of the body that closes one."""
        if self.sub_mchid is None:
            return {"mchid": self.mchid}
        return {"sp_mchid": self.mchid, "sub_mchid": self.sub_mchid}

    def sub(self) -> dict[str, str]:
        """What a partner adds where a direct merchant names nobody: refunds, bills, profit sharing."""
        return {} if self.sub_mchid is None else {"sub_mchid": self.sub_mchid}

    def sub_named(self, appid: str | None = None) -> dict[str, str]:
        """The sub-merchant of a partner; with its app only where the payer is in that one, for the answers repeat it."""
        sub = self.sub()
        if self.sub_appid is not None and self._in_sub(appid):
            sub["sub_appid"] = self.sub_appid
        return sub

    def payer(self, openid: str, appid: str | None = None) -> dict[str, Any]:
        """The payer, known by `openid` in the app `appid`."""
        if not self.is_partner:
            return {"openid": openid}
        return {"sub_openid" if self._in_sub(appid) else "sp_openid": openid}

    def _in_sub(self, appid: str | None) -> bool:
        return self.is_partner and (appid or self.client_appid) == self.sub_appid
