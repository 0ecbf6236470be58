"""What a path of the pay API needs and calls."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from sandbox.pay.exchange import Call
from sandbox.pay.shape import Record
from sandbox.world import World

Handler = Callable[[World, Call], dict[str, Any] | None]
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


def h5_url(world: World, call: Call, prepay_id: str) -> str:
    """Where a telephone's browser goes to pay: this world's own phone page, by whichever name the caller reached us."""
    here = f"http://{call.headers['host']}" if call.headers.get("host") else world.base_url
    return f"{here}/cgi-bin/mmpayweb-bin/checkmweb?prepay_id={quote(prepay_id)}&package=0"
