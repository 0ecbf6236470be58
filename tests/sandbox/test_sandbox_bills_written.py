"""What bills say: in WeChat's format, from the sandbox's own money book."""

import hashlib
import tracemalloc
from base64 import b64decode
from datetime import UTC, datetime
from decimal import Decimal

from billing import SAMPLE, Table, adds_up, ask, at, bill

from sandbox.pay.bills import making
from sandbox.world import open_world


def test_the_published_sample_is_read_by_the_same_reader() -> None:
    sample = b64decode(SAMPLE["content_base64"])
    assert hashlib.sha1(sample).hexdigest() == SAMPLE["sha1_hex"]
    table = Table(sample)
    assert len(table.rows) == 45
    adds_up(table)


def test_a_trade_bill(day) -> None:
    box, yesterday, numbers, refunds = day
    table = Table(bill(box, "tradebill", yesterday, tar_type="GZIP"))
    assert table.header == Table(b64decode(SAMPLE["content_base64"])).header
    adds_up(table)
    payments = {row["商户订单号"]: row for row in table.rows if row["微信退款单号"] == "0"}
    assert set(payments) == set(numbers)
    plain, prefunded, free = (payments[number] for number in numbers)
    assert (plain["商品名称"], plain["商户数据包"]) == ("手冲\\  两杯\\n`热", "shop=7\\ a")
    assert plain["交易时间"].startswith(str(yesterday))
    assert (plain["公众账号ID"], plain["商户号"], plain["特约商户号"]) == (box.app_id, box.mch_id, "0")
    assert (plain["交易类型"], plain["交易状态"], plain["货币种类"]) == ("JSAPI", "SUCCESS", "CNY")
    amounts = ("应结订单金额", "代金券金额", "订单金额", "手续费", "费率")
    assert [plain[name] for name in amounts] == ["42.00", "0.00", "42.00", "0.25000", "0.60%"]
    assert [prefunded[name] for name in amounts] == ["42.00", "2.00", "42.00", "0.25000", "0.60%"]
    assert [free[name] for name in amounts] == ["40.00", "2.00", "42.00", "0.24000", "0.60%"]
    backs = {row["商户退款单号"]: row for row in table.rows if row["微信退款单号"] != "0"}
    amounts = ("应结订单金额", "退款金额", "充值券退款金额", "申请退款金额", "手续费", "退款类型", "退款状态")
    shown = [[backs[refund["out_refund_no"]][name] for name in amounts] for refund in refunds]
    assert shown == [
        ["0.00", "10.00", "0.00", "10.00", "-0.06000", "ORIGINAL", "SUCCESS"],
        ["0.00", "10.00", "0.47", "10.00", "-0.06000", "ORIGINAL", "SUCCESS"],
        ["0.00", "9.53", "0.00", "10.00", "-0.06000", "ORIGINAL", "SUCCESS"],
        ["0.00", "1.00", "0.00", "1.00", "-0.01000", "ORIGINAL", "PROCESSING"],
    ]
    assert {row["交易状态"] for row in backs.values()} == {"REFUND"}


def test_a_bill_stays_as_it_was_when_the_refund_ends_later(day) -> None:
    box, yesterday, _, refunds = day
    before = bill(box, "tradebill", yesterday)
    box.lever(f"refunds/{refunds[-1]['out_refund_no']}/state", {"status": "SUCCESS"})
    assert bill(box, "tradebill", yesterday) == before


def test_only_payments_and_only_refunds(day) -> None:
    box, yesterday, _, _ = day
    paid = Table(bill(box, "tradebill", yesterday, bill_type="SUCCESS"))
    assert (len(paid.header), len(paid.rows), list(paid.totals)) == (
        20,
        3,
        ["总交易单数", "应结订单总金额", "手续费总金额", "订单总金额"],
    )
    adds_up(paid)
    back = Table(bill(box, "tradebill", yesterday, bill_type="REFUND"))
    assert (len(back.header), len(back.rows)) == (29, 4)
    assert back.header[14:16] == ["退款申请时间", "退款成功时间"]
    assert sorted(row["退款成功时间"] != "" for row in back.rows) == [False, True, True, True]
    adds_up(back)


def test_the_flow_of_funds(day) -> None:
    box, yesterday, numbers, refunds = day
    table = Table(bill(box, "fundflowbill", yesterday))
    assert len(table.header) == 11
    moved = [
        (row["业务类型"], row["收支类型"], row["收支金额(元)"], row["业务凭证号"].removeprefix("T"))
        for row in table.rows
    ]
    assert [(kind, way, amount) for kind, way, amount, _ in moved] == [
        ("交易", "收入", "41.75"),
        ("交易", "收入", "41.75"),
        ("交易", "收入", "39.76"),
        ("退款", "支出", "9.94"),
        ("退款", "支出", "9.94"),
        ("退款", "支出", "9.47"),
        ("提现", "支出", "50.00"),
    ]
    balance = Decimal("1000000.00")
    for row in table.rows:
        balance += Decimal(row["收支金额(元)"]) * (1 if row["收支类型"] == "收入" else -1)
        assert Decimal(row["账户结余(元)"]) == balance
    assert table.rows[0]["业务凭证号"] == numbers[0]
    assert table.rows[0]["备注"] == "结算总金额42.00元;含手续费0.25元"
    assert (table.rows[3]["微信支付业务单号"], table.rows[3]["业务凭证号"]) == (
        refunds[0]["refund_id"],
        refunds[0]["out_refund_no"],
    )
    assert table.rows[3]["资金变更提交申请人"] == f"{box.mch_id}API"
    assert list(table.totals.values()) == ["7", "3", "123.26", "4", "79.35"]
    assert len({row["资金流水单号"] for row in table.rows}) == 7
    assert ask(box, "fundflowbill", yesterday, account_type="FEES").json()["code"] == "NO_STATEMENT_EXIST"


def test_fees_in_rows_of_their_own_and_with_all_their_decimals(new_box) -> None:
    box = new_box()
    at(box, 11)
    box.lever("settings", {"fee_rows": "separate", "fee_decimals": "exact", "fee_rate": 38})
    number = box.paid()
    assert box.refund(number, 4200).json()["amount"]["refund_fee"] == 16
    day = at(box, 10)
    flow = [(row["业务类型"], row["收支金额(元)"]) for row in Table(bill(box, "fundflowbill", day)).rows]
    assert flow == [("交易", "42.00"), ("扣除交易手续费", "0.16"), ("退款", "42.00"), ("退还交易手续费", "0.16")]
    assert [row["手续费"] for row in Table(bill(box, "tradebill", day)).rows] == ["0.15960", "-0.15960"]


def test_what_was_reversed_and_what_was_paid_out(new_box) -> None:
    box = new_box()
    at(box, 11)
    code = box.lever("codes", {"kind": "payment", "user": "carol"})["code"]
    form = box.form(scene_info={"store_info": {"id": "S1"}, "device_id": "till-1"}, payer={"auth_code": code})
    del form["notify_url"]
    number = form["out_trade_no"]
    assert box.pay_api("POST", "/v3/pay/transactions/codepay", form).status_code == 200
    box.lever("clock/advance", {"seconds": 20})
    names = {"appid": box.app_id, "mchid": box.mch_id}
    assert box.pay_api("POST", f"/v3/pay/transactions/out-trade-no/{number}/reverse", names).status_code == 200
    bill_no = box.pay_api(
        "POST",
        "/v3/fund-app/mch-transfer/transfer-bills",
        {
            "appid": box.app_id,
            "out_bill_no": "B20260101",
            "transfer_scene_id": "1000",
            "openid": box.openid(),
            "transfer_amount": 50,
            "transfer_remark": "谢谢",
            "transfer_scene_report_infos": [
                {"info_type": "活动名称", "info_content": "a"},
                {"info_type": "奖励说明", "info_content": "b"},
            ],
        },
    ).json()["transfer_bill_no"]
    box.lever("transfers/B20260101/confirm")
    day = at(box, 10)
    trade = Table(bill(box, "tradebill", day))
    adds_up(trade)
    shown = [[row[name] for name in ("交易类型", "交易状态", "设备号", "申请退款金额", "手续费")] for row in trade.rows]
    assert shown == [
        ["MICROPAY", "SUCCESS", "till-1", "0.00", "0.25000"],
        ["MICROPAY", "REVOKED", "till-1", "42.00", "-0.25000"],
    ]
    flow = Table(bill(box, "fundflowbill", day))
    moved = [(row["业务类型"], row["收支金额(元)"], row["微信支付业务单号"], row["业务凭证号"]) for row in flow.rows]
    assert [row[:2] for row in moved] == [("交易", "41.75"), ("退款", "41.75"), ("商家转账", "0.50")]
    assert moved[2][2:] == (bill_no, "B20260101")


def test_a_hundred_thousand_rows_in_bounded_memory(tmp_path) -> None:
    world = open_world(tmp_path, "http://127.0.0.1:1")
    day = datetime(2026, 3, 1, tzinfo=UTC).date()
    start, _ = making.bounds(day)
    with world.db.transaction():
        world.db.write(
            """WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999)
               INSERT INTO orders (out_trade_no, trade_type, body, description, notify_url, total, state, created_at,
                   expires_at, closes_at, transaction_id, paid_at, payer, bank_type)
               SELECT 'T' || i, 'JSAPI', '{}', '手冲咖啡', '', 4200, 'SUCCESS', ?, ?, ?, '4200' || i, ? + i * 0.8, 'o', ''
               FROM n""",
            start,
            start,
            start,
            start,
        )
    tracemalloc.start()
    made = making.make(world, "trade", "ALL", day, start + 2 * 86400)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert made["rows"] == 100_000
    assert most < 4 * 1024 * 1024
    with (tmp_path / "bills" / made["file"]).open("rb") as file:
        assert sum(1 for _ in file) == 100_003
    world.db.close()
