"""A merchant who asks for bills by day, and reads them."""

import gzip
import hashlib
import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import httpx

SAMPLE = json.loads((Path(__file__).parent / "vectors" / "bill-all-sample.json").read_text())
"""A bill that WeChat has published."""


def now(box) -> datetime:
    return datetime.fromisoformat(box.look("clock")["now"])


def at(box, hour: int, minute: int = 0, days: int = 1) -> date:
    """Go to that time of a later day; answers the day before it."""
    wanted = now(box).replace(hour=hour, minute=minute, second=0) + timedelta(days=days)
    box.lever("clock/advance", {"seconds": (wanted - now(box)).total_seconds()})
    return wanted.date() - timedelta(days=1)


def ask(box, kind: str, day: object, **query: str) -> httpx.Response:
    more = "".join(f"&{name}={value}" for name, value in query.items())
    return box.pay_api("GET", f"/v3/bill/{kind}?bill_date={day}{more}")


def fetch(box, ticket: dict) -> httpx.Response:
    url = urlsplit(ticket["download_url"])
    return box.pay_api("GET", f"{url.path}?{url.query}")


def bill(box, kind: str, day: object, **query: str) -> bytes:
    """The plain bytes, after what was announced has been held against them."""
    response = ask(box, kind, day, **query)
    assert response.status_code == 200, response.text
    assert response.json()["hash_type"] == "SHA1"
    file = fetch(box, response.json())
    assert file.status_code == 200
    plain = gzip.decompress(file.content) if query.get("tar_type") else file.content
    assert hashlib.sha1(plain).hexdigest() == response.json()["hash_value"]
    return plain


class Table:
    """A reader made for the published sample."""

    def __init__(self, plain: bytes) -> None:
        assert plain.startswith(b"\xef\xbb\xbf")
        assert plain.endswith(b"\r\n")
        header, *rows, names, totals = plain.decode("utf-8-sig").removesuffix("\r\n").split("\r\n")
        self.header = header.split(",")
        self.rows = [self._row(self.header, row) for row in rows]
        self.totals = self._row(names.split(","), totals)

    @staticmethod
    def _row(names: list[str], row: str) -> dict[str, str]:
        assert row.startswith("`")
        return dict(zip(names, row[1:].split(",`"), strict=True))

    def sum(self, name: str) -> Decimal:
        return sum((Decimal(row[name]) for row in self.rows), Decimal(0))


def adds_up(table: Table) -> None:
    assert Decimal(table.totals["总交易单数"]) == len(table.rows)
    for column, total in {
        "应结订单金额": "应结订单总金额",
        "退款金额": "退款总金额",
        "充值券退款金额": "充值券退款总金额",
        "手续费": "手续费总金额",
        "订单金额": "订单总金额",
        "申请退款金额": "申请退款总金额",
    }.items():
        if total in table.totals:
            assert Decimal(table.totals[total]) == table.sum(column), column
