"""Freight templates as they are kept. One is the default; checkout asks for it."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache

import msgspec
from sqlalchemy import exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from kit import audit
from kit.errors import NotFound
from kit.web.actor import Actor
from shop.shipping.freight import STANDARD, Rate, Regions, Template
from shop.shipping.models import FreightTemplate


class TemplateNotFound(NotFound):
    """There is no such freight template."""

    zh = "未找到该运费模板"


async def default(session: AsyncSession) -> Template:
    """The shop's rates; `STANDARD` while none are kept."""
    statement = select(FreightTemplate).where(FreightTemplate.is_default)
    row = (await session.execute(statement)).scalar_one_or_none()
    return STANDARD if row is None else read(row)


class _Written(msgspec.Struct):
    """A row as JSON."""

    first_g: int
    first_fen: int
    extra_g: int
    extra_fen: int
    free_over_fen: int | None
    regions: Regions


@lru_cache(maxsize=8)
def of_json(row: str | None) -> Template:
    """The template that a row of the table says as JSON (`row_to_json`); without a row, `STANDARD`."""
    return STANDARD if row is None else read(msgspec.json.decode(row, type=_Written))


def read(row: FreightTemplate | _Written) -> Template:
    rate = Rate(
        first_g=row.first_g,
        first_fen=row.first_fen,
        extra_g=row.extra_g,
        extra_fen=row.extra_fen,
        free_over_fen=row.free_over_fen,
    )
    regions = row.regions
    return Template(rate, regions if isinstance(regions, Regions) else msgspec.convert(regions, Regions))


async def list_all(session: AsyncSession) -> Sequence[FreightTemplate]:
    """The default first."""
    order = (FreightTemplate.is_default.desc(), FreightTemplate.id)
    return (await session.execute(select(FreightTemplate).order_by(*order).limit(100))).scalars().all()


async def get(session: AsyncSession, template_id: int) -> FreightTemplate:
    """Raises `TemplateNotFound` (404)."""
    row = await session.get(FreightTemplate, template_id)
    if row is None:
        raise TemplateNotFound
    return row


async def change(
    session: AsyncSession, template_id: int, *, name: str, template: Template, by: Actor, now: datetime
) -> FreightTemplate:
    """Replace all of it; orders placed keep what they were promised. Raises `TemplateNotFound` (404)."""
    values = {**_columns(template), "name": name, "updated_at": now}
    statement = update(FreightTemplate).where(FreightTemplate.id == template_id).values(**values)
    row = (await session.execute(statement.returning(FreightTemplate))).scalar_one_or_none()
    if row is None:
        raise TemplateNotFound
    facts = {key: value for key, value in values.items() if key != "updated_at"}
    await audit.record(
        session, at=now, actor=by.label, action="freight.change", subject=("freight_template", template_id), facts=facts
    )
    return row


async def ensure_default(session: AsyncSession) -> None:
    """Keep `STANDARD` as the default, for an operator to change, when there is no template. Harmless when repeated."""
    present = (await session.execute(select(exists().select_from(FreightTemplate)))).scalar_one()
    if not present:
        values = {**_columns(STANDARD), "name": "标准运费", "is_default": True, "updated_at": func.now()}
        await session.execute(insert(FreightTemplate).values(**values))


def _columns(template: Template) -> dict[str, object]:
    return {**msgspec.structs.asdict(template.rate), "regions": msgspec.to_builtins(template.regions)}
