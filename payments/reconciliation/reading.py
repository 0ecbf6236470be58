"""Bills as text: lines, columns by name, exact amounts. Nothing here is believed before the last line has been checked.

A bill is UTF-8, often with a byte order mark, its lines end in CRLF or LF. The first line names the columns; every value
of a row begins with a backtick and commas inside are escaped, so a row is cut at ",`". Two lines end it: the names of the
totals, and the totals.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, BinaryIO

from payments.reconciliation.beijing import BEIJING

MAX_LINE_BYTES = 64 * 1024
_AMOUNT = re.compile(r"(-?)([0-9]{1,13})(?:\.([0-9]{1,5}))?")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_WORD = re.compile(r"[!-~]{1,128}")


class BadBill(Exception):
    """A bill that cannot be believed; says where, and why. Values are not repeated, they may be a buyer's."""

    def __init__(self, why: str, *, line: int | None = None, column: str | None = None) -> None:
        place = "" if line is None else f"line {line}: " if column is None else f"line {line}, column {column}: "
        super().__init__(place + why)


def lines(file: BinaryIO) -> Iterator[tuple[int, str]]:
    """Numbered lines without their ends. Raises `BadBill` for a line that is not UTF-8 or has no end in sight."""
    number = 0
    while raw := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(raw) > MAX_LINE_BYTES:
            raise BadBill(f"longer than {MAX_LINE_BYTES} bytes", line=number)
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise BadBill("not UTF-8", line=number) from error
        if "\0" in text:
            raise BadBill("a NUL", line=number)
        yield number, text.removesuffix("\n").removesuffix("\r")


def cut(text: str, line: int) -> list[str]:
    """The values of a row."""
    if not text.startswith("`"):
        raise BadBill("a row begins with a backtick", line=line)
    return text[1:].split(",`")


def names(text: str) -> list[str]:
    """The names of a header line. Brackets are written in either width."""
    return [name.strip().lstrip("`").replace("（", "(").replace("）", ")") for name in text.split(",")]


def yuan(text: str, digits: int) -> int:
    """Yuan as a whole number of their 10^-`digits`: exact, or `ValueError`.

    >>> yuan("42.00", 2), yuan("-0.06000", 5)
    (4200, -6000)
    """
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise ValueError("not an amount")
    sign, whole, fraction = found[1], found[2], found[3] or ""
    if fraction[digits:].strip("0"):
        raise ValueError(f"more than {digits} decimals")
    amount = int(whole + fraction[:digits].ljust(digits, "0"))
    return -amount if sign else amount


def fen(text: str) -> int:
    return yuan(text, 2)


def millifen(text: str) -> int:
    """Thousandths of a fen: a fee has five decimals."""
    return yuan(text, 5)


def count(text: str) -> int:
    """A count, also written `45.0`."""
    return yuan(text, 0)


def instant(text: str) -> datetime:
    """Beijing time."""
    if not _TIME.fullmatch(text):
        raise ValueError("not a time")
    return datetime.fromisoformat(text).replace(tzinfo=BEIJING)


def word(text: str) -> str:
    """A number, a code or a state."""
    if not _WORD.fullmatch(text):
        raise ValueError("not a plain word")
    return text


def maybe(text: str) -> str | None:
    """A number that is `0` or empty where there is none."""
    return None if text in {"", "0"} else word(text)


def maybe_instant(text: str) -> datetime | None:
    return instant(text) if text else None


def short(text: str) -> str:
    """A text, kept short; may be empty."""
    return text[:128]


Read = Callable[[str], object]


class Columns:
    """Where the wanted columns are in this file, and how each is read."""

    def __init__(self, header: str, wanted: Mapping[str, Read], absent: Mapping[str, object]) -> None:
        """`wanted`: how to read each column, by its name; `absent`: what stands for those that a file may lack.

        Raises `BadBill` when another one is missing.
        """
        found = names(header)
        self.width = len(found)
        missing = [name for name in wanted if name not in found and name not in absent]
        if missing:
            raise BadBill(f"the header lacks {', '.join(missing)}", line=1)
        self._plan = [
            (name, read, found.index(name) if name in found else -1, absent.get(name)) for name, read in wanted.items()
        ]

    def read(self, text: str, line: int) -> list[Any]:
        """The wanted values of a row, in the order they are wanted in. Raises `BadBill`."""
        values = cut(text, line)
        if len(values) != self.width:
            raise BadBill(f"{len(values)} values for {self.width} columns", line=line)
        row: list[object] = []
        name = ""
        try:
            for name, read, place, absent in self._plan:  # noqa: B007  (named in the refusal)
                row.append(absent if place < 0 else read(values[place]))
        except ValueError as error:
            raise BadBill(str(error), line=line, column=name) from error
        return row


class Totals:
    """The two last lines, compared with what was counted on the way."""

    def __init__(self, header: str, line: int) -> None:
        self._names, self._line = names(header), line
        self.values: dict[str, str] = {}

    def read(self, text: str) -> None:
        values = cut(text, self._line + 1)
        if len(values) != len(self._names):
            raise BadBill(f"{len(values)} totals for {len(self._names)} names", line=self._line + 1)
        self.values = dict(zip(self._names, values, strict=True))

    def check(self, name: str, read: Callable[[str], int], counted: int, *, needed: bool = True) -> None:
        """Raises `BadBill` when the file says something else, or nothing."""
        if name not in self.values:
            if needed:
                raise BadBill(f"the totals lack {name}", line=self._line)
            return
        try:
            said = read(self.values[name])
        except ValueError as error:
            raise BadBill(str(error), line=self._line + 1, column=name) from error
        if said != counted:
            raise BadBill(f"the file says {said}, its rows make {counted}", line=self._line + 1, column=name)


def body(numbered: Iterator[tuple[int, str]], on_end: Callable[[Totals], None]) -> Iterator[tuple[int, str]]:
    """The rows after the header; at the end `on_end` gets the totals. Raises `BadBill` when they are missing."""
    totals: Totals | None = None
    for line, text in numbered:
        if totals is None and text.startswith("`"):
            yield line, text
        elif totals is None:
            totals = Totals(text, line)
        elif not totals.values:
            totals.read(text)
        elif text.strip():
            raise BadBill("something after the totals", line=line)
    if totals is None or not totals.values:
        raise BadBill("the file ends without its totals")
    on_end(totals)
