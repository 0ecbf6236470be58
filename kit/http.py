"""The way out: httpx clients that refuse to speak while one of our transactions is open."""

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


def outside_client(base_url: str = "", *, timeout_s: float = 8.0, connect_s: float = 3.0) -> httpx.AsyncClient:
    """One per upstream and process. `trust_env` is off: no proxy or netrc of the machine changes what we send."""
    return httpx.AsyncClient(
        base_url=base_url,
        timeout=httpx.Timeout(timeout_s, connect=connect_s),
        limits=_LIMITS,
        verify=_trusted(),
        trust_env=False,
        follow_redirects=False,
        event_hooks={"request": [_check]},
    )


def untie(response: httpx.Response) -> None:
    """A response that was read and its stream hold each other: forty objects for the garbage collector, each time."""
    response.stream = httpx.ByteStream(b"")
