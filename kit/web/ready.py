"""An answer that is bytes already: written out without the ceremony of a `Response` whose content has to be encoded.

The measured routes return it where Litestar expects a `Response`; headers of the request are the outer layers' business.
"""

from typing import Any, TypeVar

import msgspec
from litestar import Response
from litestar.types import Receive, Scope, Send

T = TypeVar("T")


class Ready(Response[T]):
    """The JSON of a `T`. Nothing may be added to it: no cookies, no headers, no background task."""

    def __init__(self, content: T | bytes, status_code: int = 200) -> None:
        self.body = content if isinstance(content, bytes) else msgspec.json.encode(content)
        self.status_code = status_code

    def to_asgi_response(self, app: Any, request: Any, **_: Any) -> Any:
        return self._give

    async def _give(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        length = str(len(self.body)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        start: Any = {"type": "http.response.start", "status": self.status_code, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": self.body, "more_body": False})
