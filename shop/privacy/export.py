"""A copy of everything that the shop holds about a member: whole, and of nobody else."""

from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import BigInteger, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from kit.errors import Unprocessable
from shop.privacy.registry import HELD, Held

MOST: Final = 20_000
"""Rows of one kind in one export."""


class TooMuchToExport(Unprocessable):
    """There are more than {most} entries of one kind; ask the shop for the copy."""

    zh = "数据超过 {most} 条，请联系商家导出"


class Export(msgspec.Struct, rename="camel"):
    """`parts`: by kind of entry (`orders`, `address`, …), each entry with its fields. Money in fen."""

    exported_at: datetime
    parts: dict[str, list[dict[str, Any]]]


async def take(session: AsyncSession, member_id: int, at: datetime) -> Export:
    """Everything in the caller's transaction. Raises `TooMuchToExport` (422)."""
    return Export(at, {_camel(held.table): await _rows(session, held, member_id) for held in HELD if held.shown})


async def _rows(session: AsyncSession, held: Held, member_id: int) -> list[dict[str, Any]]:
    columns = ", ".join(held.columns)
    statement = text(
        f"SELECT {columns} FROM {held.table} WHERE {held.whose} ORDER BY {held.columns[0]} LIMIT {MOST + 1}"  # noqa: S608
    ).bindparams(bindparam("member", type_=BigInteger))
    rows = (await session.execute(statement, {"member": member_id})).mappings().all()
    if len(rows) > MOST:
        raise TooMuchToExport(most=MOST)
    return [{_camel(name): _plain(name, value) for name, value in row.items()} for row in rows]


def _plain(name: str, value: Any) -> Any:
    """Ids are texts on the wire."""
    return str(value) if isinstance(value, int) and (name == "id" or name.endswith("_id")) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)
