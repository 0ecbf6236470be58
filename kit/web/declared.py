"""The named errors of a route, for OpenAPI."""

from collections import defaultdict

from litestar.openapi.datastructures import ResponseSpec

from kit.database import DatabaseUnavailable
from kit.errors import InvalidInput, Problem, SignInNeeded
from kit.web.actor import NotPermitted
from kit.web.problems import ProblemBody
from kit.web.refusals import TooManyRequests
from kit.web.request import NotJson, TooLarge, WrongContentType

BODY = (InvalidInput, NotJson, TooLarge, WrongContentType)
"""What any route with a body may answer."""
STAFF = (SignInNeeded, NotPermitted, InvalidInput)
"""What any guarded route may answer."""


def declared(*problems: type[Problem], limited: bool = True) -> dict[int, ResponseSpec]:
    """`responses=declared(AddressNotFound, …)`: one entry for each status, its description naming the codes.

    That the database does not answer may happen anywhere, that somebody asks too often wherever requests are counted
    (`limited`): both are added.
    """
    by_status: defaultdict[int, list[type[Problem]]] = defaultdict(list)
    every: tuple[type[Problem], ...] = (*problems, *([TooManyRequests] if limited else []), DatabaseUnavailable)
    for problem in dict.fromkeys(every):
        by_status[problem.status].append(problem)
    return {
        status: ResponseSpec(
            ProblemBody,
            description="; ".join(f"`{kind.code()}`: {_first_line(kind)}" for kind in kinds),
            media_type="application/problem+json",
            generate_examples=False,
        )
        for status, kinds in sorted(by_status.items())
    }


def _first_line(kind: type[Problem]) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0]
