"""What can be chosen (specs) and what each SKU chooses (options) must fit: pure checks."""

from collections.abc import Sequence

from catalog.admin_schemas import ProductBody, SkuBody
from catalog.schemas import Spec
from kit.errors import invalid


def fitted(product: ProductBody) -> list[list[dict[str, str]]]:
    """The options of each SKU, in the order of the specs, with the names of their values.

    Raises `InvalidInput` naming the field: ids twice, a spec not chosen, a value that is not there, two SKUs alike.
    """
    _unique("specs", [spec.id for spec in product.specs])
    for place, spec in enumerate(product.specs):
        _unique(f"specs[{place}].values", [value.id for value in spec.values])
    names = {spec.id: {value.id: value.name for value in spec.values} for spec in product.specs}
    chosen = [_options(place, sku, product.specs, names) for place, sku in enumerate(product.skus)]
    seen: set[tuple[str, ...]] = set()
    for place, options in enumerate(chosen):
        combination = tuple(option["valueId"] for option in options)
        if combination in seen:
            raise invalid(f"skus[{place}].options", "another SKU has the same options")
        seen.add(combination)
    for place, sku in enumerate(product.skus):
        if sku.list_price_fen is not None and sku.list_price_fen < sku.price_fen:
            raise invalid(f"skus[{place}].listPriceFen", "must not be below priceFen")
    return chosen


def _options(place: int, sku: SkuBody, specs: Sequence[Spec], names: dict[str, dict[str, str]]) -> list[dict[str, str]]:
    field = f"skus[{place}].options"
    values = {option.spec_id: option.value_id for option in sku.options}
    if len(values) != len(sku.options) or values.keys() != names.keys():
        raise invalid(field, "must choose one value of each spec")
    for spec_id, value_id in values.items():
        if value_id not in names[spec_id]:
            raise invalid(field, f"spec {spec_id} has no value {value_id}")
    return [{"specId": spec.id, "valueId": values[spec.id], "name": names[spec.id][values[spec.id]]} for spec in specs]


def _unique(field: str, ids: Sequence[str]) -> None:
    if len(set(ids)) != len(ids):
        raise invalid(field, "an id stands there twice")
