"""A public answer as bytes in which the stock can be written anew: printed once, filled as often as needed."""

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
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
    """The last look at what moved (`catalog.flow`) before its stock was read, or by which it was still so."""
    by_price: bool = False
    """Whether any product's price decides what is in it, or where."""

    def weight(self) -> int:
        """Bytes of memory, about."""
        return len(self.body) + _OVERHEAD_BYTES

    def fill(self, reading: Reading) -> None:
        """Put the stock of `reading` in, unless what stands there is younger."""
        if reading.at > self.stock_at:
            held = reading.pieces
            self._put([sum(held.get(sku, 0) for sku in skus) for skus in self._all_places()], reading.at)

    def follow(self, moved: Collection[int], pieces: Mapping[int, int], at: float) -> bool:
        """Put in what there was at `at` of those that moved; the rest did not. False when `pieces` lacks one that counts."""
        numbers: list[int | None] = []
        for skus in self._all_places():
            if not any(sku in moved for sku in skus):
                numbers.append(None)
            elif all(sku in pieces for sku in skus):
                numbers.append(sum(pieces[sku] for sku in skus))
            else:
                return False
        self._put(numbers, at)
        return True

    def _all_places(self) -> Sequence[Skus]:
        return [self.skus, *((sku,) for sku in self.skus)] if self.places is None else self.places

    def _put(self, numbers: Sequence[int | None], at: float) -> None:
        """`None` leaves what stands there."""
        self.stock_at = at
        turn = iter(numbers)

        def number(place: "re.Match[bytes]") -> bytes:
            pieces = next(turn)
            return place[0] if pieces is None else b'"stock":%d' % pieces

        body = _PLACES.sub(number, self.body)
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
    turn: int = -1,
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
        turn=turn,
    )


def _tag(body: bytes) -> bytes:
    return b'"%b"' % hashlib.blake2b(body, digest_size=12).hexdigest().encode()
