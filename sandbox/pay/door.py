"""The pay API as an ASGI application: below any framework, because signatures are over the bytes of the wire."""

import secrets
import time
from typing import Any

from litestar.types import HTTPScope, Receive, Send

from sandbox import sealing
from sandbox.faults import EFFECT
from sandbox.pay import codepay, gate, numbers, parties, routes
from sandbox.pay.exchange import LARGEST_BODY, Answer, Call, Download, encode
from sandbox.pay.refusals import Nowhere, Refusal
from sandbox.world import World

COMMON = (
    ("Server", "nginx"),
    ("Cache-Control", "no-cache, must-revalidate"),
    ("X-Content-Type-Options", "nosniff"),
)
NUMBERS = {"out_trade_no", "out_refund_no", "out_bill_no", "out_order_no", "combine_out_trade_no", "transaction_id"}
STALE_S = 600
JSON = ("Content-Type", "application/json; charset=utf-8")


def respond(world: World, call: Call) -> Answer:
    """Answer one call as WeChat would."""
    try:
        route = routes.find(call)
        gate.admit(world, call, route.form, route.sealed)
        routes.check_query(route, call)
        parties.check_product(world, call.path)
        content = route.handle(world, call)
    except Nowhere as nowhere:
        return Answer(nowhere.status, headers=(*COMMON, ("Content-Length", "0")))
    except Refusal as refusal:
        return _refused(refusal)
    except codepay.UserPaying:
        return _accepted(world, call, 202, {"code": "USERPAYING", "message": "需要用户输入支付密码"})
    if content is None:
        return Answer(204, headers=_signed(world, call, b""))
    if isinstance(content, Download):
        return _file(world, call, content)
    return _accepted(world, call, 200, content)


def _file(world: World, call: Call, file: Download) -> Answer:
    """Unsigned, or signed over what stands for it."""
    named = (("Request-ID", numbers.request_id(0)),)
    proof = (*COMMON, *named) if file.signed_over is None else _signed(world, call, file.signed_over)
    length = () if file.parts is not None else (("Content-Length", str(len(file.body))),)
    return Answer(200, file.body, (("Content-Type", file.kind), *length, *file.headers, *proof), file.parts)


def _accepted(world: World, call: Call, status: int, content: dict[str, Any]) -> Answer:
    body = _spoilt(content, call.effect)
    length = ("Content-Length", str(len(body)))
    return Answer(status, body, (JSON, length, *_signed(world, call, body)))


def _spoilt(content: dict[str, Any], effect: str | None) -> bytes:
    """The body, or one that a fault has made wrong."""
    if effect == "another_number":
        numbered = {name: value for name, value in content.items() if name in NUMBERS}
        content = content | {name: value[:-1] + ("1" if value[-1] != "1" else "2") for name, value in numbered.items()}
    body = encode(content)
    return body[: len(body) // 2] if effect == "truncated_json" else body


def _refused(refusal: Refusal) -> Answer:
    """Errors carry no signature; clients judge them by status and code."""
    body = encode(refusal.content)
    name = (("Request-ID", numbers.request_id(refusal.number)),) if refusal.named else ()
    return Answer(refusal.status, body, (*COMMON, JSON, ("Content-Length", str(len(body))), *name))


def _signed(world: World, call: Call, body: bytes) -> tuple[tuple[str, str], ...]:
    """Sign with the key the caller named by ``Wechatpay-Serial``, else with the merchant's own default."""
    keys, mode = world.keys, world.knobs.key_mode
    wanted = call.headers.get("wechatpay-serial")
    by_public_key = mode != "certificate"
    if mode == "both":
        by_public_key = wanted == keys.identity.public_key_id
    serial = keys.identity.public_key_id
    if not by_public_key:
        serial = wanted if wanted in keys.platforms else keys.platform_serial
    key = keys.public_key if by_public_key else keys.platforms[serial][0]
    age_s = STALE_S if call.effect == "stale_timestamp" else 0
    timestamp, nonce = str(int(time.time()) - age_s), secrets.token_hex(16)
    return (
        *COMMON,
        ("Request-ID", numbers.request_id(0)),
        ("Content-Language", "zh-CN"),
        ("Wechatpay-Nonce", nonce),
        ("Wechatpay-Signature", sealing.sign(key, sealing.answer_text(timestamp, nonce, body))),
        ("Wechatpay-Timestamp", timestamp),
        ("Wechatpay-Serial", serial),
        ("Wechatpay-Signature-Type", gate.SCHEME),
    )


async def serve(world: World, scope: HTTPScope, receive: Receive, send: Send) -> None:
    """Read the call whole, answer it whole."""
    # Granian keeps the query out of raw_path; test clients of ASGI frameworks do not agree on it.
    path = bytes(scope["raw_path"]).partition(b"?")[0]
    call = Call(
        method=str(scope["method"]),
        path=path.decode("latin-1"),
        query_string=bytes(scope["query_string"]).decode("latin-1"),
        headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
        raw=await _body(receive),
        effect=str(scope[EFFECT]) if EFFECT in scope else None,  # type: ignore[literal-required]
    )
    answer = respond(world, call)
    headers = [(name.lower().encode(), value.encode()) for name, value in answer.headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    for part in answer.parts or ():
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


async def _body(receive: Receive) -> bytes:
    """The raw body; what comes after one byte too many is read but not kept."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return body
        if len(body) <= LARGEST_BODY:
            body += message["body"]
        if not message["more_body"]:
            return body
