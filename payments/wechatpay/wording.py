"""Texts, numbers and times as WeChat Pay takes them."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

_BEIJING = timezone(timedelta(hours=8))
_NUMBER = re.compile(r"[0-9A-Za-z]{1,64}", re.ASCII)
_MAX_FEN = 10**10
"""A hundred million yuan: whatever is more is a mistake of ours."""

DESCRIPTION_BYTES = 127
ATTACH_BYTES = 128
REASON_BYTES = 80
REMARK_BYTES = 32


def cut(value: str, limit_bytes: int) -> str:
    """`value` in at most `limit_bytes` of UTF-8, cut between characters: WeChat Pay counts bytes."""
    return value.encode(errors="ignore")[:limit_bytes].decode(errors="ignore")


def beijing(moment: datetime) -> str:
    """RFC 3339 with `+08:00`, to the second."""
    return moment.astimezone(_BEIJING).isoformat(timespec="seconds")


def number(value: str, *, at_least: int = 1, at_most: int = 32) -> str:
    """Our number, as it may stand in a path and in a body. Raises `ValueError`.

    WeChat allows more characters; the package signs another path than it sends for some of them (its defect 4).
    """
    if not _NUMBER.fullmatch(value) or not at_least <= len(value) <= at_most:
        raise ValueError(f"a number of {at_least} to {at_most} letters and digits, not {value!r}")
    return value


def segment(value: str) -> str:
    """A number, ours or another's, as one part of a path; encoded before it is signed. Raises `ValueError`."""
    if not 0 < len(value) <= 64:
        raise ValueError("a number of 1 to 64 characters")
    return quote(value, safe="")


def fen(value: int) -> int:
    """An amount of money that WeChat takes. Raises `ValueError`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MAX_FEN:
        raise ValueError(f"an amount from 1 to {_MAX_FEN} fen, not {value!r}")
    return value


def said(members: Mapping[str, Any]) -> dict[str, Any]:
    """Without those that are `None`: WeChat wants a member left out rather than null."""
    return {name: value for name, value in members.items() if value is not None}
