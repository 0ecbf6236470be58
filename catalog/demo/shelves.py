"""The demo shop's goods as products that an operator could have written, through the same door."""

import itertools
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncSession

from catalog import categories, media, products, stock
from catalog.admin_schemas import OptionBody, ProductBody, SkuBody
from catalog.demo import pictures
from catalog.demo.goods import GOODS, TREE, Good
from catalog.schemas import Spec, SpecValue

_VALUE = re.compile(r"(.+?)([+-]\d+)?$")
ACTOR = "system"


class Plan(msgspec.Struct, frozen=True):
    """Everything but the ids: drawn before the transaction, so that a full disk is no database trouble."""

    images: dict[str, str]
    """Of categories, by name."""
    goods: list[tuple[Good, ProductBody]]


def plan(folder: Path) -> Plan:
    """Draw the pictures into `folder` and write down the products. Raises `OSError`."""
    place = {top: (top, top) for top in TREE}
    for top, middles in TREE.items():
        for middle, leaves in middles.items():
            place |= dict.fromkeys((middle, *leaves), (top, middle))
    images = {name: _keep(folder, pictures.category(*where, name)) for name, where in place.items()}
    return Plan(images, [(good, _body(good, place[good[0]], n, folder)) for n, good in enumerate(GOODS, start=1)])


async def fill(session: AsyncSession, planned: Plan, at: datetime) -> None:
    """Categories, products on sale, and their first delivery, in the caller's transaction."""
    leaves = await _categories(session, planned.images)
    delivered: list[stock.Want] = []
    for good, body in planned.goods:
        made = await products.create(session, replace(body, category_id=str(leaves[good[0]])), at)
        made.sold_before = made.sold = good[8]
        await products.put_on_sale(session, made.id, at)
        skus = await products.list_skus(session, made.id)
        delivered += [stock.Want(sku.id, _pieces(sku.id)) for sku in skus]
    await stock.receive(session, delivered, reason="initial", ref="", actor=ACTOR, at=at)


def _pieces(number: int) -> int:
    """Between 20 and 320; uneven, but the same in every demo shop."""
    return 20 + number * 37 % 301


async def _categories(session: AsyncSession, images: dict[str, str]) -> dict[str, int]:
    """The leaves' ids by name."""
    leaves: dict[str, int] = {}

    async def make(name: str, parent: int | None, position: int) -> int:
        made = await categories.create(
            session, parent_id=parent, name=name, image=images[name], position=position, hidden=False
        )
        return made.id

    for first, (top, middles) in enumerate(TREE.items()):
        root = await make(top, None, first)
        for second, (middle, names) in enumerate(middles.items()):
            branch = await make(middle, root, second)
            for third, name in enumerate(names):
                leaves[name] = await make(name, branch, third)
    return leaves


def _keep(folder: Path, svg: str) -> str:
    return media.write(folder, pictures.name_of(svg), svg)


def _body(good: Good, where: tuple[str, str], number: int, folder: Path) -> ProductBody:
    _, title, subtitle, yuan, list_yuan, weight_g, choices, tags, _ = good
    specs, dearer = _specs(choices, where, title, folder)
    facts = [subtitle, *(f"{spec.name}：{'、'.join(value.name for value in spec.values)}"[:22] for spec in specs)]
    facts += ["七天无理由退货", "四十八小时内发货"]
    return ProductBody(
        title=title,
        subtitle=subtitle,
        category_id="1",  # until `fill` knows
        priority=100 if "热卖" in tags else 0,
        images=[_keep(folder, pictures.product(*where, title, subtitle, view)) for view in range(3)],
        detail_images=[_keep(folder, pictures.detail(*where, title, facts))],
        description=f"{title}，{subtitle}。{'；'.join(facts[1:])}。",
        specs=specs,
        tags=[tag for tag in tags.split(",") if tag],
        skus=list(_skus(specs, dearer, number, yuan, list_yuan, weight_g)),
    )


def _specs(
    choices: str, where: tuple[str, str], title: str, folder: Path
) -> tuple[list[Spec], dict[tuple[str, str], int]]:
    """The specs, and by how many yuan each value makes a SKU dearer."""
    specs: list[Spec] = []
    dearer: dict[tuple[str, str], int] = {}
    for place, choice in enumerate(choices.split(";"), start=1):
        name, _, written = choice.partition(":")
        spec = Spec(id=str(place), name=name, values=[])
        for at, value in enumerate(written.split(","), start=1):
            label, more = _split(value)
            image = _keep(folder, pictures.colour(*where, title, label)) if name == "颜色" else None
            spec.values.append(SpecValue(id=str(at), name=label, image=image))
            dearer[spec.id, str(at)] = more
        specs.append(spec)
    return specs, dearer


def _split(value: str) -> tuple[str, int]:
    label, more = _VALUE.fullmatch(value).groups()  # type: ignore[union-attr]
    return label, int(more or 0)


def _skus(
    specs: list[Spec], dearer: dict[tuple[str, str], int], number: int, yuan: int, list_yuan: int, weight_g: int
) -> Iterator[SkuBody]:
    for place, values in enumerate(itertools.product(*(spec.values for spec in specs)), start=1):
        chosen = [(spec.id, value.id) for spec, value in zip(specs, values, strict=True)]
        price = yuan + sum(dearer[one] for one in chosen)
        yield SkuBody(
            code=f"D{number:03d}-{place:02d}",
            options=[OptionBody(spec_id=spec, value_id=value) for spec, value in chosen],
            price_fen=price * 100 - 10,  # shops like ¥127.90
            list_price_fen=(price + list_yuan - yuan) * 100 if list_yuan else None,
            image=next((value.image for value in values if value.image), None),
            weight_g=weight_g * price // yuan,
        )
