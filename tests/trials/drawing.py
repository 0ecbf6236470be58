"""What a trial goes through, when there is more of it than time."""

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def drawn(known: Sequence[T], count: int, chance: random.Random) -> list[T]:
    """`count` of `known`, each as often as any other (or once less), in an order that the seed draws."""
    whole, rest = divmod(count, len(known))
    chosen = [*known] * whole + chance.sample([*known], rest)
    chance.shuffle(chosen)
    return chosen
