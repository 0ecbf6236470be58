"""Bad days on demand: the next calls that fit are answered as a failing WeChat would."""

import asyncio
import re
import secrets
from base64 import b64encode
from typing import Annotated, Literal

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

Effect = Literal[
    "500",
    "502_html",
    "503",
    "429",
    "timeout_before",
    "500_after",
    "502_html_after",
    "503_after",
    "429_after",
    "timeout_after",
    "slow",
    "bad_response_signature",
    "probe",
    "wrong_signature",
    "unsigned",
    "unknown_serial",
    "wrong_content_type",
    "stale_timestamp",
    "truncated_json",
    "another_number",
    "errcode",
    "refused",
]
TAMPER = {"bad_response_signature", "probe", "wrong_signature", "unsigned", "unknown_serial", "wrong_content_type"}
SIGNED = {"stale_timestamp", "truncated_json", "another_number"}
"""Wrong in what is signed: the pay API does these itself, and signs them."""
OUR_OWN = ("/_sandbox", "/phone", "/inspect")
"""Paths that no WeChat has: never disturbed."""
EFFECT = "sandbox.effect"
"""Where the pay API finds the effect of a call in its scope."""


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """``path`` is a prefix of the request path, or a regular expression found in it."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    effect: Effect
    method: str = "*"
    times: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1
    seconds: Annotated[float, msgspec.Meta(ge=0, le=600)] = 30.0
    """How long a timeout holds the caller before the line goes dead with a 504; how late ``slow`` answers."""
    errcode: int = -1
    """For ``errcode``: what ``api.weixin.qq.com`` answers."""
    status: Annotated[int, msgspec.Meta(ge=400, le=499)] = 403
    code: Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[A-Z_]*$(?!\n)")] = "NO_AUTH"
    """For ``refused``: with what the pay API refuses the call; without a code a proxy does, in HTML."""

    def fits(self, method: str, path: str) -> bool:
        """Whether this call is to fail."""
        if self.method.upper() not in {"*", method}:
            return False
        return path.startswith(self.path) or re.search(self.path, path) is not None


class Faults:
    """Those that wait; the first that fits is used up by one call."""

    def __init__(self) -> None:
        self.waiting: list[Fault] = []

    def take(self, method: str, path: str) -> Fault | None:
        """The fault of this call, if any."""
        for fault in self.waiting:
            if fault.fits(method, path):
                fault.times -= 1
                if fault.times == 0:
                    self.waiting.remove(fault)
                return fault
        return None


def disturb(app: ASGIApp, faults: Faults) -> ASGIApp:
    """Stand before the app; the levers and the pages are never disturbed."""

    async def disturbed(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != ScopeType.HTTP or path.startswith(OUR_OWN):
            await app(scope, receive, send)
            return
        fault = faults.take(str(scope.get("method")), path)
        if fault is None:
            await app(scope, receive, send)
        elif fault.effect == "slow":
            await asyncio.sleep(fault.seconds)
            await app(scope, receive, send)
        elif fault.effect in SIGNED:
            scope[EFFECT] = fault.effect  # type: ignore[literal-required]  # a key of our own
            await app(scope, receive, send)
        elif fault.effect in TAMPER:
            await app(scope, receive, _tampering(send, fault.effect))
        else:
            if fault.effect.endswith("_after"):
                await app(scope, receive, _swallow)  # the work is done, the answer is lost
            if fault.effect.startswith("timeout"):
                await asyncio.sleep(fault.seconds)
            await _fail(send, fault)

    return disturbed


async def _swallow(_: Message) -> None:
    """Whatever was answered, nobody hears it."""


def _tampering(send: Send, effect: str) -> Send:
    async def tampering(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [(bytes(name), bytes(value)) for name, value in message["headers"]]
            message["headers"] = _tampered(headers, effect)
        await send(message)

    return tampering


def _tampered(headers: list[tuple[bytes, bytes]], effect: str) -> list[tuple[bytes, bytes]]:
    if effect == "unsigned":
        return [pair for pair in headers if not pair[0].startswith(b"wechatpay-")]
    name, wrong = {
        "wrong_signature": (b"wechatpay-signature", b64encode(secrets.token_bytes(256))),
        "unknown_serial": (b"wechatpay-serial", b"7" * 40),
        "wrong_content_type": (b"content-type", b"text/html"),
    }.get(effect, (b"wechatpay-signature", b""))
    probe = b"WECHATPAY/SIGNTEST/"  # as WeChat's own probes look
    return [(key, (wrong or probe + value[len(probe) :]) if key == name else value) for key, value in headers]


ANSWERS = {
    "500": (500, '{"code":"SYSTEM_ERROR","message":"系统异常，请稍后重试"}'),
    "503": (503, '{"code":"SERVICE_UNAVAILABLE","message":"服务不可用，请稍后重试"}'),
    "429": (429, '{"code":"FREQUENCY_LIMITED","message":"请求过于频繁，请稍后重试"}'),
}
BROKEN_PROXY = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n</body>\r\n</html>\r\n"
)


async def _fail(send: Send, fault: Fault) -> None:
    kind, effect = b"application/json; charset=utf-8", fault.effect.removesuffix("_after")
    if fault.effect == "errcode":
        status, text = 200, f'{{"errcode":{fault.errcode},"errmsg":"injected rid: 00000000-00000000-00000000"}}'
    elif effect in ANSWERS:
        status, text = ANSWERS[effect]
    elif effect == "refused" and fault.code:
        status, text = fault.status, f'{{"code":"{fault.code}","message":"商户号无权限或请求不合法"}}'
    elif effect == "refused":
        status, kind, text = fault.status, b"text/html", BROKEN_PROXY.format(fault.status)
    else:
        status, kind = (502, b"text/html") if effect == "502_html" else (504, b"text/html")
        text = BROKEN_PROXY.format("502 Bad Gateway" if status == 502 else "504 Gateway Time-out")
    body = text.encode()
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
