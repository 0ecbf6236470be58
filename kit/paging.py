"""Pages by keyset: `{"items": […], "nextCursor": …}`, the cursor opaque to clients."""

import base64
import binascii
from typing import Any, Generic, TypeVar

import msgspec

from kit.errors import InvalidInput, invalid

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], rename="camel"):
    items: list[T]
    next_cursor: str | None


def encode_cursor(*keys: str | int) -> str:
    """The sort keys of the last row of a page."""
    return base64.urlsafe_b64encode(msgspec.json.encode(keys)).decode().rstrip("=")


def decode_cursor(cursor: str, kinds: tuple[type, ...]) -> tuple[Any, ...]:
    """The keys back, checked against `kinds`. Raises `InvalidInput` (400) for anything that we did not hand out."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        values = msgspec.json.decode(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, msgspec.DecodeError) as error:
        raise _bad_cursor() from error
    if not isinstance(values, list) or len(values) != len(kinds):
        raise _bad_cursor()
    if not all(_fits(value, kind) for value, kind in zip(values, kinds, strict=True)):
        raise _bad_cursor()
    return tuple(values)


def _fits(value: object, kind: type) -> bool:
    if kind is int:
        return type(value) is int and abs(value) < 2**63
    return isinstance(value, str) and "\0" not in value


def _bad_cursor() -> InvalidInput:
    return invalid("cursor", "must be a nextCursor of the same list")


def page(rows: list[T], limit: int, cursor_of: Any) -> Page[T]:
    """Cut `limit + 1` fetched rows to a page; `cursor_of(row)` gives the keys of its last row."""
    if len(rows) > limit:
        rows = rows[:limit]
        return Page(rows, encode_cursor(*cursor_of(rows[-1])))
    return Page(rows, None)
