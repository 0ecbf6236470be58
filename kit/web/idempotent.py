"""The `Idempotency-Key` header, where money or goods move."""

from typing import Annotated, TypeAlias

from litestar.params import HeaderParameter

IdempotencyKey: TypeAlias = Annotated[
    str,
    HeaderParameter(
        name="Idempotency-Key",
        min_length=8,
        max_length=64,
        pattern=r"^[!-~]+$",
        description="Chosen by the client for one wish; the same key with the same body gets the same answer for 72 hours",
    ),
]
