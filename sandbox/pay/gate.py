"""Who may call: the checks WeChat makes before it looks at the business, in WeChat's order."""

import json
import re
import time
from dataclasses import dataclass

from sandbox import sealing
from sandbox.pay import hints, sealed_fields
from sandbox.pay.exchange import LARGEST_BODY, Call
from sandbox.pay.refusals import Refusal, invalid, mchid_mismatch, param_error, sign_error
from sandbox.pay.shape import Record
from sandbox.world import World

SCHEME = "WECHATPAY2-SHA256-RSA2048"
TOLERANCE_S = 300
SHOWN_BYTES = 4000
PAIR = re.compile(r'\s*(\w+)="([^"]*)"\s*')
SIGNERS = ("mchid", "sp_mchid", "combine_mchid")
"""Where a request repeats who signs it: directly, as a partner, of a combined payment."""
NAMES = {"mchid", "nonce_str", "signature", "timestamp", "serial_no"}

MALFORMED = "Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》"
MALFORMED_AT_TRANSACTIONS = "签名信息错误，验签失败"
STALE = "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟"
UNKNOWN_SERIAL = "商户证书序列号有误。请使用签名私钥匹配的证书序列号"


@dataclass(frozen=True)
class Credentials:
    """The five items of an Authorization header."""

    mchid: str
    nonce_str: str
    signature: str
    timestamp: str
    serial_no: str


def admit(world: World, call: Call, form: Record | None, sealed: tuple[str, ...] = ()) -> None:
    """Let the call through, its ``json`` filled in, or raise what WeChat would answer."""
    at_transactions = call.path.startswith("/v3/pay/transactions/")
    if not at_transactions and not (call.headers.get("user-agent") and call.headers.get("accept")):
        raise invalid("Http头缺少Accept或User-Agent")
    try:
        who = _credentials(call, at_transactions=at_transactions)
    except Refusal as refusal:
        hint = hints.of_header(call.headers.get("authorization", ""))
        _remember(world, call, Credentials("", "", "", "", ""), refusal.message, hint)
        raise
    behind_s = time.time() - int(who.timestamp)
    if abs(behind_s) > TOLERANCE_S:
        _remember(world, call, who, STALE, hints.of_clock(behind_s))
        raise sign_error(STALE)
    identity = world.keys.identity
    if who.mchid != identity.mch_id or who.serial_no != world.keys.merchant_serial:
        _remember(world, call, who, UNKNOWN_SERIAL)
        raise sign_error(UNKNOWN_SERIAL)
    _check_signature(world, call, who)
    call.json = _read(call) if form else {}
    sealed_fields.check(world, call, sealed)
    said = call.json if form else call.query
    if any(isinstance(said.get(name), str) and said[name] != who.mchid for name in SIGNERS):
        raise mchid_mismatch()
    if form:
        form.check(call.json, "")


def _credentials(call: Call, *, at_transactions: bool) -> Credentials:
    malformed = sign_error(
        MALFORMED_AT_TRANSACTIONS if at_transactions else MALFORMED,
        named=not at_transactions,
        detail=None,
    )
    scheme, _, rest = call.headers.get("authorization", "").partition(" ")
    if not scheme or not rest:
        raise malformed
    if scheme != SCHEME:
        raise sign_error("Http头Authorization认证类型不正确")
    pairs = [PAIR.fullmatch(item) for item in rest.split(",")]
    items = {pair[1]: pair[2] for pair in pairs if pair}
    if len(items) != len(pairs) or set(items) != NAMES or not all(items.values()):
        raise malformed
    if not re.fullmatch(r"[0-9]{1,12}", items["timestamp"]):
        raise malformed
    return Credentials(**items)


def _check_signature(world: World, call: Call, who: Credentials) -> None:
    text = sealing.request_text(call.method, call.target, who.timestamp, who.nonce_str, call.raw)
    if not sealing.verifies(world.keys.merchant.public_key(), text, who.signature):
        _remember(world, call, who, "sign not match")
        raise _not_signed(call, who, text)
    if world.knobs.refuse_repeated_nonce:
        if who.nonce_str in world.nonces:
            raise sign_error("Http头Authorization中的nonce_str重复")
        world.nonces.append(who.nonce_str)


def _not_signed(call: Call, who: Credentials, text: bytes) -> Refusal:
    """The gateway's debugging aid: the text it verified, of whose body it shows eight characters."""
    head = f"{call.method}\n{call.target}\n{who.timestamp}\n{who.nonce_str}\n"
    body = call.raw.decode("utf-8", "replace")[:8]
    detail = {
        "field": "signature",
        "location": "authorization",
        "detail": {"issue": "sign not match"},
        "sign_information": {
            "method": call.method,
            "url": call.target,
            "sign_message_length": len(text),
            "truncated_sign_message": f"{head}{body}\n",
        },
    }
    return sign_error("错误的签名，验签失败", detail=detail)


def _remember(world: World, call: Call, who: Credentials, why: str, hint: str | None = None) -> None:
    text = sealing.request_text(call.method, call.target, who.timestamp, who.nonce_str, call.raw)
    world.signature_failures.append(
        {
            "at": int(time.time()),
            "why": why,
            "hint": hint or hints.why(world, call, who),
            "method": call.method,
            "url": call.target,
            "timestamp": who.timestamp,
            "nonce": who.nonce_str,
            "serial_no": who.serial_no,
            "verified": text[:SHOWN_BYTES].decode("utf-8", "replace") if who.signature else "",
            "body_prefix": call.raw[:200].decode("utf-8", "replace"),
            "body_bytes": len(call.raw),
        }
    )


def _read(call: Call) -> dict[str, object]:
    """The body as an object. Numbers beyond JSON, twice-named members' first values and broken text are not taken."""
    if len(call.raw) > LARGEST_BODY:
        raise param_error("请求体过大", issue="body too large")
    try:
        content = json.loads(call.raw.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise param_error("请求体不是合法的JSON", issue="invalid json") from None
    if not isinstance(content, dict):
        raise param_error("请求体应为JSON对象", issue="not an object")
    return content


def _no_constant(name: str) -> None:
    raise ValueError(name)
