"""What a client needs to open a payment: signed by us, now, with wall-clock time (WeChat Pay v3, 调起支付)."""

import time

import msgspec

from kit.numbers import new_nonce
from payments.wechatpay.speaker import Speaker


class PayParams(msgspec.Struct, frozen=True):
    """What the Mini Program passes to `wx.requestPayment`, member for member; a page of the service account adds `appId`."""

    timeStamp: str  # noqa: N815  (WeChat's own names)
    nonceStr: str  # noqa: N815
    package: str
    signType: str  # noqa: N815
    paySign: str  # noqa: N815


class AppParams(msgspec.Struct, frozen=True):
    """What a native app hands to WeChat's SDK, member for member."""

    appId: str  # noqa: N815
    partnerId: str  # noqa: N815
    prepayId: str  # noqa: N815
    packageValue: str  # noqa: N815
    nonceStr: str  # noqa: N815
    timeStamp: str  # noqa: N815
    sign: str


class Opening(Speaker):
    """Parameters for the two channels that open WeChat's own sheet."""

    def client_params(self, channel: str, token: str, appid: str | None = None) -> PayParams | AppParams:
        """For `jsapi` or `app`; `appid` is the app that opens it (the merchant's when it is not given).

        The fourth signed line is `prepay_id=…` in one and the bare number in the other. Signed where it is asked: the
        package holds the interpreter meanwhile, in a thread as well.
        """
        appid = appid or self.merchant.client_appid
        timestamp, nonce = str(int(time.time())), new_nonce()
        if channel == "app":
            sign = self.connection.sign(appid, timestamp, nonce, token)
            mchid = self.merchant.sub_mchid or self.merchant.mchid
            return AppParams(appid, mchid, token, "Sign=WXPay", nonce, timestamp, sign)
        if channel != "jsapi":
            raise ValueError(f"{channel} is opened by its URL, not by parameters")
        package = f"prepay_id={token}"
        sign = self.connection.sign(appid, timestamp, nonce, package)
        return PayParams(timestamp, nonce, package, "RSA", sign)
