"""Tables divided by time: is there room ahead, is every part guarded, was a division broken off?"""

from collections.abc import Iterator
from typing import Any

from shop import partitioning
from shop.doctor.findings import Finding, ok, warning, wrong

_ABOUT = "partitions"
_WARNS_BELOW, _FAILS_BELOW = 2.0, 1.0


async def look(connection: Any) -> list[Finding]:
    """One finding when all is well, else one for each trouble."""
    tables = await partitioning.headroom(connection)
    found = [finding for table in tables for finding in _troubles(table)]
    divided = [table.table for table in tables if table.divided]
    seen = f"{', '.join(divided)} have room ahead" if divided else "no table is divided by time; a large shop may"
    return found or [ok(_ABOUT, seen)]


def _troubles(table: partitioning.Headroom) -> Iterator[Finding]:
    name = table.table
    if table.unfinished:
        todo = f"Run `python -m shop partition {name}` again: what it left will refuse rows one day."
        yield wrong(_ABOUT, f"dividing {name} was broken off", todo)
    if table.unguarded:
        todo = "Somebody dropped the trigger `append_only` of a partition: find out who, and put it back."
        yield wrong(_ABOUT, f"nothing refuses changes of a partition of {name}", todo)
    if table.divided and table.ahead < _WARNS_BELOW:
        seen = f"{name} has room for {max(table.ahead, 0):.1f} partitions more, then it takes no rows"
        todo = f"See that a worker runs; `python -m shop partition {name}` makes partitions at once."
        yield wrong(_ABOUT, seen, todo) if table.ahead < _FAILS_BELOW else warning(_ABOUT, seen, todo)
