"""WeChat Pay API v3 as we use it. Every call has three answers: done (it returns), refused (`Refused`), unknown (`Unknown`).

Unknown is asked again by query before anything is repeated under a new number.
"""

import asyncio
import time
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

import httpx
import msgspec
from wechatpayv3.async_ import AsyncWeChatPay, WeChatPayType

from kit.http import outside_client
from kit.numbers import new_nonce
from payments.trades import RefundTrade, Trade
from payments.wechatpay.keyring import Keyring
from payments.wechatpay.notification import FRESH_S

T = TypeVar("T")
_BEIJING = timezone(timedelta(hours=8))
_DESCRIPTION_BYTES = 127
_REASON_BYTES = 80
_TOO_FAST = 429
_ACCEPTED = 202
_MISSING = 404
_OTHERWISE_MISSING = frozenset({"", "HTTP404", "MCHNOTEXISTS"})
"""404s that do not speak of the order or the refund: a wrong address, an unknown merchant."""


class Refused(Exception):
    """WeChat Pay says no. `code` has no underscores (`ORDERPAID`): the spelling varies with the age of the call."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


class Unknown(Exception):
    """No answer, or one that cannot be trusted: it may or may not have happened."""


class PayParams(msgspec.Struct, frozen=True):
    """What the Mini Program passes to `wx.requestPayment`, member for member."""

    timeStamp: str  # noqa: N815  (WeChat's own names)
    nonceStr: str  # noqa: N815
    package: str
    signType: str  # noqa: N815
    paySign: str  # noqa: N815


class _Failure(msgspec.Struct):
    code: str = ""
    message: str = ""


class _Prepay(msgspec.Struct):
    prepay_id: str


class Gateway:
    """One per process. `notify_url` is where WeChat tells us; it must be public and carry no query."""

    def __init__(
        self,
        *,
        url: str,
        mchid: str,
        appid: str,
        cert_serial: str,
        private_key: str,
        apiv3_key: str,
        keyring: Keyring,
        notify_url: str,
        public_key: str | None = None,
        public_key_id: str | None = None,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        self.mchid = mchid
        self.appid = appid
        self.keyring = keyring
        self.notify_url = notify_url
        self._http = client or outside_client()
        self._http.event_hooks["response"].append(_check_fresh)
        self._sdk: Any = AsyncWeChatPay(
            wechatpay_type=WeChatPayType.JSAPI,
            mchid=mchid,
            private_key=private_key,
            cert_serial_no=cert_serial,
            appid=appid,
            apiv3_key=apiv3_key,
            notify_url=notify_url,
            public_key=public_key,
            public_key_id=public_key_id,
        )
        core = self._sdk._core  # noqa: SLF001  (the package offers no way to name another host or client)
        core._gate_way = url.rstrip("/")  # noqa: SLF001
        core._client = self._http  # noqa: SLF001
        core._update_certificates = self.refresh_keys  # noqa: SLF001  (its own empties the list first: defect of callback())

    async def close_connections(self) -> None:
        await self._http.aclose()

    async def refresh_keys(self) -> None:
        """Download the platform certificates. Call at start and every 12 hours, unless only a public key is used."""

        async def fetch() -> bytes:
            return await self._call(
                self._sdk._core.request("/v3/certificates", skip_verify=True)  # noqa: SLF001  (bootstraps the keys)
            )

        await self.keyring.refresh(fetch)
        self._sdk._core._certificates = self.keyring.certificates  # noqa: SLF001

    async def create_jsapi(
        self, *, out_trade_no: str, description: str, amount_fen: int, openid: str, expires_at: datetime
    ) -> str:
        """`POST /v3/pay/transactions/jsapi`: the `prepay_id`, good for two hours. Same number and values: harmless."""
        answer = await self._call(
            self._sdk.pay(
                description=cut(description, _DESCRIPTION_BYTES),
                out_trade_no=out_trade_no,
                amount={"total": amount_fen, "currency": "CNY"},
                payer={"openid": openid},
                time_expire=expires_at.astimezone(_BEIJING).isoformat(timespec="seconds"),
                pay_type=WeChatPayType.MINIPROG,
            )
        )
        return _read(answer, _Prepay).prepay_id

    async def query(self, out_trade_no: str) -> Trade | None:
        """`GET /v3/pay/transactions/out-trade-no/{…}`. `None`: WeChat has no such order."""
        try:
            trade = _read(await self._call(self._sdk.query(out_trade_no=out_trade_no)), Trade)
        except Refused as error:
            if _is_missing(error):
                return None
            raise
        return _about(trade, trade.out_trade_no, out_trade_no)

    async def close(self, out_trade_no: str) -> None:
        """`POST …/close`. Raises `Refused` when it is paid (`ORDERPAID`), among others: always query afterwards."""
        await self._call(self._sdk.close(out_trade_no))

    async def refund(
        self, *, out_refund_no: str, out_trade_no: str, amount_fen: int, total_fen: int, reason: str
    ) -> RefundTrade:
        """`POST /v3/refund/domestic/refunds`: accepted is not refunded yet. Same number and values: harmless."""
        answer = await self._call(
            self._sdk.refund(
                out_refund_no=out_refund_no,
                out_trade_no=out_trade_no,
                amount={"refund": amount_fen, "total": total_fen, "currency": "CNY"},
                reason=cut(reason, _REASON_BYTES),
                notify_url=self.notify_url,
            )
        )
        refund = _read(answer, RefundTrade)
        return _about(refund, refund.out_refund_no, out_refund_no)

    async def query_refund(self, out_refund_no: str) -> RefundTrade | None:
        """`GET /v3/refund/domestic/refunds/{…}`. `None`: WeChat has no such refund."""
        try:
            refund = _read(await self._call(self._sdk.query_refund(out_refund_no)), RefundTrade)
        except Refused as error:
            if _is_missing(error):
                return None
            raise
        return _about(refund, refund.out_refund_no, out_refund_no)

    async def pay_params(self, prepay_id: str) -> PayParams:
        """Signed now, with wall-clock time. The signature (RSA, 0.2 ms) is made in a thread."""
        timestamp, nonce, package = str(int(time.time())), new_nonce(), f"prepay_id={prepay_id}"
        signature = await asyncio.to_thread(self._sdk.sign, [self.appid, timestamp, nonce, package])
        return PayParams(timestamp, nonce, package, "RSA", signature)

    async def _call(self, call: Any) -> bytes:
        """The body of a 2xx with a good signature. Raises `Refused` or `Unknown`."""
        try:
            status, body = await call
        except (httpx.TransportError, StaleAnswer) as error:
            raise Unknown(type(error).__name__) from error
        except AssertionError:
            raise
        except Exception as error:  # the package raises bare Exceptions, a bad signature among them
            raise Unknown(str(error)[:200]) from error
        raw = body.encode() if isinstance(body, str) else body
        if status >= 500 or status in {_TOO_FAST, _ACCEPTED}:
            raise Unknown(f"HTTP {status}")
        if status >= 300:
            raise _refusal(status, raw)
        return bytes(raw)


class StaleAnswer(Exception):
    """A signed answer whose timestamp is more than five minutes off."""


async def _check_fresh(response: httpx.Response) -> None:
    """The package verifies the signature of an answer, but not its time."""
    if response.is_success and "wechatpay-timestamp" in response.headers:
        timestamp = response.headers["wechatpay-timestamp"]
        if not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > FRESH_S:
            raise StaleAnswer


def _refusal(status: int, raw: bytes) -> Refused:
    try:
        failure = msgspec.json.decode(raw, type=_Failure)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        failure = _Failure(code=f"HTTP{status}")
    return Refused(status, failure.code.replace("_", ""), failure.message[:200])


def _is_missing(error: Refused) -> bool:
    """WeChat knows no such order or refund. The spelling of the code varies with the age of the call."""
    if error.code in {"ORDERNOTEXIST", "RESOURCENOTEXISTS", "REFUNDNOTEXIST"}:
        return True
    return error.status == _MISSING and error.code not in _OTHERWISE_MISSING


def _about(answer: T, said: str, asked: str) -> T:
    if said != asked:
        raise Unknown("an answer about another number")
    return answer


def _read(raw: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unknown("an answer that cannot be read") from error


def cut(value: str, limit_bytes: int) -> str:
    """`value` in at most `limit_bytes` of UTF-8, cut between characters: WeChat Pay counts bytes."""
    return value.encode()[:limit_bytes].decode(errors="ignore")
