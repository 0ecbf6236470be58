"""One call to the pay API: what came in and what goes out, bytes untouched."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

LARGEST_BODY = 1 << 20


@dataclass
class Call:
    """A request as it stood on the wire; ``params``, ``json`` and ``opened`` (what was encrypted) come by the checks."""

    method: str
    path: str
    query_string: str
    headers: dict[str, str]
    raw: bytes
    params: dict[str, str] = field(default_factory=dict)
    json: dict[str, Any] = field(default_factory=dict)
    opened: dict[str, str] = field(default_factory=dict)
    effect: str | None = None
    """What a fault wants to be wrong in the answer, and signed all the same."""

    @property
    def target(self) -> str:
        """Path and query exactly as on the request line: the second line of the signature."""
        return f"{self.path}?{self.query_string}" if self.query_string else self.path

    @property
    def query(self) -> dict[str, str]:
        """The decoded query; of a repeated name the first counts."""
        return dict(reversed(parse_qsl(self.query_string, keep_blank_values=True)))


@dataclass(frozen=True)
class Answer:
    """What goes back; ``headers`` are complete but for those the server adds."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    parts: Iterator[bytes] | None = None
    """What is too long for ``body``."""


@dataclass(frozen=True)
class Download:
    """A file where other calls answer JSON."""

    body: bytes
    kind: str
    headers: tuple[tuple[str, str], ...] = ()
    parts: Iterator[bytes] | None = None
    """What is too long for ``body``; sent in chunks."""
    signed_over: bytes | None = None
    """What stands for the body in the signature; without it the file carries none."""


def encode(content: object) -> bytes:
    """JSON as WeChat writes it: UTF-8, no spaces."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
