"""What every lever shares: only this machine may pull it, and a refusal is a sentence."""

from typing import Any
from urllib.parse import urlsplit

from litestar import MediaType, Request, Response
from litestar.connection import ASGIConnection
from litestar.exceptions import PermissionDeniedException
from litestar.handlers.base import BaseRouteHandler

LOOPBACK = {"127.0.0.1", "::1", "testclient"}


class NotNow(Exception):
    """409: it exists, but not in a state for this."""


class NotHere(Exception):
    """404: there is no such thing."""


def from_this_machine(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Refuse other machines, and web pages of other places that try through a browser on this one."""
    client = connection.client
    if client is not None and client.host not in LOOPBACK:
        raise PermissionDeniedException("The levers of the sandbox are open to this machine only.")
    origin = connection.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != connection.headers.get("host"):
        raise PermissionDeniedException("The levers of the sandbox are not for pages of other places.")


def not_now(_: Request[Any, Any, Any], why: Exception) -> Response[dict[str, str]]:
    """409 with the sentence."""
    return Response({"detail": str(why)}, status_code=409, media_type=MediaType.JSON)


def not_here(_: Request[Any, Any, Any], why: Exception) -> Response[dict[str, str]]:
    """404 with the sentence."""
    return Response({"detail": str(why)}, status_code=404, media_type=MediaType.JSON)
