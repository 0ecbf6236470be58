"""Bounded types for bodies and parameters: whatever fits them, the database can hold.

The patterns ban control characters (NUL would be refused by Postgres) and the bidirectional overrides that make a text
read otherwise than it is. `$(?!\\n)`: Python's `$` alone would let a trailing newline through.
"""

from typing import Annotated

from msgspec import Meta

PLAIN = r"^[^\x00-\x1f\x7f\u202a-\u202e\u2066-\u2069]*$(?!\n)"
_FULL = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]*$"
_ID = r"^[1-9][0-9]{0,15}$(?!\n)"
NO = r"^[0-9A-Za-z]{6,32}$(?!\n)"

Id = Annotated[str, Meta(pattern=_ID, description="A decimal id below 2^53, as a string")]
No = Annotated[str, Meta(pattern=NO, description="A number of ours: [0-9A-Za-z], 6 to 32 characters")]
Word = Annotated[str, Meta(min_length=1, max_length=64, pattern=PLAIN)]
Line = Annotated[str, Meta(min_length=1, max_length=200, pattern=PLAIN)]
OptionalLine = Annotated[str, Meta(max_length=200, pattern=PLAIN)]
Text = Annotated[str, Meta(max_length=20_000, pattern=_FULL)]
Url = Annotated[str, Meta(max_length=500, pattern=r"^(/|https?://)[!-~]*$(?!\n)")]
Quantity = Annotated[int, Meta(ge=1, le=9_999, description="Pieces")]
Fen = Annotated[int, Meta(ge=0, le=1_000_000_000, description="Money in fen (1/100 yuan)")]
Limit = Annotated[int, Meta(ge=1, le=100)]
Cursor = Annotated[str, Meta(max_length=500, pattern=r"^[A-Za-z0-9_-]+$(?!\n)")]


def as_id(value: str) -> int:
    """The integer behind an `Id`."""
    return int(value)
