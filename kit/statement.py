"""A statement for bare asyncpg connections, made ready once: parameters by name instead of `$1`, with their types."""

from functools import cached_property
from typing import Any

from sqlalchemy import BigInteger, ClauseElement, bindparam, text
from sqlalchemy.dialects.postgresql.asyncpg import dialect

_DIALECT = dialect()  # type: ignore[no-untyped-call]


class Statement:
    """`await PLACE.fetch(connection, member=7)`. Raises what asyncpg raises, `KeyError` for a parameter left out."""

    def __init__(self, statement: str | ClauseElement, **types: Any) -> None:
        """`types` are those of a text's parameters; what is not named is a bigint."""
        if isinstance(statement, str):
            written = text(statement)
            names = {*written._bindparams}  # noqa: SLF001  (the only way to ask which parameters the text names)
            statement = written.bindparams(*(bindparam(name, type_=types.get(name, BigInteger)) for name in names))
        self._statement = statement

    @cached_property
    def _compiled(self) -> tuple[str, list[str]]:
        """Its text and the names of its parameters in order: when it is first asked, so that a start need not wait."""
        compiled = self._statement.compile(dialect=_DIALECT)
        return str(compiled), list(getattr(compiled, "positiontup", None) or [])

    async def fetch(self, connection: Any, **given: Any) -> list[Any]:
        """All rows."""
        sql, names = self._compiled
        return await connection.fetch(sql, *[given[name] for name in names])  # type: ignore[no-any-return]
