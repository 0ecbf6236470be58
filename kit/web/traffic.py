"""One request, one id, one canonical log line, one observation; and the headers that every answer carries.

Lines and observations of one turn of the event loop are made together at its end: the answers are on their way by then,
and the same few functions in a row cost less than between all others.
"""

import asyncio
import atexit
import re
import secrets
import time
from collections import deque
from contextvars import Context, copy_context
from functools import lru_cache
from typing import Any

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from prometheus_client import Counter, Histogram

from kit.log import tell

log = structlog.get_logger()

_REQUEST_ID = re.compile(rb"^[0-9A-Za-z_-]{8,64}$")
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
_SECONDS = Histogram("http_request_seconds", "Time to answer", ["operation", "method"], buckets=_BUCKETS)
_ANSWERS = Counter("http_answers", "Answers by status", ["operation", "status"])
_QUIET = frozenset({"healthz", "readyz", "metrics"})


class Traffic:
    """ASGI middleware, outermost. Trusts a client's `X-Request-Id` only when it is plainly one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        raw_id = _given_id(scope) or secrets.token_hex(12).encode()
        request_id = raw_id.decode()
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
                headers += [(b"x-request-id", raw_id), (b"x-content-type-options", b"nosniff")]
                for name, _ in headers:
                    if name == b"cache-control":
                        break
                else:
                    headers.append((b"cache-control", b"no-store"))
                message["headers"] = headers
            await send(message)

        try:
            await self.app(scope, receive, send_marked)
        finally:
            _SEEN.add(scope, status, time.perf_counter() - started)


def _given_id(scope: Any) -> bytes | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value if _REQUEST_ID.match(value) else None
    return None


@lru_cache(maxsize=4096)
def _gauges(operation: str, method: str, status: int) -> tuple[Any, Any]:
    """Looked up once: prometheus_client takes its locks for each look at a label."""
    return _SECONDS.labels(operation, method), _ANSWERS.labels(operation, str(status))


def _operation(scope: Any) -> str:
    """The route's name. What was answered before routing says its own."""
    handler = scope.get("route_handler")
    operation = scope.get("operation") or getattr(handler, "operation_id", None)
    return operation if isinstance(operation, str) else getattr(handler, "handler_name", None) or "none"


def _observe(scope: Any, status: int, seconds: float) -> None:
    operation = _operation(scope)
    histogram, counter = _gauges(operation, scope["method"] if operation != "none" else "-", status)
    histogram.observe(seconds)
    counter.inc()
    if operation in _QUIET:
        return
    event = {
        "method": scope["method"],
        "operation": operation,
        "path": scope["path"],
        "status": status,
        "ms": round(seconds * 1000, 1),
    }
    if "problem" in scope:
        event["problem"] = scope["problem"]
    if "no" in (scope.get("path_params") or {}):
        event["order"] = scope["path_params"]["no"]
    event["event"] = "request"
    tell(log, event)


class _Seen:
    """Requests that were answered in this turn of the loop, each with the context that its line is said in."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Context, Any, int, float]] = deque()
        self._expected_of: asyncio.AbstractEventLoop | None = None
        atexit.register(self.flush)

    def add(self, scope: Any, status: int, seconds: float) -> None:
        """Another one, for the end of this turn."""
        loop = asyncio.get_running_loop()
        if loop is not self._expected_of:
            self._expected_of = loop
            loop.call_soon(self.flush)
        self._waiting.append((copy_context(), scope, status, seconds))

    def flush(self) -> None:
        """Write them down."""
        self._expected_of = None
        while self._waiting:
            context, *seen = self._waiting.popleft()
            try:
                context.run(_observe, *seen)
            except Exception:
                log.exception("a request was not written down")


_SEEN = _Seen()
