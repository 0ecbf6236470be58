"""How a bill is written: byte order mark, CRLF, a backtick before every value, totals in the two last lines."""

from collections.abc import Iterable

MARK = b"\xef\xbb\xbf"


def header(names: str) -> bytes:
    """A line of names."""
    return names.encode() + b"\r\n"


def row(values: Iterable[str]) -> bytes:
    """A line of values."""
    return ("`" + ",`".join(values)).encode() + b"\r\n"


def text(value: str) -> str:
    """What merchants wrote, so that it stays one value of one line."""
    return value.replace(",", "\\ ").replace("\r", "").replace("\n", "\\n")


def decimal(amount: int, digits: int = 2) -> str:
    """A whole number of 10^-``digits`` yuan.

    >>> decimal(4200), decimal(-6000, 5)
    ('42.00', '-0.06000')
    """
    whole, part = divmod(abs(amount), 10**digits)
    return f"{'-' if amount < 0 else ''}{whole}.{part:0{digits}d}"
