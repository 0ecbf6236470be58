"""How a group of WeChat Pay's calls is made: signed, verified, with its three answers."""

from collections.abc import Awaitable
from typing import Any, Protocol, TypeVar

import msgspec

from payments.wechatpay.gateway import Refused, Unknown
from payments.wechatpay.gateway import _is_missing as is_missing

T = TypeVar("T")


class Caller(Protocol):
    """Whoever speaks to WeChat Pay."""

    async def call(self, method: str, path: str, body: Any = None, *, serial: str | None = None) -> bytes:
        """The body of a 2xx with a good signature. `serial` names the key that sealed members of `body` are for.

        Raises `Refused` or `Unknown`.
        """
        ...


async def missing_is_none(call: Awaitable[bytes]) -> bytes | None:
    """`None` when WeChat has no such thing."""
    try:
        return await call
    except Refused as error:
        if is_missing(error):
            return None
        raise


def read(raw: bytes, kind: type[T], number: str, member: str) -> T:
    """The answer, if it is about `number`. Raises `Unknown` otherwise."""
    try:
        answer = msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unknown("an answer that cannot be read") from error
    if getattr(answer, member) != number:
        raise Unknown("an answer about another number")
    return answer
