"""How often one address, one member, one account of the staff may ask: token buckets in the memory of each process.

Context: whoever asks too often must cost little, and others nothing. Decision: one number for each who asked lately, no
round trip; beyond the rate 429 with `Retry-After`, before anything is read or written. Consequence: every process counts
for itself, so with N of them one may get up to N times the rate. WeChat's calls and the probes of machines are never
counted, nor is an address that is not on the internet: that is a proxy that was not named, or this machine.
Alternative: Litestar's RateLimit, which reads and writes a list of all requests of the window at each of them, stands
behind our shelf, and knows neither `Retry-After` nor accounts.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from typing import Any, Final

from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from kit.web.peer import Peers
from kit.web.problems import on_problem
from kit.web.refusals import TooManyRequests

Rate = tuple[float, int]
"""So many a second, and so many at once by whoever has not asked for a while."""
_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FREE: Final = frozenset({"/wechat/pay/notify", "/healthz", "/readyz", "/metrics"})
"""WeChat repeats what it was refused only so often; a probe that is refused takes a server away."""


class Buckets:
    """One bucket of tokens for each key, in the form of the moment when it will be full again (GCRA).

    The longest unused give way: whoever asks from very many addresses gains a full bucket, and no memory of ours.
    """

    def __init__(self, rate: Rate, *, size: int = 65_536, now: Callable[[], float] = time.monotonic) -> None:
        per_s, burst = rate
        self._each_s = 1 / per_s
        self._holds_s = burst / per_s
        self._size = size
        self._now = now
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def take(self, key: Hashable) -> float:
        """0: a token was taken. Else nothing was, and there is one in so many seconds."""
        now = self._now()
        full_at, wait_s = self._look(key, now)
        if wait_s:
            return wait_s
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._size:
            self._full_at.popitem(last=False)
        self._forget_full(now)
        return 0.0

    def wait_s(self, key: Hashable) -> float:
        """The same, and nothing is taken."""
        return self._look(key, self._now())[1]

    def _look(self, key: Hashable, now: float) -> tuple[float, float]:
        """When it will be full again if a token is taken now, and how long one has to be waited for."""
        full_at = max(self._full_at.get(key, now), now) + self._each_s
        wait_s = full_at - now - self._holds_s
        return full_at, wait_s if wait_s > 1e-6 else 0.0  # less than that is the rounding of sums

    def _forget_full(self, now: float) -> None:
        """A full bucket is as none. Two at a time: one comes with each request at most."""
        for _ in range(2):
            longest_unused = next(iter(self._full_at))
            if self._full_at[longest_unused] > now:
                return
            del self._full_at[longest_unused]


class Limiter:
    """What is counted, by whom. A rate that is `None` or not given is no limit."""

    def __init__(
        self, peers: Peers, rates: Mapping[str, Rate | None], *, now: Callable[[], float] = time.monotonic
    ) -> None:
        """`rates`: of `address`, `address_writes`, `member`, `member_writes`, `member_orders`, `member_exports`, `staff`,
        `exports`."""
        self._peers = peers
        self._buckets = {name: Buckets(rate, now=now) for name, rate in rates.items() if rate is not None}

    @property
    def counts_addresses(self) -> bool:
        return not self._buckets.keys().isdisjoint({"address", "address_writes"})

    def address(self, scope: Mapping[str, Any]) -> None:
        """Count a request of the client's address. Raises `TooManyRequests` (429)."""
        key = self._peers.on_the_internet(scope)
        if key is not None:
            self._take("address", key)
            if scope["method"] not in _READS:
                self._take("address_writes", key)

    def member(self, member_id: int, method: str) -> None:
        """Count a request of a member. Raises `TooManyRequests` (429)."""
        self._take("member", member_id)
        if method not in _READS:
            self._take("member_writes", member_id)

    def may_order(self, member_id: int) -> None:
        """Only what was placed counts (`ordered`): in a rush one asks many times for one thing. Raises `TooManyRequests`
        (429)."""
        buckets = self._buckets.get("member_orders")
        if buckets is not None and (wait_s := buckets.wait_s(member_id)):
            raise TooManyRequests(math.ceil(wait_s), of="member_orders")

    def ordered(self, member_id: int) -> None:
        """Count an order that a member has placed, or was told of once more."""
        with suppress(TooManyRequests):  # they were placed at the same moment
            self._take("member_orders", member_id)

    def export(self, member_id: int) -> None:
        """Count a copy of all that is known of a member. Raises `TooManyRequests` (429)."""
        self._take("member_exports", member_id)

    def staff(self, staff_id: int, *, export: bool) -> None:
        """Count a request of an account of the staff; `export`: it takes much away at once. Raises `TooManyRequests` (429)."""
        self._take("staff", staff_id)
        if export:
            self._take("exports", staff_id)

    def _take(self, name: str, key: Hashable) -> None:
        buckets = self._buckets.get(name)
        if buckets is not None and (wait_s := buckets.take(key)):
            raise TooManyRequests(math.ceil(wait_s), of=name)


class Door:
    """ASGI middleware, before everything that answers: counts addresses."""

    def __init__(self, app: ASGIApp, limiter: Limiter) -> None:
        self._app = app
        self._limiter = limiter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and scope["path"] not in _FREE:
            try:
                self._limiter.address(scope)
            except TooManyRequests as refusal:
                request: Request[Any, Any, Any] = Request(scope)
                await on_problem(request, refusal).to_asgi_response(None, request)(scope, receive, send)
                return
        await self._app(scope, receive, send)
