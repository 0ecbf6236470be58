"""Bodies on the wire."""

from typing import Annotated

import msgspec
from msgspec import Meta

from kit.fields import Fen, Id, Word
from shop.shipping import templates
from shop.shipping.freight import Override, Rate, Regions, Template
from shop.shipping.models import FreightTemplate

Grams = Annotated[int, Meta(ge=1, le=1_000_000, description="Grams")]
Provinces = Annotated[list[Word], Meta(max_length=50)]


class OverrideBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What holds in these provinces instead."""

    provinces: Annotated[list[Word], Meta(min_length=1, max_length=50)]
    first_g: Grams
    first_fen: Fen
    extra_g: Grams
    extra_fen: Fen
    free_over_fen: Fen | None = None


class FreightTemplateBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """`first_fen` up to `first_g`, then `extra_fen` for each `extra_g` begun; free from `free_over_fen` of goods on."""

    name: Word
    first_g: Grams
    first_fen: Fen
    extra_g: Grams
    extra_fen: Fen
    free_over_fen: Fen | None = None
    overrides: Annotated[list[OverrideBody], Meta(max_length=50)] = []
    undeliverable: Provinces = []

    def template(self) -> Template:
        rate = Rate(
            first_g=self.first_g,
            first_fen=self.first_fen,
            extra_g=self.extra_g,
            extra_fen=self.extra_fen,
            free_over_fen=self.free_over_fen,
        )
        overrides = [Override(**msgspec.structs.asdict(override)) for override in self.overrides]
        return Template(rate, Regions(overrides, self.undeliverable))


class FreightTemplateView(msgspec.Struct, rename="camel", kw_only=True):
    id: Id
    name: str
    is_default: bool
    first_g: int
    first_fen: int
    extra_g: int
    extra_fen: int
    free_over_fen: int | None
    overrides: list[Override]
    undeliverable: list[str]


class FreightTemplates(msgspec.Struct, rename="camel"):
    items: list[FreightTemplateView]


def template_view(row: FreightTemplate) -> FreightTemplateView:
    regions = templates.read(row).regions
    return FreightTemplateView(
        id=str(row.id),
        name=row.name,
        is_default=row.is_default,
        first_g=row.first_g,
        first_fen=row.first_fen,
        extra_g=row.extra_g,
        extra_fen=row.extra_fen,
        free_over_fen=row.free_over_fen,
        overrides=list(regions.overrides),
        undeliverable=list(regions.undeliverable),
    )
