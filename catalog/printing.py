"""A public answer as bytes in which the stock can be written anew: printed once, filled as often as needed."""

import hashlib
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from catalog.levels import Reading, Skus
from kit.web.shelf import Answer

# Quotes inside of a JSON string are written `\"`, so that no title can look like a place.
_PLACES: Final = re.compile(rb'"stock":(\d+)')
_OVERHEAD_BYTES: Final = 900
"""What a page weighs besides its body, about."""


class Page(Answer):
    """An answer, the stock in it as of `stock_at`."""

    starts: tuple[int, ...]
    """Where in `body` numbers of pieces stand."""
    pieces: list[bytes]
    """What stands there."""
    stocked_by: Sequence[Skus]
    """For each place, the SKUs whose pieces together stand there."""
    skus: Skus
    """All of them, once."""
    stock_at: float
    """When the stock was read (`time.monotonic`)."""
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
        pieces = [b"%d" % sum(held.get(sku, 0) for sku in skus) for skus in self.stocked_by]
        if pieces != self.pieces:
            self._write(pieces)

    def _write(self, pieces: list[bytes]) -> None:
        between, starts, done, shift = [], [], 0, 0
        for start, old, new in zip(self.starts, self.pieces, pieces, strict=True):
            between += [self.body[done:start], new]
            starts.append(start + shift)
            done = start + len(old)
            shift += len(new) - len(old)
        self.body = b"".join([*between, self.body[done:]])
        self.starts, self.pieces = tuple(starts), pieces
        self.etag = _tag(self.body)


def printed(
    operation: str, cache_control: bytes, shown: Any, stocked_by: Sequence[Skus], stock_at: float = float("-inf")
) -> Page:
    """`shown` is a msgspec value; each `stock` in it, in the order in which they are encoded, is that of `stocked_by`."""
    body = msgspec.json.encode(shown)
    places = [*_PLACES.finditer(body)] if stocked_by else []
    assert len(places) == len(stocked_by), "a place for each"
    return Page(
        operation=operation,
        cache_control=cache_control,
        etag=_tag(body),
        body=body,
        starts=tuple(place.start(1) for place in places),
        pieces=[place[1] for place in places],
        stocked_by=stocked_by,
        skus=tuple(sorted({sku for skus in stocked_by for sku in skus})),
        stock_at=stock_at,
    )


def _tag(body: bytes) -> bytes:
    return b'"%b"' % hashlib.blake2b(body, digest_size=12).hexdigest().encode()
