"""What the member's routes share at the edge: who asks, and how their refusals are declared."""

from collections import defaultdict
from typing import Annotated, Any, TypeAlias

from litestar import Request
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter

from kit.errors import Problem, SignInNeeded
from kit.web.problems import ProblemBody
from shop.members.sessions import Sessions, SignedIn

PathId: TypeAlias = Annotated[
    str,
    # Litestar drops a msgspec Meta inside `FromPath[…]`: the pattern must stand here, or anything passes.
    PathParameter(pattern=r"^[1-9][0-9]{0,15}$(?!\n)", description="A decimal id below 2^53, as a string"),
]
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
    return await member_sessions.who(bearer(request))


def declared(*problems: type[Problem]) -> dict[int, ResponseSpec]:
    """The named errors of a route, for OpenAPI: `responses=declared(AddressNotFound, …)`."""
    by_status: defaultdict[int, list[type[Problem]]] = defaultdict(list)
    for problem in problems:
        by_status[problem.status].append(problem)
    return {
        status: ResponseSpec(
            ProblemBody,
            description="; ".join(f"`{kind.code()}`: {_first_line(kind)}" for kind in kinds),
            generate_examples=False,
        )
        for status, kinds in sorted(by_status.items())
    }


def _first_line(kind: type[Problem]) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]
