"""Bills are asked for by day and fetched: when there is one, who gets it, and how the sandbox spoils it when told to."""

import hashlib
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from billing import Table, ask, at, bill, fetch, now


def test_days_that_have_no_bill_yet_or_any_more(new_box) -> None:
    box = new_box()
    at(box, 9, 59)
    today = now(box).date()

    def code(day: object, kind: str = "tradebill", **query: str) -> tuple[int, str]:
        response = ask(box, kind, day, **query)
        assert "wechatpay-signature" not in response.headers
        return response.status_code, response.json()["code"]

    assert code(today) == (400, "INVALID_REQUEST")
    assert code(today + timedelta(days=1)) == (400, "INVALID_REQUEST")
    assert code(today - timedelta(days=1)) == (400, "STATEMENT_CREATING")
    assert code(today - timedelta(days=1), "fundflowbill") == (400, "STATEMENT_CREATING")
    assert code(today - timedelta(days=2)) == (400, "NO_STATEMENT_EXIST")
    assert code(today - timedelta(days=100)) == (400, "INVALID_REQUEST")
    box.lever("clock/advance", {"seconds": 60})
    assert code(today - timedelta(days=1)) == (400, "NO_STATEMENT_EXIST")
    for wrong in ("20260101", "2026-02-30", "", "2026-1-1"):
        assert code(wrong) == (400, "PARAM_ERROR")
    assert code(today, bill_type="SOME") == (400, "PARAM_ERROR")
    assert code(today, tar_type="ZIP") == (400, "PARAM_ERROR")
    assert code(today, "fundflowbill", account_type="ALL") == (400, "PARAM_ERROR")
    assert code(today, bill_type="ALL_SPECIAL") == (403, "NO_AUTH")
    assert code(today, sub_mchid="1900000002") == (400, "PARAM_ERROR")


def test_the_file_needs_a_signature_has_none_and_lives_five_minutes(day) -> None:
    box, yesterday, _, _ = day
    response = ask(box, "tradebill", yesterday, tar_type="GZIP")
    assert box.genuine(response.headers, response.content)
    url = response.json()["download_url"]
    assert url.startswith(f"{box.url}/v3/billdownload/file?token=")
    assert parse_qs(urlsplit(url).query)["tartype"] == ["gzip"]
    assert box.http.get(url).status_code == 401
    file = fetch(box, response.json())
    assert file.headers["content-type"] == "application/x-gzip"
    assert "content-encoding" not in file.headers
    assert not [name for name in file.headers if name.startswith("wechatpay-")]
    box.lever("clock/advance", {"seconds": 299})
    assert fetch(box, response.json()).status_code == 200
    box.lever("clock/advance", {"seconds": 2})
    assert fetch(box, response.json()).json()["code"] == "INVALID_REQUEST"
    other = box.pay_api("GET", f"/v3/bill/tradebill?bill_date={yesterday}", Host=f"localhost:{box.port}")
    assert other.json()["download_url"].startswith(f"http://localhost:{box.port}/")


def test_a_bill_now_and_the_real_one_tomorrow(new_box) -> None:
    box = new_box()
    at(box, 11)
    today = now(box).date()
    box.paid()
    assert ask(box, "tradebill", today).json()["code"] == "INVALID_REQUEST"
    box.lever(f"bills/{today}/publish")
    assert len(Table(bill(box, "tradebill", today)).rows) == 1
    box.paid()
    assert len(Table(bill(box, "tradebill", today)).rows) == 1, "as published"
    box.lever(f"bills/{today}/publish")
    assert len(Table(bill(box, "fundflowbill", today)).rows) == 2
    box.paid()
    assert at(box, 10) == today
    assert len(Table(bill(box, "tradebill", today)).rows) == 3
    assert box.http.post("/_sandbox/bills/today/publish").status_code == 409
    assert {row["variant"] for row in box.look("bills")["made"]} == {"ALL", "BASIC"}


@pytest.mark.parametrize("kind", ["tradebill", "fundflowbill"])
def test_bills_that_lie(day, kind) -> None:
    box, yesterday, _, _ = day
    name = {"tradebill": "trade", "fundflowbill": "fund_flow"}[kind]
    true = Table(bill(box, kind, yesterday))

    def spoilt(how: str | None) -> bytes:
        box.lever(f"bills/{yesterday}/spoil", {"kind": name, "how": how})
        ticket = ask(box, kind, yesterday).json()
        plain = fetch(box, ticket).content
        assert (hashlib.sha1(plain).hexdigest() == ticket["hash_value"]) is (how != "hash")
        return plain

    assert Table(spoilt("hash")).rows == true.rows
    lie = Table(spoilt("totals"))
    assert lie.rows == true.rows
    assert lie.totals != true.totals
    assert Table(spoilt("missing_row")).rows == true.rows[1:]
    assert len(Table(spoilt("extra_row")).rows) == len(true.rows) + 1
    other = Table(spoilt("other_amount"))
    assert other.rows[1 if kind == "tradebill" else len(true.rows) :] == (true.rows[1:] if kind == "tradebill" else [])
    assert other.rows[0] != true.rows[0]
    assert not spoilt("cut_short").decode().strip().splitlines()[-2].startswith(("总交易单数", "资金流水"))
    assert Table(spoilt(None)).rows == true.rows
