"""What a path of the pay API needs and calls."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sandbox.pay.exchange import Call, Download
from sandbox.pay.shape import Record
from sandbox.world import World

Handler = Callable[[World, Call], dict[str, Any] | Download | None]
"""Answers the content, or ``None`` for 204."""


@dataclass(frozen=True)
class Route:
    """A method and a path whose ``{x}`` segments are taken decoded."""

    method: str
    path: str
    handle: Handler
    form: Record | None = None
    needs_mchid: bool = False
    needs: tuple[str, ...] = ()
    """Names that the query must have."""
    sealed: tuple[str, ...] = ()
    """Members that are encrypted; ``*`` stands for every item of an array."""


def here(world: World, call: Call) -> str:
    """This world's address, by whichever name the caller reached it."""
    return f"http://{call.headers['host']}" if call.headers.get("host") else world.base_url


def h5_url(world: World, call: Call, prepay_id: str) -> str:
    """Where a telephone's browser goes to pay: this world's own phone page."""
    return f"{here(world, call)}/cgi-bin/mmpayweb-bin/checkmweb?prepay_id={quote(prepay_id)}&package=0"
