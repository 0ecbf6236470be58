"""What a process remembers of the database: bounded, and each value believed only while `News` vouches for it."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from kit.news import News

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_SPREAD = 0.3
"""The part of its life by which a value may end sooner: what is read in one moment, after a start or when all was
forgotten, would end in one moment too, again and again, and all of it be read anew while somebody waits."""
_STEPS = 256


class Memory(Generic[K, V]):
    """The least recently used give way. Not for several threads."""

    def __init__(self, news: News, *, size: int, lives_s: float, weigh: Callable[[V], int] = lambda _: 1) -> None:
        """`size`: so much may all values together `weigh`. `lives_s`: then a value is read anew, said or not; its key
        decides how much sooner.
        """
        self._news = news
        self._size = size
        self._lives_s = lives_s
        self._step_s = lives_s * _SPREAD / _STEPS
        self._weigh = weigh
        self._known: OrderedDict[K, tuple[float, int, V]] = OrderedDict()
        self._weight = 0
        self._forgotten = 0

    def find(self, key: K) -> V | None:
        """What is known and still believed."""
        found = self._known.get(key)
        if found is None:
            return None
        read_at = found[0]
        lives_s = self._lives_s - self._step_s * (hash(key) % _STEPS)
        if time.monotonic() - read_at > lives_s or not self._news.holds(read_at):
            self._drop(key)
            return None
        self._known.move_to_end(key)
        return found[2]

    def reading(self) -> tuple[float, int]:
        """Say before the database is asked; `keep` wants it back."""
        return time.monotonic(), self._forgotten

    def keep(self, key: K, value: V, reading: tuple[float, int]) -> None:
        """Remember, unless something was forgotten while it was being read: it may be what was forgotten."""
        read_at, forgotten = reading
        if forgotten != self._forgotten:
            return
        self._drop(key)
        weight = self._weigh(value)
        self._known[key] = (read_at, weight, value)
        self._weight += weight
        while self._weight > self._size:
            self._drop(next(iter(self._known)))

    def forget(self, key: K) -> None:
        self._forgotten += 1
        self._drop(key)

    def forget_where(self, holds: Callable[[V], bool]) -> None:
        """Those of which it holds, and whatever is being read."""
        self._forgotten += 1
        for key in [key for key, (_, _, value) in self._known.items() if holds(value)]:
            self._drop(key)

    def forget_all(self) -> None:
        self._forgotten += 1
        self._known.clear()
        self._weight = 0

    def _drop(self, key: K) -> None:
        found = self._known.pop(key, None)
        if found is not None:
            self._weight -= found[1]
