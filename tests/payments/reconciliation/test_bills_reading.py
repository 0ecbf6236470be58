"""Reading bills: exact to the last digit, believed only as a whole, and precise about what is wrong."""

import base64
import hashlib
import io
import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest
import written_bills as written
from hypothesis import given
from hypothesis import strategies as st
from written_bills import Back, Moved, Paid

from payments.reconciliation.flow_bill import FlowBill
from payments.reconciliation.reading import BadBill, count, fen, yuan
from payments.reconciliation.trade_bill import TradeBill, TradeRow

PAID_FROM, PAID_TO = datetime(2019, 1, 1), datetime(2035, 12, 31)  # noqa: DTZ001  (as written: Beijing)
PAID = Paid("2026-01-01 08:01:09", "4200000000202601010000000001", "T20260101000001", 4200, fee_millifen=25_200)
BACK = Back(
    "2026-01-01 09:00:00",
    PAID.transaction_id,
    PAID.out_trade_no,
    "50300000002026010100000000001",
    "R20260101000001",
    1000,
    -6_000,
)


def _trade(raw: bytes) -> list[TradeRow]:
    return [row for _, row in TradeBill(io.BytesIO(raw)).rows()]


def _written(*rows: Paid | Back, **how: object) -> bytes:
    return b"".join(written.trade(rows, **how))  # type: ignore[arg-type]


def test_the_published_bill_is_read() -> None:
    """45 rows of a real bill: byte order mark, CRLF, counts like `45.0`, text with whatever a merchant wrote."""
    vector = json.loads((Path(__file__).parent / "bill-all-sample.json").read_text())
    raw = base64.b64decode(vector["content_base64"])
    assert hashlib.sha1(raw).hexdigest() == vector["sha1_hex"]
    bill = TradeBill(io.BytesIO(raw))
    rows = [row for _, row in bill.rows()]
    assert bill.count == len(rows) == 45
    assert sum(row.order_fen for row in rows) == 47
    assert sum(row.requested_fen for row in rows) == 14
    assert sum(row.fee_millifen for row in rows) == 8_000
    assert {row.trade_state for row in rows} == {"SUCCESS", "REFUND"}
    assert all((row.refund_id is None) == (row.trade_state == "SUCCESS") for row in rows)


@pytest.mark.parametrize("end", ["\r\n", "\n"])
@pytest.mark.parametrize("bom", [True, False])
def test_line_ends_and_marks_make_no_difference(end: str, bom: bool) -> None:
    paid, back = _trade(_written(PAID, BACK, end=end, bom=bom))
    assert (paid.order_fen, paid.settlement_fen, paid.fee_millifen, paid.refund_id) == (4200, 4200, 25_200, None)
    assert (back.requested_fen, back.refund_fen, back.fee_millifen, back.order_fen) == (1000, 1000, -6_000, 0)
    assert paid.at.isoformat() == "2026-01-01T08:01:09+08:00"


def test_columns_are_found_by_name() -> None:
    """Columns may be added anywhere and reordered."""
    lines = _written(PAID, BACK).decode("utf-8-sig").split("\r\n")
    turned = []
    for text in lines[:3]:
        values = text[1:].split(",`") if text.startswith("`") else text.split(",")
        values = [*reversed(values), "new"]
        turned.append(",".join(f"`{value}" for value in values) if text.startswith("`") else ",".join(values))
    raw = "\r\n".join([*turned, *lines[3:]]).encode()
    assert _trade(raw) == _trade(_written(PAID, BACK))


def test_a_bill_of_payments_alone() -> None:
    """`SUCCESS` has neither the refunds' columns nor their totals."""
    columns = written.TRADE.split(",")
    kept = [name for name in columns if "退款" not in name]
    values = dict(zip(columns, _written(PAID).decode("utf-8-sig").split("\r\n")[1][1:].split(",`"), strict=True))
    row = ",".join(f"`{values[name]}" for name in kept)
    totals = "总交易单数,应结订单总金额,手续费总金额,订单总金额\r\n`1,`42.00,`0.25200,`42.00\r\n"
    (read,) = _trade(f"{','.join(kept)}\r\n{row}\r\n{totals}".encode())
    assert (read.order_fen, read.refund_id, read.requested_fen) == (4200, None, 0)


def test_a_bill_of_refunds_alone_says_when_they_were_accepted() -> None:
    columns = written.TRADE.split(",")
    place = columns.index("代金券金额") + 1
    values = _written(BACK).decode("utf-8-sig").split("\r\n")[1][1:].split(",`")
    columns[place:place] = ["退款申请时间", "退款成功时间"]
    values[place:place] = ["2026-01-02 09:00:00", "2026-01-02 09:00:05"]
    row = ",".join(f"`{value}" for value in values)
    totals = _written(BACK).decode().split("\r\n", 2)[2]
    (read,) = _trade(f"{','.join(columns)}\r\n{row}\r\n{totals}".encode())
    assert read.at.isoformat() == "2026-01-02T09:00:00+08:00"


def _changed(old: str, new: str) -> bytes:
    raw = _written(PAID, BACK).decode()
    assert old in raw
    return raw.replace(old, new, 1).encode()


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", r"line 1: the header lacks .*交易时间"),
        (
            _changed("订单金额,申请退款金额,费率备注", "原订单金额,申请退款金额,费率备注"),
            r"line 1: the header lacks 订单金额",
        ),
        (_changed("`4200000000202601010000000001,", ""), r"line 2: 26 values for 27 columns"),
        (_changed("0.25200", "0.2520000"), r"line 2, column 手续费: not an amount"),
        (_changed("42.00", "42.001"), r"line 2, column 应结订单金额: more than 2 decimals"),
        (_changed("42.00", "4e1"), r"line 2, column 应结订单金额: not an amount"),
        (_changed("42.00", "４２.00"), r"line 2, column 应结订单金额: not an amount"),
        (_changed("2026-01-01 09", "2026-02-30 09"), r"line 3, column 交易时间"),
        (_changed("2026-01-01 09:00:00", "2026-01-01T09:00"), r"line 3, column 交易时间: not a time"),
        (_changed("T20260101000001", "T2026 ' OR 1=1"), r"line 2, column 商户订单号: not a plain word"),
        (_changed("`42.00,`0.00,`0,", "`41.00,`0.00,`0,"), r"line 5, column 应结订单总金额"),
        (_changed("`2,`42.00", "`3,`42.00"), r"line 5, column 总交易单数: the file says 3, its rows make 2"),
        (_changed("`2,`42.00", "`2.5,`42.00"), r"line 5, column 总交易单数: more than 0 decimals"),
        (_changed("0.19200", "0.19000"), r"line 5, column 手续费总金额"),
        (_changed("手续费总金额", "手续费"), r"line 4: the totals lack 手续费总金额"),
        (_written(PAID).rsplit(b"\r\n", 3)[0], r"the file ends without its totals"),
        (_written(PAID) + b"`1,`2\r\n", r"line 5: something after the totals"),
        (_written(PAID).replace("手".encode(), b"\xff"), r"line 1: not UTF-8"),
        (_changed("手冲", "手\0冲"), r"line 2: a NUL"),
        (_changed("手冲", "手" * 30_000), r"line 2: longer than 65536 bytes"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(raw: bytes, why: str) -> None:
    with pytest.raises(BadBill, match=why):
        _trade(raw)


@given(st.data())
def test_a_cut_off_bill_is_never_believed(data: st.DataObject) -> None:
    raw = _written(PAID, BACK, PAID).rstrip(b"0\r\n")  # without the zeros at its very end it is still the same bill
    end = data.draw(st.integers(0, len(raw) - 2))
    with pytest.raises(BadBill):
        _trade(raw[:end])


_texts = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=",`"), max_size=30).map(
    lambda text: text.replace("\n", "\\n")
)
_fees = st.integers(-(10**7), 10**7)
_rows = st.lists(
    st.builds(
        Paid,
        at=st.datetimes(min_value=PAID_FROM, max_value=PAID_TO).map(written.stamp),
        transaction_id=st.from_regex(r"[0-9]{28}", fullmatch=True),
        out_trade_no=st.from_regex(r"[0-9A-Za-z_\-|*@]{6,32}", fullmatch=True),
        fen=st.integers(0, 10**12),
        fee_millifen=_fees,
        text=_texts,
        attach=_texts,
    ),
    max_size=20,
)


@given(_rows)
def test_what_is_written_is_read(rows: list[Paid]) -> None:
    """Any amounts, any texts: the same rows come back, and the fees in whole fen are the rounded sum of all."""
    read = _trade(_written(*rows))
    assert [(row.transaction_id, row.out_trade_no, row.order_fen, row.fee_millifen) for row in read] == [
        (row.transaction_id, row.out_trade_no, row.fen, row.fee_millifen) for row in rows
    ]
    assert [written.stamp(row.at) for row in read] == [row.at for row in rows]
    exact = sum(Decimal(row.fee_millifen) for row in rows) / 1000
    assert abs(sum(row.fee_fen for row in read) - exact) <= Decimal("0.5")
    assert all(abs(row.fee_fen - Decimal(row.fee_millifen) / 1000) < 1 for row in read)


@given(st.integers(-(10**13), 10**13))
def test_yuan_is_exact(amount: int) -> None:
    assert fen(written.yuan(amount)) == amount
    assert yuan(written.yuan(amount, 5), 5) == amount


@pytest.mark.parametrize(("text", "number"), [("12", 12), ("45.0", 45), ("0", 0), ("20.00000", 20)])
def test_counts_come_in_two_spellings(text: str, number: int) -> None:
    assert count(text) == number


def _flow(raw: bytes) -> list[tuple[int, int]]:
    return [(row.amount_fen, row.balance_fen) for _, row in FlowBill(io.BytesIO(raw)).rows()]


def test_a_fund_flow_bill() -> None:
    rows = [Moved("2026-01-01 08:01:09", "42", 4175), Moved("2026-01-01 09:00:01", "50", -994, "退款")]
    raw = b"".join(written.flow(rows, opening_fen=10_000))
    assert _flow(raw) == [(4175, 14_175), (-994, 13_181)]
    assert _flow(raw.replace("(元)".encode(), "（元）".encode())) == [(4175, 14_175), (-994, 13_181)]


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("支出,`9.94", "转出,`9.94", "line 3, column 收支类型: neither income nor expense"),
        ("支出,`9.94", "支出,`-9.94", "line 3, column 收支类型"),
        ("支出,`9.94", "支出,`9.95", "line 5, column 支出金额: the file says 994, its rows make 995"),
        ("收入,`41.75", "支出,`41.75", "line 5, column 收入笔数"),
    ],
)
def test_a_fund_flow_bill_that_cannot_be_believed(old: str, new: str, why: str) -> None:
    rows = [Moved("2026-01-01 08:01:09", "42", 4175), Moved("2026-01-01 09:00:01", "50", -994, "退款")]
    raw = b"".join(written.flow(rows)).decode()
    assert old in raw
    with pytest.raises(BadBill, match=why):
        _flow(raw.replace(old, new, 1).encode())
