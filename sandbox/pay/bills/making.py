"""Writing a bill to a file, once, a row at a time; and spoiling one on demand, for programs that must notice."""

import hashlib
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args

from sandbox.clock import BEIJING
from sandbox.database import Value
from sandbox.pay.bills import fund_flow, sharing, trade
from sandbox.pay.bills.lines import MARK, header, row
from sandbox.world import World

Kind = Literal["trade", "fund_flow", "sharing"]
Spoilt = Literal["hash", "totals", "missing_row", "extra_row", "other_amount", "cut_short"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SUMS: dict[Kind, Callable[[], Any]] = {"trade": trade.Sums, "fund_flow": fund_flow.Sums, "sharing": sharing.Sums}
MADE_S = 9 * 3600
"""A bill shows its day as it looked at nine the next morning."""


def make(world: World, kind: Kind, variant: str, day: date, seen_at: float) -> sqlite3.Row:
    """Write the bill, over one that was made before; answers its row. The file appears whole or not at all."""
    spoilt = _spoilt(world, kind, day)
    folder = world.folder / "bills"
    folder.mkdir(exist_ok=True)
    path = folder / f"{kind}-{variant}-{day}.csv"
    handle, name = tempfile.mkstemp(dir=folder)
    sha1, sums = hashlib.sha1(usedforsecurity=False), SUMS[kind]()
    with os.fdopen(handle, "wb") as file:
        for piece in _pieces(world, kind, variant, day, seen_at, sums, spoilt):
            file.write(piece)
            sha1.update(piece)
    Path(name).replace(path)
    said = sha1.hexdigest() if spoilt != "hash" else hashlib.sha1(b"another", usedforsecurity=False).hexdigest()
    world.db.write("DELETE FROM bills WHERE kind = ? AND variant = ? AND day = ?", kind, variant, str(day))
    facts: dict[str, Value] = {"kind": kind, "variant": variant, "day": str(day), "made_at": world.clock.now()}
    world.db.insert("bills", {**facts, "file": path.name, "sha1": said, "rows": sums.rows})
    made = find(world, kind, variant, day)
    assert made is not None
    return made


def find(world: World, kind: Kind, variant: str, day: date) -> sqlite3.Row | None:
    """The bill, if it has been made."""
    return world.db.row("SELECT * FROM bills WHERE kind = ? AND variant = ? AND day = ?", kind, variant, str(day))


def forget(world: World, kind: Kind, day: date) -> None:
    """Let the bills of a day be made again."""
    world.db.write("DELETE FROM bills WHERE kind = ? AND day = ?", kind, str(day))


def bounds(day: date) -> tuple[float, float]:
    """Where a Beijing day begins and ends."""
    start = datetime(day.year, day.month, day.day, tzinfo=BEIJING)
    return start.timestamp(), (start + timedelta(days=1)).timestamp()


def _pieces(
    world: World, kind: Kind, variant: str, day: date, seen_at: float, sums: Any, spoilt: Spoilt | None
) -> Iterator[bytes]:
    names, totals = _heads(kind, variant)
    yield MARK + header(names)
    for line in _spoil(_lines(world, kind, variant, day, seen_at), spoilt):
        sums.add(line)
        yield row(line.values(variant))
    if spoilt != "cut_short":
        yield header(totals)
        yield row(sums.values(variant, 1 if spoilt == "totals" else 0))


def _heads(kind: Kind, variant: str) -> tuple[str, str]:
    if kind == "trade":
        return trade.HEADERS[variant], trade.TOTALS[variant]
    return (fund_flow.HEADER, fund_flow.TOTALS) if kind == "fund_flow" else (sharing.HEADER, sharing.TOTALS)


def _lines(world: World, kind: Kind, variant: str, day: date, seen_at: float) -> Iterable[Any]:
    start, end = bounds(day)
    if kind == "trade":
        return trade.lines(world, variant, start, end, seen_at)
    if kind == "sharing":
        return sharing.lines(world, start, end)
    return fund_flow.lines(world, variant, start, end)  # type: ignore[arg-type]  # variants are accounts here


def _spoil(lines: Iterable[Any], spoilt: Spoilt | None) -> Iterator[Any]:
    """Rows that lie, under totals that fit them."""
    for place, line in enumerate(lines):
        if place == 0 and spoilt == "missing_row":
            continue
        yield line.with_other_amount() if place == 0 and spoilt == "other_amount" else line
        if place == 0 and spoilt == "extra_row":
            yield line.of_nobody()


def _spoilt(world: World, kind: Kind, day: date) -> Spoilt | None:
    found = world.db.row("SELECT spoilt FROM bill_days WHERE kind = ? AND day = ?", kind, str(day))
    return found["spoilt"] if found else None
