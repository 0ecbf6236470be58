"""Of several things that are dealt with one after the other, one that another transaction holds up holds up no other."""

from typing import Final

from kit.database import DatabaseUnavailable

_HELD_UP: Final = frozenset({"40P01", "55P03", "57014"})
"""deadlock_detected, lock_not_available, query_canceled (it took too long)."""


def is_held_up(error: DatabaseUnavailable) -> bool:
    """Another transaction stands in the way of this one thing: the database itself is there."""
    cause = error.__cause__
    return getattr(getattr(cause, "orig", cause), "sqlstate", None) in _HELD_UP
