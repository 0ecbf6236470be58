"""The tree of categories: at most three levels, hidden ones and all below them left out for buyers."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from catalog.models import MAX_LEVEL, Category
from catalog.schemas import CategoryNode, CategoryTree
from kit.errors import NotFound, Unprocessable
from kit.statement import Statement


class NoSuchCategory(NotFound):
    """There is no such category."""

    zh = "分类不存在"


class TooDeep(Unprocessable):
    """Categories go three levels deep, and none hangs below itself."""

    zh = "分类最多三级，且不能挂在自己之下"


_SHOWN = Statement("SELECT id, parent_id, name, image FROM category WHERE NOT hidden ORDER BY position, id")


async def tree(connection: Any) -> CategoryTree:
    """What buyers see, by a bare connection."""
    below: defaultdict[int | None, list[CategoryNode]] = defaultdict(list)
    for id_, parent_id, name, image in await _SHOWN.fetch(connection):
        # The node's own list is the one its children are put into, whichever comes first.
        below[parent_id].append(CategoryNode(id=str(id_), name=name, image=image, children=below[id_]))
    return CategoryTree(below[None])


async def list_all(session: AsyncSession) -> Sequence[Category]:
    """Every category, parents first."""
    query = select(Category).order_by(Category.level, Category.position, Category.id)
    return (await session.scalars(query)).all()


async def get(session: AsyncSession, category_id: int) -> Category:
    """Raises `NoSuchCategory`."""
    found = await session.get(Category, category_id, with_for_update={"key_share": True})
    if found is None:
        raise NoSuchCategory
    return found


async def create(
    session: AsyncSession, *, parent_id: int | None, name: str, image: str | None, position: int, hidden: bool
) -> Category:
    """Raises `NoSuchCategory` for the parent, `TooDeep`."""
    level = await _level_below(session, parent_id)
    made = Category(parent_id=parent_id, level=level, name=name, image=image, position=position, hidden=hidden)
    session.add(made)
    await session.flush()
    return made


async def update(
    session: AsyncSession,
    category_id: int,
    *,
    parent_id: int | None,
    name: str,
    image: str | None,
    position: int,
    hidden: bool,
) -> Category:
    """Replace all of it. It moves only while nothing hangs below it. Raises `NoSuchCategory`, `TooDeep`."""
    category = await get(session, category_id)
    if parent_id != category.parent_id:
        query = select(Category.id).where(Category.parent_id == category_id).limit(1)
        if parent_id == category_id or (await session.scalar(query)) is not None:
            raise TooDeep
        category.level = await _level_below(session, parent_id)
        category.parent_id = parent_id
    category.name, category.image, category.position, category.hidden = name, image, position, hidden
    await session.flush()
    return category


async def _level_below(session: AsyncSession, parent_id: int | None) -> int:
    level = 1 if parent_id is None else (await get(session, parent_id)).level + 1
    if level > MAX_LEVEL:
        raise TooDeep
    return level
