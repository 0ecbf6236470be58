"""What the load generator reads: tokens, SKUs, paths, written from the database before a run."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench.data import people, words
from bench.stage import Stage

_ASKED = """
    DROP SCHEMA IF EXISTS bench CASCADE;
    CREATE SCHEMA bench;
    CREATE TABLE bench.asked (place bigint PRIMARY KEY, no text NOT NULL, member_id bigint NOT NULL);
    GRANT USAGE ON SCHEMA bench TO shop_app;
    GRANT SELECT ON bench.asked TO shop_app;
"""
_NEWEST = """
    INSERT INTO bench.asked
    SELECT row_number() OVER (ORDER BY m), o.no, m FROM generate_series(1, $1::bigint) AS m CROSS JOIN LATERAL (
        SELECT no FROM orders WHERE member_id = m AND state = 'completed' ORDER BY id DESC LIMIT 1) o
"""


class Feed:
    """Files in `folder`, tab-separated, for one database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, name: str, rows: list[tuple[Any, ...]]) -> str:
        """Write a file of rows; returns its name. Raises ValueError when there are none: the load would be of nothing."""
        if not rows:
            raise ValueError(f"nothing to write into {name}")
        lines = ("\t".join(str(field) for field in row) for row in rows)
        (self.folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        return name

    def read(self, name: str) -> list[tuple[str, ...]]:
        """The rows of a file."""
        lines = (self.folder / name).read_text(encoding="utf-8").splitlines()
        return [tuple(line.split("\t")) for line in lines]

    def basics(self, stage: Stage, database: str, signed_in: int) -> None:
        """Tokens of members, and SKUs with their prices."""

        async def skus(connection: Any) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in await connection.fetch("SELECT id, price_fen FROM sku ORDER BY id")]

        self.write("members.tsv", [(people.token(member), member) for member in range(1, signed_in + 1)])
        self.write("skus.tsv", stage.owner(database, skus))

    def lists(self, stage: Stage, database: str, *, levels: tuple[int, ...] = (1, 2, 3)) -> str:
        """Paths of list pages by category, of categories that fill a page."""

        async def full(connection: Any) -> list[tuple[Any, ...]]:
            rows = await connection.fetch(
                """
                SELECT '/api/v1/products?categoryId=' || c.id || '&limit=20' FROM category c
                WHERE c.level = ANY($1) AND 20 <= (
                    SELECT count(*) FROM product p JOIN category d ON d.id = p.category_id
                    LEFT JOIN category u ON u.id = d.parent_id WHERE c.id IN (d.id, d.parent_id, u.parent_id))
                """,
                levels,
            )
            return [tuple(row) for row in rows]

        return self.write("lists.tsv", stage.owner(database, full))

    def details(self, products: int) -> str:
        """Paths of product pages."""
        return self.write("details.tsv", [(f"/api/v1/products/{product}",) for product in range(1, products + 1)])

    def searches(self) -> str:
        """Paths of searches for two-character Chinese words and English ones."""
        return self.write("searches.tsv", [(f"/api/v1/products?q={quote(word)}",) for word in words.searched()])

    def orders(self, stage: Stage, database: str, signed_in: int) -> tuple[str, str]:
        """Paths of members' order lists, and of their newest orders, each with its owner's token.

        The orders are in the table `bench.asked` too, numbered from 1, for the limit beside.
        """

        async def newest(connection: Any) -> list[tuple[int, str]]:
            await connection.execute(_ASKED)
            await connection.execute(_NEWEST, signed_in)
            await connection.execute("ANALYZE bench.asked")
            rows = await connection.fetch("SELECT member_id, no FROM bench.asked ORDER BY place")
            return [(row[0], row[1]) for row in rows]

        found = stage.owner(database, newest)
        lists = [("/api/v1/orders?limit=20", people.token(member)) for member, _ in found]
        details = [(f"/api/v1/orders/{no}", people.token(member)) for member, no in found]
        return self.write("order-lists.tsv", lists), self.write("order-details.tsv", details)
