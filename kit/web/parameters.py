"""Path and query parameters with the bounds of `kit.fields`.

Beside a parameter's own limits Litestar drops those of its type (`FromQuery[Annotated[int, Meta(ge=1)]]` takes 0), so
they are carried over here.
"""

from typing import Annotated, Any, TypeAlias, TypeVar

from litestar.params import PathParameter, QueryParameter

from kit.fields import Cursor, Id, Limit, No

P = TypeVar("P", PathParameter, QueryParameter)


def bounded(kind: type[P], bounds: Any, name: str | None = None, description: str | None = None) -> P:
    """`Annotated[str | None, bounded(QueryParameter, Id, "memberId")]`: `bounds` is one of `kit.fields`."""
    (meta,) = bounds.__metadata__
    limits = {limit: getattr(meta, limit) for limit in ("ge", "le", "min_length", "max_length", "pattern")}
    # Litestar draws no minimum of zero
    drawn = None if meta.ge is None else {"minimum": meta.ge}
    return kind(name=name, description=description or meta.description, schema_extra=drawn, **limits)


PathId: TypeAlias = Annotated[str, bounded(PathParameter, Id)]
PathNo: TypeAlias = Annotated[str, bounded(PathParameter, No)]
QueryNo: TypeAlias = Annotated[str | None, bounded(QueryParameter, No)]
QueryLimit: TypeAlias = Annotated[int, bounded(QueryParameter, Limit)]
QueryCursor: TypeAlias = Annotated[
    str | None, bounded(QueryParameter, Cursor, description="`nextCursor` of the page before")
]
