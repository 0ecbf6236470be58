"""Bills as WeChat writes them, for tests: byte order mark, CRLF, backticks, totals."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

TRADE = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,"
    "代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注"
)
TRADE_TOTALS = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
FLOW = "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号"
FLOW_TOTALS = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"


def yuan(amount: int, digits: int = 2) -> str:
    whole, part = divmod(abs(amount), 10**digits)
    return f"{'-' if amount < 0 else ''}{whole}.{part:0{digits}d}"


@dataclass
class Paid:
    at: str
    """Beijing time, as written."""
    transaction_id: str
    out_trade_no: str
    fen: int
    fee_millifen: int = 0
    own_coupon_fen: int = 0
    currency: str = "CNY"
    text: str = "手冲咖啡 x2"
    attach: str = ""


@dataclass
class Back:
    at: str
    transaction_id: str
    out_trade_no: str
    refund_id: str
    out_refund_no: str
    fen: int
    fee_millifen: int = 0
    status: str = "SUCCESS"


@dataclass
class Moved:
    at: str
    business_id: str
    fen: int
    """Signed."""
    type: str = "交易"
    flow_id: str = ""
    voucher: str = ""


def _values(row: Paid | Back) -> list[str]:
    head = [row.at, "wx0123456789abcdef", "1900001109", "0", "", row.transaction_id, row.out_trade_no, "oUser"]
    if isinstance(row, Paid):
        settled = yuan(row.fen - row.own_coupon_fen)
        money = [
            "JSAPI",
            "SUCCESS",
            "OTHERS",
            row.currency,
            settled,
            yuan(row.own_coupon_fen),
            "0",
            "0",
            "0.00",
            "0.00",
        ]
        texts = ["", "", row.text, row.attach]
        return [*head, *money, *texts, yuan(row.fee_millifen, 5), "0.60%", yuan(row.fen), "0.00", ""]
    money = [
        "JSAPI",
        "REFUND",
        "OTHERS",
        "CNY",
        "0.00",
        "0.00",
        row.refund_id,
        row.out_refund_no,
        yuan(row.fen),
        "0.00",
    ]
    texts = ["ORIGINAL", row.status, "手冲咖啡 x2", ""]
    return [*head, *money, *texts, yuan(row.fee_millifen, 5), "0.60%", "0.00", yuan(row.fen), ""]


def _line(values: Iterable[str]) -> str:
    return ",".join(f"`{value}" for value in values)


def trade(rows: Iterable[Paid | Back], *, end: str = "\r\n", bom: bool = True) -> Iterator[bytes]:
    """Piece by piece, as it comes over the wire."""
    yield (("\ufeff" if bom else "") + TRADE + end).encode()
    count = settled = refunded = fees = ordered = 0
    for row in rows:
        count += 1
        fees += row.fee_millifen
        if isinstance(row, Paid):
            settled += row.fen - row.own_coupon_fen
            ordered += row.fen
        else:
            refunded += row.fen
        yield (_line(_values(row)) + end).encode()
    totals = [str(count), yuan(settled), yuan(refunded), "0.00", yuan(fees, 5), yuan(ordered), yuan(refunded)]
    yield (TRADE_TOTALS + end + _line(totals) + end).encode()


def flow(rows: Iterable[Moved], *, opening_fen: int = 0, end: str = "\r\n") -> Iterator[bytes]:
    yield ("\ufeff" + FLOW + end).encode()
    balance, incomes, expenses, income, expense = opening_fen, 0, 0, 0, 0
    for place, row in enumerate(rows):
        balance += row.fen
        if row.fen >= 0:
            incomes, income = incomes + 1, income + row.fen
        else:
            expenses, expense = expenses + 1, expense - row.fen
        direction = "收入" if row.fen >= 0 else "支出"
        flow_id = row.flow_id or f"FLOW{place}{row.business_id}"
        head = [row.at, row.business_id, flow_id, row.type, row.type, direction, yuan(abs(row.fen)), yuan(balance)]
        yield (_line([*head, "system", "", row.voucher]) + end).encode()
    totals = [str(incomes + expenses), str(incomes), yuan(income), str(expenses), yuan(expense)]
    yield (FLOW_TOTALS + end + _line(totals) + end).encode()


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")
