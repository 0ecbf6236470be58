"""Where the database is: an address with one host, or with several of which one takes writes.

Context: after a failover another host is the primary, and the dead one may not even refuse: it is silent. Decision: an
address names all hosts (`postgresql://u:p@a,b/shop?target_session_attrs=primary`), whoever connects tries them side by
side, a moment apart, and takes the first that answers and is what was asked for. Consequence: a silent host costs that
moment and not the whole time limit; nothing has to be told where the primary is. Alternative: asyncpg's own list, which
waits for one host at a time and so never gets past a silent one.
"""

import asyncio
import socket
from collections import deque
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import asyncpg

_NEXT_AFTER_S: Final = 0.3
"""A host of the same data centre that has not let us in by then may be gone; the next one is tried beside it."""
_SILENCE_MS: Final = 4000
"""What was sent and not even received by the other machine for so long ends the connection (its users wait 4.5 s)."""


class NoPrimary(ConnectionError):
    """A server answers, but it is not what `target_session_attrs` asks for: no standby has been promoted yet."""


class Watched(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """A connection that the kernel ends when the other machine has fallen silent, and that cancels nothing.

    A COMMIT that waits for a synchronous standby must not be cancelled: PostgreSQL then gives up the wait, keeps the
    transaction, and shows others what a failover may lose. So who waits no longer only hangs up; the server's own
    `statement_timeout`, which leaves that wait alone, ends what takes too long.
    """

    def __init__(self, protocol: Any, transport: Any, *rest: Any) -> None:
        super().__init__(protocol, transport, *rest)
        _notice_silence(transport.get_extra_info("socket"))

    async def _cancel(self, waiter: Any, cancel_waiter: Any = None) -> None:
        """In place of asyncpg's, which asks the server to cancel (tests/kit/test_kit_hosts.py guards it)."""
        try:
            self.terminate()
        finally:
            self._cancellations.discard(asyncio.current_task())
            for each_waiter in (waiter, cancel_waiter):
                if each_waiter is not None and not each_waiter.done():
                    each_waiter.set_result(None)


def _notice_silence(wire: Any) -> None:
    if wire is None or wire.family not in (socket.AF_INET, socket.AF_INET6):
        return
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # By name: macOS lacks some of them, and Python there does too.
    for name, value in (
        ("TCP_USER_TIMEOUT", _SILENCE_MS),
        ("TCP_KEEPIDLE", 4),
        ("TCP_KEEPINTVL", 2),
        ("TCP_KEEPCNT", 3),
    ):
        if hasattr(socket, name):
            wire.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def each(url: str) -> list[str]:
    """The address once for each of its hosts. A driver in the scheme (`postgresql+asyncpg`) is left out."""
    parts = urlsplit(url)
    account, at, hosts = parts.netloc.rpartition("@")
    scheme = parts.scheme.partition("+")[0]
    return [parts._replace(scheme=scheme, netloc=f"{account}{at}{host}").geturl() for host in hosts.split(",")]


def role(url: str) -> str | None:
    """Who connects. SQLAlchemy's reading of addresses knows one host only."""
    name = urlsplit(url).username
    return None if name is None else unquote(name)


async def connect(url: str, *, timeout: float = 5.0, **arguments: Any) -> Any:  # noqa: ASYNC109  (asyncpg's own name)
    """An asyncpg connection within `timeout` seconds; `arguments` are `asyncpg.connect`'s.

    Raises `NoPrimary`, other `OSError`s, `TimeoutError` and asyncpg's errors: the last host's.
    """
    arguments = {"connection_class": Watched, **arguments}
    urls = each(url)
    async with asyncio.timeout(timeout):
        return await _one(urls[0], arguments) if len(urls) == 1 else await _first(urls, arguments)


async def _one(url: str, arguments: dict[str, Any]) -> Any:
    try:
        return await asyncpg.connect(url, timeout=None, **arguments)
    except asyncpg.TargetServerAttributeNotMatched as error:
        raise NoPrimary(str(error)) from error


async def _first(urls: list[str], arguments: dict[str, Any]) -> Any:
    waiting = deque(urls)
    trying: set[asyncio.Task[Any]] = set()
    trouble: BaseException = NoPrimary()
    try:
        while waiting or trying:
            if waiting:
                trying.add(asyncio.create_task(_one(waiting.popleft(), arguments)))
            done, _ = await asyncio.wait(
                trying, timeout=_NEXT_AFTER_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for attempt in done:
                trying.remove(attempt)
                error = attempt.exception()
                if error is None:
                    return attempt.result()
                trouble = error
        raise trouble
    finally:
        await _give_up(trying)


async def _give_up(trying: set[asyncio.Task[Any]]) -> None:
    """Whoever comes too late is not needed."""
    for attempt in trying:
        attempt.cancel()
    for late in await asyncio.gather(*trying, return_exceptions=True):
        if not isinstance(late, BaseException):
            late.terminate()
