"""``GET /v3/global/statements?date=yyyyMMdd``: the day's payments and refunds as CSV, without asking twice.

The file carries its SHA-1 in ``Wechatpay-Statement-Sha1``, and the signature is over that instead of the file. No public
source shows a whole file: the columns are those of the trade bill at home as far as an overseas merchant has them.
"""

import hashlib
import sqlite3
from datetime import datetime, timedelta
from decimal import Decimal

from sandbox.clock import BEIJING
from sandbox.pay import refusals
from sandbox.pay.exchange import Call, Download
from sandbox.pay.overseas import rates
from sandbox.world import World

READY_S = 10 * 3600
"""The day's file is there at ten o'clock of the next morning, Beijing time."""
HEAD = (
    "交易时间,公众账号ID,商户号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,标价币种,标价金额,"
    "代金券金额,微信退款单号,商户退款单号,退款金额,退款状态,商品名称,商户数据包,支付币种,支付金额,汇率"
)
SUMMARY = "总交易单数,标价总金额,退款总金额,代金券总金额,支付总金额"
NO_REFUND = ("0", "0", "0.00", "")


def download(world: World, call: Call) -> Download:
    """The file of a day that is over. Raises ``STATEMENT_CREATING`` before ten, ``NO_STATEMENT_EXIST`` for a quiet day."""
    start = _day(call.query["date"])
    now = world.clock.now()
    if now < start + 86400:
        raise refusals.invalid("账单日期不能为当天或未来日期")
    if now < start + 86400 + READY_S:
        raise refusals.Refusal(400, "STATEMENT_CREATING", "账单生成中，请稍后再试")
    lines, totals = _lines(world, start)
    if not lines:
        raise refusals.Refusal(400, "NO_STATEMENT_EXIST", "请求的账单文件不存在")
    text = "\r\n".join([HEAD, *lines, SUMMARY, totals]) + "\r\n"
    body = b"\xef\xbb\xbf" + text.encode()
    digest = hashlib.sha1(body).hexdigest()  # noqa: S324 - WeChat's choice
    sums = (("Wechatpay-Statement-Sha1", digest),)
    return Download(body, "text/csv; charset=utf-8", sums, signed_over=f'{{"sha1":"{digest}"}}'.encode())


def _day(given: str) -> float:
    try:
        return datetime.strptime(given, "%Y%m%d").replace(tzinfo=BEIJING).timestamp()
    except ValueError:
        raise refusals.param_error("日期格式应为yyyyMMdd", field="date", value=given, location="query") from None


def _lines(world: World, start: float) -> tuple[list[str], str]:
    end = start + timedelta(days=1).total_seconds()
    payments = world.db.rows("SELECT * FROM orders WHERE paid_at >= ? AND paid_at < ? ORDER BY paid_at", start, end)
    backs = world.db.rows(
        """SELECT o.*, r.refund_id, r.out_refund_no, r.status, r.amount AS back, r.coupon AS coupon_back,
                  r.created_at AS back_at
           FROM refunds r JOIN orders o USING (out_trade_no) WHERE r.created_at >= ? AND r.created_at < ?""",
        start,
        end,
    )
    rows = [(row["paid_at"], _row(world, row, row["paid_at"])) for row in payments]
    rows += [(row["back_at"], _row(world, row, row["back_at"], refund=True)) for row in backs]
    paid = [rates.yuan_fen(rates.of(world, row["out_trade_no"]), row["total"] - row["coupon"]) for row in payments]
    sums = (
        str(len(rows)),
        _money(sum(row["total"] for row in payments)),
        _money(sum(row["back"] for row in backs)),
        _money(sum(row["coupon"] for row in payments)),
        _money(sum(paid)),
    )
    return [line for _, line in sorted(rows)], _quoted(sums)


def _row(world: World, row: sqlite3.Row, at: float, *, refund: bool = False) -> str:
    identity, rate = world.keys.identity, rates.of(world, row["out_trade_no"])
    amount, coupon = (row["back"], row["coupon_back"]) if refund else (row["total"], row["coupon"])
    back = (row["refund_id"], row["out_refund_no"], _money(amount), row["status"]) if refund else NO_REFUND
    return _quoted(
        (
            datetime.fromtimestamp(at, BEIJING).strftime("%Y-%m-%d %H:%M:%S"),
            identity.app_id,
            identity.mch_id,
            row["transaction_id"],
            row["out_trade_no"],
            row["payer"],
            row["trade_type"],
            "REFUND" if refund else "SUCCESS",
            row["bank_type"],
            identity.currency,
            "0.00" if refund else _money(row["total"]),
            _money(coupon),
            *back,
            row["description"],
            row["attach"] or "",
            "CNY",
            _money(rates.yuan_fen(rate, amount - coupon)),
            f"{Decimal(rate) / rates.WHOLE:f}",
        )
    )


def _quoted(values: tuple[str, ...]) -> str:
    """A backtick before every value; commas and line ends within become what WeChat makes of them."""
    plain = (value.replace(",", "\\ ").replace("\r", "").replace("\n", "\\n") for value in values)
    return ",".join(f"`{value}" for value in plain)


def _money(amount: int) -> str:
    return f"{Decimal(amount) / 100:.2f}"
