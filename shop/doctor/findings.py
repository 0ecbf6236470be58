"""What a look at one thing finds: a verdict, what was seen, and what to do about it."""

from enum import StrEnum

import msgspec


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    """It works, and should not stay so."""
    WRONG = "wrong"
    """Money, goods or news will be lost or refused."""


class Finding(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """`seen` never holds a secret. `todo` is empty when all is well."""

    about: str
    verdict: Verdict
    seen: str
    todo: str = ""


def ok(about: str, seen: str) -> Finding:
    return Finding(about, Verdict.OK, seen)


def warning(about: str, seen: str, todo: str) -> Finding:
    return Finding(about, Verdict.WARNING, seen, todo)


def wrong(about: str, seen: str, todo: str) -> Finding:
    return Finding(about, Verdict.WRONG, seen, todo)
