"""Answers that are bytes, given before routing.

Context: a few pages are asked for most, and routing, injection and validation cost more than giving them. Decision: who
makes them is asked first, by the beginning of the path, and answers or says nothing; then the request goes the usual way,
where the same page is a route like all others, with its refusals and its place in the document. So it is with the two
writes that come as often (a piece into the cart, an order placed), by their whole paths. Consequence: only the owner of
a page (`catalog.pages`, `shop.orders.own_pages`, `shop.cart.own_cart`) knows who may have it and when it ends.
Alternative: Litestar's response cache, which stands behind its routing and keeps for a fixed time whatever changes
meanwhile.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import msgspec
from litestar import MediaType, Request, Response
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from kit.errors import Problem
from kit.web.problems import on_any, on_problem

_JSON = (b"content-type", b"application/json")


class Answer(msgspec.Struct):
    """A 2xx as it goes out."""

    operation: str
    """The route that gave it, for log and metrics."""
    body: bytes
    cache_control: bytes = b"no-store"
    etag: bytes = b""
    """Empty: it has none."""
    status: int = 200


Asked = MutableMapping[str, Any]
Find = Callable[[Asked], Awaitable[Answer | None]]
"""Given the scope of a GET. What it raises is answered as a route's; `scope["operation"]` says whose it is."""
Take = Callable[[Asked, Receive], Awaitable[Answer | None]]
"""The same of a POST. Who has begun to read the body must answer."""


def key_of(scope: Mapping[str, Any]) -> bytes:
    """What was asked, as it was written."""
    return bytes(scope["raw_path"]) + b"?" + bytes(scope["query_string"])


class Shelf:
    """ASGI middleware, outside of Litestar: GETs of paths that begin with one of `finds`, and POSTs to one of `takes`, are
    asked of it first.
    """

    def __init__(self, app: ASGIApp, finds: Mapping[str, Find], takes: Mapping[str, Take] | None = None) -> None:
        self._app = app
        self._finds = dict(finds)
        self._paths = tuple(finds)
        self._takes = dict(takes or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and (asking := self._asking(scope, receive)) is not None:
            try:
                answer = await asking
            except Exception as error:  # noqa: BLE001  (nobody else turns it into an answer out here)
                request: Request[Any, Any, Any] = Request(scope)
                refusal = on_problem(request, error) if isinstance(error, Problem) else on_any(request, error)
                await refusal.to_asgi_response(None, request)(scope, receive, send)
                return
            if answer is not None:
                scope["operation"] = answer.operation  # type: ignore[typeddict-unknown-key]
                await _give(answer, scope, send)
                return
        await self._app(scope, receive, send)

    def _asking(self, scope: Any, receive: Receive) -> Awaitable[Answer | None] | None:
        """Whoever may have the answer, about to be asked."""
        method, path = scope["method"], scope["path"]
        if method == "POST":
            take = self._takes.get(path)
            return None if take is None else take(scope, receive)
        if method == "GET" and path.startswith(self._paths):
            for begins, find in self._finds.items():
                if path.startswith(begins):
                    return find(scope)
        return None


async def _give(answer: Answer, scope: Scope, send: Send) -> None:
    headers = [(b"cache-control", answer.cache_control)]
    held = []
    if answer.etag:
        headers.append((b"etag", answer.etag))
        held = [value for name, value in scope["headers"] if name == b"if-none-match"]
    if held and _is_held(answer, b",".join(held)):
        start: Any = {"type": "http.response.start", "status": 304, "headers": headers}
        body = b""
    else:
        length = (b"content-length", str(len(answer.body)).encode())
        start = {"type": "http.response.start", "status": answer.status, "headers": [_JSON, length, *headers]}
        body = answer.body
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": False})


def response(request: Request[Any, Any, Any], answer: Answer) -> Response[Any]:
    """The same from a route: the body, or 304 when the client holds these very bytes."""
    headers = {"etag": answer.etag.decode(), "cache-control": answer.cache_control.decode()}
    if _is_held(answer, (request.headers.get("if-none-match") or "").encode()):
        return Response(None, status_code=304, headers=headers)
    return Response(answer.body, media_type=MediaType.JSON, headers=headers)


def _is_held(answer: Answer, said: bytes) -> bool:
    held = [one.strip() for one in said.replace(b"W/", b"").split(b",")]
    return answer.etag in held or held == [b"*"]
