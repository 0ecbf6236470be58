"""The three answers of a call: done (it returns), refused (`Refused`), unknown (`Unknown`), and how a body is read.

Unknown is asked again by query before anything is repeated under a new number.
"""

from collections.abc import Awaitable
from typing import TypeVar

import msgspec

T = TypeVar("T")
_MISSING = 404
_MISSING_CODES = frozenset({"ORDERNOTEXIST", "RESOURCENOTEXISTS", "REFUNDNOTEXIST", "RECORDNOTEXIST"})
_OTHERWISE_MISSING = frozenset({"", "HTTP404", "MCHNOTEXISTS"})
"""404s that do not speak of the order or the refund: a wrong address, an unknown merchant."""


class Refused(Exception):
    """WeChat Pay says no. `code` has no underscores (`ORDERPAID`): the spelling varies with the age of the call."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message

    @property
    def is_wordless(self) -> bool:
        """It names no code of WeChat Pay's: something in between may have said it, about a call that was done."""
        return self.code in {"", f"HTTP{self.status}"}


class Unknown(Exception):
    """No answer, or one that cannot be trusted: it may or may not have happened."""


class _Failure(msgspec.Struct):
    code: str = ""
    message: str = ""


def refusal(status: int, raw: bytes) -> Refused:
    """The 4xx as it is told to callers; a body that says nothing gives `HTTP404` and the like."""
    try:
        failure = msgspec.json.decode(raw, type=_Failure)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        failure = _Failure(code=f"HTTP{status}")
    return Refused(status, failure.code.replace("_", "")[:64], failure.message[:200])


def is_missing(error: Refused) -> bool:
    """WeChat knows no such order, refund, transfer or share."""
    if error.code in _MISSING_CODES:
        return True
    return error.status == _MISSING and error.code not in _OTHERWISE_MISSING


async def missing_is_none(call: Awaitable[bytes]) -> bytes | None:
    """`None` when WeChat has no such thing."""
    try:
        return await call
    except Refused as error:
        if is_missing(error):
            return None
        raise


async def asked(question: Awaitable[T]) -> T:
    """What WeChat answers when it is asked about a deed. Raises `Unknown`, and no `Refused`.

    A no to the question (no right to ask, a wrong account, a proxy in between) is none to the deed: it may have been done.
    """
    try:
        return await question
    except Refused as error:
        raise Unknown(f"not told: {error}") from error


def read(raw: bytes, kind: type[T]) -> T:
    """The body of an answer. Raises `Unknown` for what cannot be read."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unknown("an answer that cannot be read") from error


def read_about(raw: bytes, kind: type[T], member: str, number: str) -> T:
    """The body of an answer whose `member` is `number`. Raises `Unknown` also for one about something else."""
    answer = read(raw, kind)
    if getattr(answer, member) != number:
        raise Unknown("an answer about another number")
    return answer
