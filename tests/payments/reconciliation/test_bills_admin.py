"""What staff see and may do."""

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
import written_bills as written
from trading_days import flow_rows, followed_by, number, seed, trade_rows
from written_bills import Moved, Paid

from payments.reconciliation.models import BillKind, DayState
from payments.reconciliation.reading import BadBill
from shop.admin import staff

DAY = date(2026, 3, 4)


@dataclass
class Desk:
    """A manager, signed in; and somebody who is not."""

    http: httpx.AsyncClient
    token: str

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.http.get(f"/admin/v1/reconciliation{path}", headers=self._headers(), params=params)

    async def post(self, path: str, key: str) -> httpx.Response:
        return await self.http.post(
            f"/admin/v1/reconciliation{path}", headers={**self._headers(), "idempotency-key": key}
        )

    def _headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}


@pytest.fixture
async def desk(till: Any, api: httpx.AsyncClient) -> Desk:
    async with till.db.begin() as session:
        password = await staff.ensure_operator(session, till.clock.now())
    answer = await api.post("/admin/v1/sign-in", json={"login": "admin", "password": password})
    return Desk(api, answer.json()["accessToken"])


@pytest.fixture
async def raw_bill(till: Any) -> bytes:
    """A day with two strangers in its trade bill, matched."""
    await seed(till.sql, DAY, 20)
    strangers = [Paid(f"{DAY} 12:00:0{n}", f"4299{n}", f"STRANGER{n}", 900 + n) for n in range(2)]
    raw = b"".join(written.trade(trade_rows(DAY, 20, {number("4200", DAY, 7): followed_by(*strangers)})))
    await till.want(DAY)
    await till.put(DAY, BillKind.TRADE, [raw[i : i + 1000] for i in range(0, len(raw), 1000)])
    moved = [Moved(paid.at, paid.transaction_id, paid.fen) for paid in strangers]
    await till.put(
        DAY, BillKind.FUND_FLOW, written.flow(flow_rows(DAY, 20, {number("4200", DAY, 7): followed_by(*moved)}))
    )
    assert await till.match(DAY) == DayState.DIFFERS
    return raw


async def test_days_reports_and_differences(desk: Desk, raw_bill: bytes) -> None:
    (day,) = (await desk.get("/days")).json()["items"]
    assert (day["day"], day["state"], [bill["state"] for bill in day["bills"]]) == (
        "2026-03-04",
        "differs",
        ["verified", "verified"],
    )
    figures = (await desk.get("/days/2026-03-04")).json()["figures"]
    assert (figures["bill"]["payments"], figures["ours"]["payments"], figures["orders"]["paid"]) == (22, 20, 20)
    assert (figures["open"], figures["matched"]) == (2, 22)
    assert figures["kinds"]["bill_unknown_payment"]["open"] == 2
    first = (await desk.get("/days/2026-03-04/differences", openOnly=True, limit=1)).json()
    second = (await desk.get("/days/2026-03-04/differences", openOnly=True, cursor=first["nextCursor"])).json()
    found = [*first["items"], *second["items"]]
    assert second["nextCursor"] is None
    assert [(row["kind"], row["reference"], row["state"]) for row in found] == [
        ("bill_unknown_payment", "42990", "open"),
        ("bill_unknown_payment", "42991", "open"),
    ]
    assert found[0]["facts"]["bill"]["order_fen"] == 900
    assert (found[0]["facts"]["ours"], found[0]["facts"]["order"]) == (None, None)


async def test_what_a_person_decided_is_no_longer_open(desk: Desk, till: Any, raw_bill: bytes) -> None:
    await till.sql.execute(
        "UPDATE payment_exception SET resolved_at = now(), resolved_by = 'staff:1', resolution = '另一系统的收款'"
        " WHERE kind = 'bill_unknown_payment'"
    )
    assert await till.match(DAY) == DayState.AGREED
    assert (await desk.get("/days/2026-03-04/differences", openOnly=True)).json()["items"] == []
    states = [row["state"] for row in (await desk.get("/days/2026-03-04/differences")).json()["items"]]
    assert states == ["decided", "decided"]
    assert (await desk.get("/days/2026-03-04")).json()["figures"]["decided"] == 2


async def test_the_file_comes_back_byte_for_byte(desk: Desk, till: Any, raw_bill: bytes) -> None:
    answer = await desk.get("/days/2026-03-04/bills/trade")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.content == raw_bill
    day = (await desk.get("/days/2026-03-04")).json()
    assert day["bills"][0]["sha1"] == hashlib.sha1(raw_bill).hexdigest()
    assert (
        await till.sql.fetchval("SELECT subject FROM audit_entry WHERE action = 'bill.download'") == "2026-03-04:trade"
    )


async def test_a_large_file_comes_back_whole(desk: Desk, till: Any) -> None:
    """Of more than one chunk, however well it is compressed."""
    texts = (secrets.token_hex(10_000) for _ in range(60))
    rows = [Paid(f"{DAY} 12:00:00", f"4200{n}", f"T{n}", 100, attach=text) for n, text in enumerate(texts)]
    raw = b"".join(written.trade(rows))
    await till.want(DAY)
    await till.put(DAY, BillKind.TRADE, [raw])
    assert await till.sql.fetchval("SELECT count(*) FROM bill_chunk") > 1
    assert (await desk.get(f"/days/{DAY}/bills/trade")).content == raw


async def test_a_day_is_run_again_once_for_each_key(desk: Desk, till: Any, raw_bill: bytes) -> None:
    await till.sql.execute("UPDATE bill_day SET check_at = NULL")
    for _ in range(2):
        answer = await desk.post("/days/2026-03-04/run", "again-0001")
        assert (answer.status_code, answer.json()) == (202, {"day": "2026-03-04"})
    assert await till.sql.fetchval("SELECT count(*) FROM audit_entry WHERE action = 'reconciliation.run'") == 1
    assert await till.sql.fetchval("SELECT check_at FROM bill_day") == till.clock.now()
    assert (await desk.post("/days/2026-03-03/run", "again-0001")).json()["code"] == "key_reused"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/days/2026-03-03", 404, "day_not_found"),
        ("/days/2026-03-03/differences", 404, "day_not_found"),
        ("/days/2026-03-04/bills/fund_flow", 404, "bill_not_found"),
        ("/days/2026-02-30", 400, "invalid_input"),
        ("/days/yesterday", 400, "invalid_input"),
    ],
)
async def test_what_is_not_there(desk: Desk, path: str, status: int, code: str) -> None:
    answer = await desk.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_kind_of_bill_that_does_not_exist(desk: Desk) -> None:
    assert (await desk.get("/days/2026-03-04/bills/coupons")).status_code in {400, 404}


@pytest.mark.parametrize("day", ["2026-03-06", "2026-03-07", "2025-11-01"])
async def test_days_that_nobody_can_have(desk: Desk, day: str) -> None:
    """Today, tomorrow, and what is older than three months."""
    answer = await desk.post(f"/days/{day}/run", f"key-for-{day}")
    assert (answer.status_code, answer.json()["code"]) == (422, "day_out_of_reach")
    assert (answer.json()["newest"], answer.json()["oldest"]) == ("2026-03-05", "2025-12-07")


async def test_the_bill_of_another_day_is_not_taken_for_this_ones(till: Any) -> None:
    """A file that was mixed up: its rows are good, and none of them is of the day. One that is, is enough."""
    day_before = DAY - timedelta(days=1)
    await till.want(DAY)
    with pytest.raises(BadBill, match="none of its rows is of 2026-03-04"):
        await till.put(DAY, BillKind.TRADE, written.trade(trade_rows(day_before, 3, {})))
    assert await till.sql.fetchval("SELECT state FROM bill WHERE kind = 'trade'") == "wanted"
    assert await till.sql.fetchval("SELECT count(*) FROM bill_trade") == 0
    own, late = trade_rows(DAY, 1, {}), trade_rows(day_before, 3, {})
    await till.put(DAY, BillKind.TRADE, written.trade([*own, *late]))
    assert await till.sql.fetchval("SELECT state FROM bill WHERE kind = 'trade'") == "verified"


async def test_rows_and_files_cannot_be_changed(till: Any, raw_bill: bytes) -> None:
    for table in ("bill_trade", "bill_flow", "bill_file", "bill_chunk"):
        with pytest.raises(Exception, match="append"):
            await till.sql.execute(f"DELETE FROM {table}")
    assert json.loads(await till.sql.fetchval("SELECT summary::text FROM bill_file WHERE kind = 'trade'"))
