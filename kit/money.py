"""Money is `int` fen (1/100 yuan). Never a float."""

from collections.abc import Sequence

MAX_FEN = 10_000_000_00
"""Ten million yuan: more than any order may be; sums of it stay far below 2^53, which clients can hold."""


def share(amount_fen: int, weights: Sequence[int]) -> list[int]:
    """Split `amount_fen` over `weights` to the fen, by largest remainder; the parts always add up to the amount.

    Ties go to the earlier part. All weights zero: the first part takes everything.

    >>> share(100, [1, 1, 1])
    [34, 33, 33]
    """
    if not weights:
        if amount_fen:
            raise ValueError("nothing to share it over")
        return []
    whole = sum(weights)
    if whole == 0:
        return [amount_fen] + [0] * (len(weights) - 1)
    parts = [amount_fen * weight // whole for weight in weights]
    remainders = sorted(range(len(weights)), key=lambda i: (-(amount_fen * weights[i] % whole), i))
    for i in remainders[: amount_fen - sum(parts)]:
        parts[i] += 1
    return parts


def yuan(amount_fen: int) -> str:
    """For people: `12.50`."""
    sign = "-" if amount_fen < 0 else ""
    return f"{sign}{abs(amount_fen) // 100}.{abs(amount_fen) % 100:02d}"
