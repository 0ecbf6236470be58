"""Bodies are decoded strictly, to the handler's own type.

Litestar converts leniently (`"5"` and `28.0` pass for 5) and reads any content type as JSON; where money and goods
move, neither will do.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from litestar import Request
from litestar.types import Empty, Receive

from kit.errors import InvalidInput, Malformed
from kit.web.headers import values

T = TypeVar("T")

MAX_BODY_BYTES = 64 * 1024
Incoming = Receive
"""ASGI's `receive`, which gives a body part by part."""


class NotJson(Malformed):
    """The body is not valid JSON in UTF-8."""

    zh = "请求体不是合法的 JSON"


class WrongContentType(Malformed):
    """Send the body as application/json."""

    status = 415
    zh = "请以 application/json 发送请求体"


class TooLarge(Malformed):
    """The body is too large."""

    status = 413
    zh = "请求体过大"


async def read(receive: Receive, said: str, most: int) -> bytes:
    """The bytes of a body whose length is `said` to be so much. Raises `TooLarge` (413) beyond `most`, and `NotJson` when
    the client went away before the end: no fault of ours.
    """
    if said.isdecimal() and float(said) > most:  # of thousands of digits, `int` would complain
        raise TooLarge  # before any of it is read
    body = b""
    while True:
        event = await receive()
        if event["type"] != "http.request":
            raise NotJson
        body += event["body"]
        if len(body) > most:
            raise TooLarge
        if not event.get("more_body", False):
            return body


async def posted(scope: Mapping[str, Any], receive: Receive, kind: type[T]) -> T:
    """The body of what is answered before routing, as `StrictRequest.json` gives it to a handler. Raises the same."""
    said = "".join(values(scope, b"content-length")[:1])
    found: T = decode(await read(receive, said, MAX_BODY_BYTES), kind)
    return found


def is_json(content_types: Sequence[str]) -> bool:
    """Whether the body is said to be JSON, and nothing else, by the values of `Content-Type`."""
    return len(content_types) == 1 and content_types[0].partition(";")[0].strip().lower() == "application/json"


class StrictRequest(Request[Any, Any, Any]):
    async def body(self) -> bytes:
        """The bytes of the body. Raises what `read` raises. Litestar's own goes through two generators for each chunk, which
        costs more than a small body's whole decoding.
        """
        if self._body is Empty:
            most = self.route_handler.resolve_request_max_body_size()
            said = self.headers.get("content-length") or ""
            self._body = self._connection_state.body = await read(
                self.receive, said, MAX_BODY_BYTES if most is None else most
            )
        return self._body

    async def json(self) -> Any:
        """The body as the handler's `data` type. Raises 400 for what does not fit, 415 for another content type."""
        if self._json is not Empty:
            return self._json
        if not is_json(values(self.scope, b"content-type")):
            raise WrongContentType
        body = await self.body()
        field = self.route_handler.parsed_data_field
        self._json = decode(body, field.annotation if field is not None else Any)
        return self._json


def decode(body: bytes, kind: Any) -> Any:
    """`body` as `kind`, strictly. Raises `InvalidInput` naming the field, or `NotJson`."""
    try:
        return msgspec.json.decode(body, type=kind, strict=True)
    except msgspec.ValidationError as error:
        raise InvalidInput([field_error(str(error))]) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotJson from error


def field_error(message: str) -> dict[str, str]:
    """`Expected `int` >= 1 - at `$.lines[0].quantity`` as `{"field": "lines[0].quantity", "rule": …}`."""
    rule, _, path = message.partition(" - at `")
    field = path.rstrip("`").removeprefix("$").removeprefix(".")
    if "matching regex" in rule:
        rule = "has the wrong form, or characters that are not allowed"
    if "missing required field" in rule or "unknown field" in rule:
        name = rule.split("`")[1]
        field = f"{field}.{name}" if field else name
    return {"field": field or "body", "rule": rule}
