"""The way out: httpx clients that refuse to speak while one of our transactions is open."""

import asyncio
import ssl
from functools import cache

import httpx

from kit.database import assert_outside

_LIMITS = httpx.Limits(max_connections=64, max_keepalive_connections=16)


async def _check(_request: httpx.Request) -> None:
    assert_outside()


@cache
def _trusted() -> ssl.SSLContext:
    """Whom we believe, read once: a hundred certificates, for each client anew a fiftieth of a start."""
    return httpx.create_ssl_context(trust_env=False)


async def ready() -> None:
    """Read what a client needs to speak, beside whatever else goes on."""
    await asyncio.to_thread(_read)


def _read() -> None:
    import httpcore  # noqa: F401, PLC0415  (httpx does so when it makes what speaks)

    _trusted()


class _Late(httpx.AsyncBaseTransport):
    """What speaks, made when something is first sent: to make it is a twentieth of a start, and nobody waits for it there."""

    def __init__(self) -> None:
        self._made: httpx.AsyncHTTPTransport | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._made is None:
            await ready()
            self._made = self._made or httpx.AsyncHTTPTransport(verify=_trusted(), limits=_LIMITS, trust_env=False)
        return await self._made.handle_async_request(request)

    async def aclose(self) -> None:
        if self._made is not None:
            await self._made.aclose()


def outside_client(base_url: str = "", *, timeout_s: float = 8.0, connect_s: float = 3.0) -> httpx.AsyncClient:
    """One per upstream and process. `trust_env` is off: no proxy or netrc of the machine changes what we send."""
    return httpx.AsyncClient(
        base_url=base_url,
        timeout=httpx.Timeout(timeout_s, connect=connect_s),
        transport=_Late(),
        trust_env=False,
        follow_redirects=False,
        event_hooks={"request": [_check]},
    )


def untie(response: httpx.Response) -> None:
    """A response that was read and its stream hold each other: forty objects for the garbage collector, each time."""
    response.stream = httpx.ByteStream(b"")
