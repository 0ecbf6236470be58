"""The latest calls and how they were answered, for whoever looks at ``/inspect``; what is secret in them is left out."""

import json
import re
import time
from collections import deque
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from sandbox import faults

SECRET = {"secret", "access_token", "token", "js_code", "code", "appsecret"}
KEPT_BYTES = 400
Calls = deque[dict[str, Any]]


def noted(app: ASGIApp, calls: Calls) -> ASGIApp:
    """Stand before everything; what concerns only the sandbox is not written down."""

    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or str(scope.get("path", "")).startswith(faults.OUR_OWN):
            await app(scope, receive, send)
            return
        begun = time.perf_counter()
        answer: dict[str, Any] = {"status": 0, "body": b""}
        call = {"at": time.time(), "method": str(scope.get("method")), "target": _target(scope)}
        calls.append(call)
        try:
            await app(scope, receive, _listening(send, answer))
        finally:
            call["ms"] = round((time.perf_counter() - begun) * 1000, 1)
            call |= {"status": answer["status"], "code": _code(answer["body"])}

    return noting


def _listening(send: Send, answer: MutableMapping[str, Any]) -> Send:
    async def listening(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer["status"] = message["status"]
        elif message["type"] == "http.response.body" and len(answer["body"]) < KEPT_BYTES:
            answer["body"] += message["body"][:KEPT_BYTES]
        await send(message)

    return listening


def _target(scope: Scope) -> str:
    """Path and query, secrets left out."""
    path = str(scope.get("path", ""))
    query = bytes(scope.get("query_string") or b"").decode("latin-1")
    pairs = [(name, "***" if name in SECRET else value) for name, value in parse_qsl(query, keep_blank_values=True)]
    return (f"{path}?{urlencode(pairs, safe='*')}" if pairs else path)[:300]


def _code(body: bytes) -> str:
    """``code`` of a refusal, ``errcode`` of the platform's."""
    found = re.match(rb'\{"(?:code|errcode)":\s*("(?:[^"\\]|\\.)*"|-?[0-9]+)', body)
    return str(json.loads(found[1])) if found else ""
