"""The `Idempotency-Key` header, where money or goods move."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeAlias

from litestar.params import HeaderParameter

from kit.web.headers import values

_FORM: Final = r"^[!-~]+$"
_SHORTEST: Final = 8
_LONGEST: Final = 64
IdempotencyKey: TypeAlias = Annotated[
    str,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=_SHORTEST,
        max_length=_LONGEST,
        pattern=_FORM,
        description="Chosen by the client for one wish; the same key with the same body gets the same answer for 72 hours",
    ),
]
_KEY = re.compile(_FORM)


def key_said(scope: Mapping[str, Any]) -> str | None:
    """The same before routing; `None`: it is not there, or not as it must be."""
    said = values(scope, b"idempotency-key")
    if len(said) == 1 and _SHORTEST <= len(said[0]) <= _LONGEST and _KEY.fullmatch(said[0]):
        return said[0]
    return None
