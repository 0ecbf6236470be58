"""What the shop's staff write on a mixed day: other prices, parcels handed over, goods that have come in."""

import json
from typing import Any

from bench.data import goods, people
from bench.ground import Ground
from bench.size import SKUS

EDITED = 200
"""The last so many products get other prices; nobody orders them, since whoever does names the price that was shown."""
_SKU_FIELDS = ("id", "code", "priceFen", "listPriceFen", "image", "weightG", "enabled")
_LEFT_OUT = {"id", "skus", "priceFen", "maxPriceFen", "listPriceFen", "sold", "status", "createdAt", "updatedAt"}


def write(ground: Ground, parcels: int) -> None:
    """For the next run: `edits.tsv`, products as staff would send them back, and `to-ship.tsv`, `parcels` paid orders."""
    last = ground.size.products
    products = range(last - EDITED + 1, last + 1)
    ground.feed.write("edits.tsv", [_edit(ground, product) for product in products])

    async def paid(connection: Any) -> list[tuple[Any, ...]]:
        rows = await connection.fetch("SELECT no FROM orders WHERE state = 'paid' ORDER BY id LIMIT $1", parcels)
        return [tuple(row) for row in rows]

    ground.feed.write("to-ship.tsv", ground.stage.owner(ground.database, paid))


def _edit(ground: Ground, product: int) -> tuple[int, int, int, str]:
    """Id, version, price of the first SKU, and the body, in which `@VERSION@` and `@FEN@` stand for the last two."""
    seen = json.loads(ground.fetch(f"/admin/v1/products/{product}", people.token("staff")))
    skus = [{name: sku[name] for name in _SKU_FIELDS} | {"options": _options(sku)} for sku in seen["skus"]]
    fen, version = skus[0]["priceFen"], seen["version"]
    skus[0]["priceFen"] = "@FEN@"
    body = {name: value for name, value in seen.items() if name not in _LEFT_OUT}
    text = json.dumps(body | {"skus": skus, "version": "@VERSION@"}, ensure_ascii=False)
    return product, version, fen, text.replace('"@FEN@"', "@FEN@").replace('"@VERSION@"', "@VERSION@")


def _options(sku: dict[str, Any]) -> list[dict[str, str]]:
    return [{"specId": option["specId"], "valueId": option["valueId"]} for option in sku["options"]]


def restore(ground: Ground) -> None:
    """Give the products their prices back: all other workloads know them."""
    last = ground.size.products * SKUS
    ground.stage.owner(
        ground.database, lambda connection: goods.price_again(connection, last - EDITED * SKUS + 1, last)
    )
