"""What routes share at the edge: whose token it is."""

from typing import Any

import structlog
from litestar import Request
from litestar.di import NamedDependency

from kit.errors import SignInNeeded
from shop.members.sessions import Sessions, SignedIn

MEMBER_ONLY: list[dict[str, list[str]]] = [{"member": []}]
"""`security=` of every route that needs a signed-in member."""


def bearer(request: Request[Any, Any, Any]) -> str:
    """The token of `Authorization: Bearer …`; never from the query string. Raises `SignInNeeded` (401)."""
    given = request.headers.getall("authorization", [])
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() != "bearer":
        raise SignInNeeded
    return token.strip()


async def signed_in(request: Request[Any, Any, Any], member_sessions: NamedDependency[Sessions]) -> SignedIn:
    """Provides `member: NamedDependency[SignedIn]`. Raises `SignInNeeded` (401)."""
    member = await member_sessions.who(bearer(request))
    structlog.contextvars.bind_contextvars(member=member.member_id)
    return member
