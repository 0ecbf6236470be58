"""What routes share at the edge: whose token it is."""

from collections.abc import Sequence
from typing import Any

import structlog
from litestar import Request
from litestar.di import NamedDependency

from kit.errors import SignInNeeded
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


async def signed_in(
    request: Request[Any, Any, Any], member_sessions: NamedDependency[Sessions], limiter: NamedDependency[Limiter]
) -> SignedIn:
    """Provides `member: NamedDependency[SignedIn]`. Raises `SignInNeeded` (401), `TooManyRequests` (429)."""
    member = await member_sessions.who(bearer(request))
    structlog.contextvars.bind_contextvars(member=member.member_id)
    limiter.member(member.member_id, request.method)
    return member
