"""A public answer as bytes in which the stock can be written anew: printed once, filled as often as needed."""

import hashlib
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from catalog.levels import Reading, Skus
from kit.web.shelf import Answer

# Quotes inside of a JSON string are written `\"`, so that no title can look like a place.
_PLACES: Final = re.compile(rb'"stock":\d+')
_OVERHEAD_BYTES: Final = 600
"""What a page weighs besides its body, about."""


class Page(Answer, kw_only=True):
    """An answer, the stock in it as of `stock_at`."""

    skus: Skus
    """All whose stock is in it, each once."""
    stock_at: float
    """When the stock was read (`time.monotonic`)."""
    places: Sequence[Skus] | None
    """For each number of pieces, in the order in which they stand in `body`, the SKUs whose pieces it is; `None`: first
    that of all `skus` together, then of each."""
    turn: int = -1
    """The look at what moved (`catalog.flow`) by which it was still so."""

    def weight(self) -> int:
        """Bytes of memory, about."""
        return len(self.body) + _OVERHEAD_BYTES

    def fill(self, reading: Reading) -> None:
        """Put the stock of `reading` in, unless what stands there is younger."""
        if reading.at <= self.stock_at:
            return
        self.stock_at = reading.at
        held = reading.pieces
        if self.places is None:
            each = [held.get(sku, 0) for sku in self.skus]
            numbers = [sum(each), *each]
        else:
            numbers = [sum(held.get(sku, 0) for sku in skus) for skus in self.places]
        turn = iter(numbers)
        body = _PLACES.sub(lambda _: b'"stock":%d' % next(turn), self.body)
        if body != self.body:
            self.body, self.etag = body, _tag(body)


def printed(
    operation: str,
    cache_control: bytes,
    shown: Any,
    *,
    skus: Skus = (),
    places: Sequence[Skus] | None = None,
    stock_at: float = float("-inf"),
) -> Page:
    """`shown` is a msgspec value with a `stock` for each of `places`, in the order in which they are encoded."""
    body = msgspec.json.encode(shown)
    expected = 1 + len(skus) if places is None else len(places)
    assert len(_PLACES.findall(body)) == expected, "a place for each"
    if places is not None:
        skus = tuple(sorted({sku for some in places for sku in some}))
    return Page(
        operation=operation,
        cache_control=cache_control,
        etag=_tag(body),
        body=body,
        skus=skus,
        stock_at=stock_at,
        places=places,
    )


def _tag(body: bytes) -> bytes:
    return b'"%b"' % hashlib.blake2b(body, digest_size=12).hexdigest().encode()
