"""Vendure, installed by npm from `bench/vendure`, on the same PostgreSQL, with the same goods."""

import csv
import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.size import Size
from bench.stage import WORKERS, Server, Stage
from dev import ports
from dev.trouble import Trouble

DATABASE = "vendure"
CUSTOMERS = 120
"""Signed in, each asked for by one connection at a time."""
_FOLDER = Path(__file__).parent / "vendure"
_SECRET = "of-a-benchmark-on-loopback"
_SHOWN = 2000
_GOODS = """
    SELECT p.id, p.title, p.description, c.id AS leaf, m.id AS middle, m.parent_id AS top,
        array_agg(k.code ORDER BY k.position) AS codes, array_agg(k.price_fen ORDER BY k.position) AS fens,
        array_agg(k.options -> 0 ->> 'name' ORDER BY k.position) AS sizes, max(s.available) AS pieces
    FROM product p JOIN category c ON c.id = p.category_id JOIN category m ON m.id = c.parent_id
    JOIN sku k ON k.product_id = p.id JOIN stock s ON s.sku_id = k.id
    GROUP BY p.id, c.id, m.id ORDER BY p.id
"""
_HEAD = [
    "name",
    "slug",
    "description",
    "assets",
    "facets",
    "optionGroups",
    "optionValues",
    "sku",
    "price",
    "taxCategory",
    "stockOnHand",
    "trackInventory",
    "variantAssets",
    "variantFacets",
]


def version() -> str:
    """Of Vendure, as the lock has it."""
    lock = json.loads((_FOLDER / "package-lock.json").read_text(encoding="utf-8"))
    return str(lock["packages"]["node_modules/@vendure/core"]["version"])


def install() -> None:
    """Have its packages beside its files. Raises Trouble."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise Trouble(f"{program} is not installed: Vendure needs Node.js 20 or newer.")
    if (_FOLDER / "node_modules" / ".package-lock.json").exists():
        return
    _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(_FOLDER)], dict(os.environ))


def ensure(stage: Stage, feed: Path, size: Size, say: Callable[[str], None]) -> None:
    """Have its database hold the goods of the shop's, with customers signed in; kept as the shop's is. Raises Trouble."""
    kept, wanted = stage.folder / "vendure.filled", f"{size.products} {_made_by()}"
    if kept.exists() and kept.read_text(encoding="utf-8") == wanted:
        return
    began = time.monotonic()
    say(f"vendure: {size.products} products, by its own importer")
    kept.unlink(missing_ok=True)
    goods = stage.owner("shop", lambda connection: connection.fetch(_GOODS))
    with (feed / "goods.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([_HEAD, *(line for product in goods for line in _lines(product))])
    categories = sorted({f"c{product[level]}" for product in goods for level in ("top", "middle", "leaf")})
    (feed / "categories.txt").write_text("\n".join(categories) + "\n", encoding="utf-8")

    async def create(connection: Any) -> None:
        await connection.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        await connection.execute(f"CREATE DATABASE {DATABASE} OWNER shop_owner")

    stage.superuser(create)
    _run(["node", str(_FOLDER / "fill.js")], _environment(stage, ports.any_free(), feed))
    stage.owner(DATABASE, lambda connection: connection.execute("VACUUM (ANALYZE)"))
    kept.write_text(wanted, encoding="utf-8")
    say(f"vendure: filled in {time.monotonic() - began:.0f} s")


def _made_by() -> str:
    """What the filling depends on."""
    made_by = hashlib.sha256(str(CUSTOMERS).encode())
    for name in ("config.js", "fill.js", "package-lock.json"):
        made_by.update((_FOLDER / name).read_bytes())
    return made_by.hexdigest()[:12]


def _lines(product: Any) -> Iterator[list[str]]:
    """A product in Vendure's import format: its own line is the first of its variants'."""
    facets = "|".join(f"category:c{product[level]}" for level in ("top", "middle", "leaf"))
    of_product = [product["title"], f"p{product['id']}", product["description"], "", facets, "规格"]
    for size, code, fen in zip(product["sizes"], product["codes"], product["fens"], strict=True):
        yield [*of_product, size, code, f"{fen / 100:.2f}", "standard", str(product["pieces"]), "true", "", ""]
        of_product = [""] * len(of_product)


def serve(stage: Stage, feed: Path) -> Server:
    """Its server, with one process for each core. Raises Trouble."""
    port = ports.any_free()
    argv = ["node", str(_FOLDER / "serve.js")]
    return Server(argv, port, _environment(stage, port, feed), stage.folder / "serve-vendure.log", "/health")


def _environment(stage: Stage, port: int, feed: Path) -> dict[str, str]:
    return {
        **stage.plain_environment(),
        "NODE_ENV": "production",
        "VENDURE_DISABLE_TELEMETRY": "true",  # it would write beside its files and call its makers
        "PEER_DATABASE_URL": stage.cluster.owner_url(DATABASE),
        "PEER_PORT": str(port),
        "PEER_SECRET": _SECRET,
        "PEER_WORKERS": str(WORKERS),
        "PEER_CUSTOMERS": str(CUSTOMERS),
        "PEER_FEED": str(feed),
    }


def _run(argv: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(argv, cwd=_FOLDER, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Trouble(f"`{' '.join(argv[:2])}` failed: {(done.stderr or done.stdout).strip()[-_SHOWN:]}")
