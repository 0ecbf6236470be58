"""What `make bench` takes for the limit of order pages is what the shop sends, and not something dearer."""

import re
from pathlib import Path

import pytest

from kit.statement import Statement
from shop.orders import mine

SQL = Path(__file__).parents[3] / "bench" / "sql"
NOW, ENGLISH = "now()", "ARRAY[false]"
LIST = {
    "members": "ARRAY[:member]::bigint[]",
    "states": "ARRAY[NULL]::text[]",
    "befores": "ARRAY[9223372036854775807]::bigint[]",
    "mosts": "ARRAY[20]::bigint[]",
    "english": ENGLISH,
    "now": NOW,
}
DETAIL = {"members": "ARRAY[a.member_id]", "nos": "ARRAY[a.no]", "english": ENGLISH, "now": NOW}
CHOSEN = ("bench.asked a CROSS JOIN LATERAL ", "WHERE a.place = :place")
"""What pgbench needs beside it, since it has no list of numbers."""


def _plain(sql: str) -> str:
    return "".join(sql.split()).rstrip(";")


@pytest.mark.parametrize(
    ("file", "statement", "values", "beside"),
    [("order-list.sql", mine._PAGES, LIST, ()), ("order-detail.sql", mine._ONES, DETAIL, CHOSEN)],
)
def test_the_limit_is_the_shops_own_statement(
    file: str, statement: Statement, values: dict[str, str], beside: tuple[str, ...]
) -> None:
    sent, names = statement._compiled
    for place, name in enumerate(names, 1):
        sent = re.sub(rf"\${place}::[A-Z ]*[A-Z](\[\])?", lambda _, name=name: values[name], sent)
    lines = (SQL / file).read_text("utf-8").splitlines()
    written = _plain("\n".join(line for line in lines if not line.startswith(("--", "\\set"))))
    for more in beside:
        assert _plain(more) in written
        written = written.replace(_plain(more), "")
    assert written == _plain(sent)
