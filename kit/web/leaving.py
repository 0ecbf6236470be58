"""A process that is told to end leaves in an order that loses no request, behind a proxy that asks `/readyz`.

Context: a proxy learns only at its next look that a server goes, and until then sends it more. Decision: at SIGTERM
`/readyz` becomes 503 while everything else goes on being answered, each answer saying `Connection: close`; after the
time that the proxy needs to notice (`SHOP_DRAIN_S`) the server closes its door and finishes what is under way.
Consequence: a stop takes that much longer; SIGINT (Ctrl-C) leaves at once. Alternative: the proxy repeating what was
cut off, which is safe for reads only.
"""

import asyncio
import signal

import structlog
from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger()


class Farewell:
    """Around the application while its process is leaving."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        if scope["type"] == ScopeType.HTTP and scope["path"] == "/readyz":
            await _not_ready(closing)
        else:
            await self._app(scope, receive, closing)


async def _not_ready(send: Send) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": b"leaving", "more_body": False})


def leave_slowly(app: Litestar, drain_s: float) -> None:
    """Have `app`, once it serves, take SIGTERM so: farewell for `drain_s` seconds, then stop as at SIGINT."""

    def leave() -> None:
        if isinstance(app.asgi_handler, Farewell):
            return  # told twice
        log.info("leaving", drain_s=drain_s)
        app.asgi_handler = Farewell(app.asgi_handler)
        # The server has one handler for both signals; SIGTERM is ours from now on.
        asyncio.get_running_loop().call_later(drain_s, signal.raise_signal, signal.SIGINT)

    def started() -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leave)

    if drain_s > 0:
        app.on_startup.append(started)
