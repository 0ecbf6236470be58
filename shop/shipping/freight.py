"""What sending a parcel costs. Pure: no I/O, no clock."""

from collections.abc import Sequence

import msgspec

from kit.errors import Unprocessable
from shop.shipping.provinces import PROVINCES, plain


class Undeliverable(Unprocessable):
    """We do not deliver to {province}."""

    zh = "暂不支持配送至{province}"


class Rate(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """`first_fen` up to `first_g`, then `extra_fen` for each `extra_g` begun; free from `free_over_fen` of goods on."""

    first_g: int
    first_fen: int
    extra_g: int
    extra_fen: int
    free_over_fen: int | None = None


class Override(Rate, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What holds in these provinces instead. Without `free_over_fen` nothing is free there."""

    provinces: Sequence[str]


class Regions(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    overrides: Sequence[Override] = ()
    undeliverable: Sequence[str] = ()


class Template(msgspec.Struct, frozen=True):
    rate: Rate
    regions: Regions = Regions()


STANDARD = Template(
    Rate(first_g=1000, first_fen=8_00, extra_g=1000, extra_fen=2_00, free_over_fen=99_00),
    Regions(
        overrides=(
            Override(
                provinces=("新疆维吾尔自治区", "西藏自治区"),
                first_g=1000,
                first_fen=15_00,
                extra_g=1000,
                extra_fen=10_00,
            ),
        ),
        undeliverable=("香港特别行政区", "澳门特别行政区", "台湾省"),
    ),
)
"""What a shop begins with, and what holds while it has no template."""


def price(template: Template, *, weight_g: int, goods_fen: int, province: str) -> int | Undeliverable:
    """The freight in fen for goods worth `goods_fen` after discounts.

    Where nothing is sent the refusal is the answer, not raised: a preview lists it among other problems. Provinces are
    compared by their common names, since clients write 浙江 and 浙江省. Where the template tells China's provinces apart, a
    place that is none of them, and is not named itself, could be any of them: nothing is sent there.
    """
    where = plain(province)
    first_wins = reversed(template.regions.overrides)
    own = {plain(name): override for override in first_wins for name in override.provinces}
    nowhere = set(map(plain, template.regions.undeliverable))
    tells_apart = not (own.keys() | nowhere).isdisjoint(PROVINCES)
    if where in nowhere or (tells_apart and where not in PROVINCES and where not in own):
        return Undeliverable(province=province)
    rate: Rate = own.get(where, template.rate)
    if rate.free_over_fen is not None and goods_fen >= rate.free_over_fen:
        return 0
    beyond_g = max(0, weight_g - rate.first_g)
    return rate.first_fen + -(-beyond_g // rate.extra_g) * rate.extra_fen
