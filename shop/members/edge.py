"""What routes share at the edge: whose token it is."""

from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from litestar import Request
from litestar.di import NamedDependency

from kit.errors import SignInNeeded
from kit.web.headers import values
from kit.web.limits import Limiter
from shop.members.sessions import Sessions, SignedIn

MEMBER_ONLY: list[dict[str, list[str]]] = [{"member": []}]
"""`security=` of every route that needs a signed-in member."""


def bearer(request: Request[Any, Any, Any]) -> str:
    """The token of `Authorization: Bearer …`; never from the query string. Raises `SignInNeeded` (401)."""
    return token_of(request.headers.getall("authorization", []))


def token_of(said: Sequence[str]) -> str:
    """The same by all values of the header: two are none. Raises `SignInNeeded` (401)."""
    scheme, _, token = said[0].partition(" ") if len(said) == 1 else ("", "", "")
    if scheme.lower() != "bearer":
        raise SignInNeeded
    return token.strip()


async def member_of(scope: Mapping[str, Any], sessions: Sessions, limiter: Limiter) -> SignedIn:
    """Who asks, counted and named in the log. Raises `SignInNeeded` (401), `TooManyRequests` (429)."""
    member = await sessions.who(token_of(values(scope, b"authorization")))
    structlog.contextvars.bind_contextvars(member=member.member_id)
    limiter.member(member.member_id, scope["method"])
    return member


async def signed_in(
    request: Request[Any, Any, Any], member_sessions: NamedDependency[Sessions], limiter: NamedDependency[Limiter]
) -> SignedIn:
    """Provides `member: NamedDependency[SignedIn]`. Raises as `member_of`."""
    return await member_of(request.scope, member_sessions, limiter)
