"""One request, one id, one canonical log line, one observation; and the headers that every answer carries."""

import re
import secrets
import time
from typing import Any

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import REGISTRY, Counter, Histogram

log = structlog.get_logger()

_REQUEST_ID = re.compile(r"^[0-9A-Za-z_-]{8,64}$")
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_SECONDS = Histogram("http_request_seconds", "Time to answer", ["operation", "method"], buckets=_BUCKETS)
_ANSWERS = Counter("http_answers", "Answers by status", ["operation", "status"])
_QUIET = frozenset({"healthz", "readyz", "metrics"})

__all__ = ["REGISTRY", "Traffic"]


class Traffic:
    """ASGI middleware, outermost. Trusts a client's `X-Request-Id` only when it is plainly one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        request_id = _given_id(scope) or secrets.token_hex(12)
        scope["request_id"] = request_id  # type: ignore[typeddict-unknown-key]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        started = time.perf_counter()
        status = 500

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers: list[Any] = list(message["headers"])
                headers += [(b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")]
                if not any(name == b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                message["headers"] = headers
            await send(message)

        try:
            await self.app(scope, receive, send_marked)
        finally:
            _observe(scope, status, time.perf_counter() - started)


def _given_id(scope: Any) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text = value.decode("latin-1")
            return text if _REQUEST_ID.match(text) else None
    return None


def _observe(scope: Any, status: int, seconds: float) -> None:
    handler = scope.get("route_handler")
    operation = getattr(handler, "operation_id", None) or getattr(handler, "handler_name", None) or "none"
    if not isinstance(operation, str):
        operation = handler.handler_name
    _SECONDS.labels(operation, scope["method"] if operation != "none" else "-").observe(seconds)
    _ANSWERS.labels(operation, str(status)).inc()
    if operation in _QUIET:
        return
    facts = {"problem": scope["problem"]} if "problem" in scope else {}
    if "no" in (scope.get("path_params") or {}):
        facts["order"] = scope["path_params"]["no"]
    log.info(
        "request",
        method=scope["method"],
        operation=operation,
        path=scope["path"],
        status=status,
        ms=round(seconds * 1000, 1),
        **facts,
    )
