"""The trade bill: payments of a Beijing day, and the refunds accepted in it as they stood when the bill was made."""

import heapq
import json
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple, Self

from sandbox.clock import BEIJING
from sandbox.pay import book
from sandbox.pay.bills.lines import decimal, text
from sandbox.world import World

_HEAD = (
    "交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,"
    "应结订单金额,代金券金额"
)
_REFUND = "微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态"
_TEXTS = "商品名称,商户数据包,手续费,费率,订单金额"
HEADERS = {
    "ALL": f"{_HEAD},{_REFUND},{_TEXTS},申请退款金额,费率备注",
    "SUCCESS": f"{_HEAD},{_TEXTS},费率备注",
    "REFUND": f"{_HEAD},退款申请时间,退款成功时间,{_REFUND},{_TEXTS},申请退款金额,费率备注",
}
_ALL_TOTALS = "总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额"
TOTALS = {
    "ALL": _ALL_TOTALS,
    "SUCCESS": "总交易单数,应结订单总金额,手续费总金额,订单总金额",
    "REFUND": _ALL_TOTALS,
}
MILLIFEN = 1000


class Line(NamedTuple):
    """One row; amounts in fen, the fee in thousandths of one. Of a refund, ``total`` and ``settlement`` are 0."""

    at: float
    who: tuple[str, str, str, str]
    transaction_id: str
    out_trade_no: str
    openid: str
    trade_type: str
    state: str
    settlement: int
    coupon: int
    texts: tuple[str, str]
    fee_millifen: int
    rate: int
    total: int
    bank: str = "OTHERS"
    paid_at: float = 0.0
    done_at: float | None = None
    refund_id: str = "0"
    out_refund_no: str = "0"
    refunded: int = 0
    refunded_coupon: int = 0
    channel: str = ""
    refund_status: str = ""
    requested: int = 0

    def values(self, variant: str) -> list[str]:
        """The row as it is written."""
        at = self.paid_at if variant == "REFUND" else self.at
        head = [when(at), *self.who, self.transaction_id, self.out_trade_no, self.openid, self.trade_type, self.state]
        head += [self.bank, "CNY", decimal(self.settlement), decimal(self.coupon)]
        refund = [self.refund_id, self.out_refund_no, decimal(self.refunded), decimal(self.refunded_coupon)]
        refund += [self.channel, self.refund_status]
        texts = [*map(text, self.texts), decimal(self.fee_millifen, 5), f"{self.rate // 100}.{self.rate % 100:02d}%"]
        texts.append(decimal(self.total))
        if variant == "SUCCESS":
            return [*head, *texts, ""]
        times = [when(self.at), when(self.done_at) if self.done_at else ""] if variant == "REFUND" else []
        return [*head, *times, *refund, *texts, decimal(self.requested), ""]

    def with_other_amount(self) -> Self:
        """The same, one fen more."""
        if self.refund_status:
            return self._replace(refunded=self.refunded + 1, requested=self.requested + 1)
        return self._replace(settlement=self.settlement + 1, total=self.total + 1)

    def of_nobody(self) -> Self:
        """A row that stands for nothing that ever happened."""
        return self._replace(transaction_id="4200000000" + "9" * 18, out_trade_no="NOBODY" + self.out_trade_no[:20])


class Sums:
    """What the last row says."""

    def __init__(self) -> None:
        self.rows = 0
        self.income = self.expense = 0
        self._settlement = self._refunded = self._coupon = self._fee = self._total = self._requested = 0

    def add(self, line: Line) -> None:
        """Count one row."""
        self.rows += 1
        self._settlement += line.settlement
        self._refunded += line.refunded
        self._coupon += line.refunded_coupon
        self._fee += line.fee_millifen
        self._total += line.total
        self._requested += line.requested

    def values(self, variant: str, wrong_by: int = 0) -> list[str]:
        """The row of totals; ``wrong_by`` fen in its first amount, to be found out."""
        amounts = [decimal(self._settlement + wrong_by)]
        refunds = [decimal(self._refunded), decimal(self._coupon)]
        end = [decimal(self._fee, 5), decimal(self._total)]
        if variant == "SUCCESS":
            return [str(self.rows), *amounts, *end]
        return [str(self.rows), *amounts, *refunds, *end, decimal(self._requested)]


def lines(world: World, variant: str, start: float, end: float, seen_at: float) -> Iterator[Line]:
    """The rows of a day in their order; refunds with the state they had at ``seen_at``."""
    payments = world.db.each("SELECT * FROM orders WHERE paid_at >= ? AND paid_at < ? ORDER BY paid_at", start, end)
    sql = """SELECT r.*, r.amount AS requested, r.fee AS returned, r.coupon AS share, o.transaction_id, o.body AS order_body,
                    o.total, o.payer, o.trade_type, o.description, o.attach, o.fee_rate, o.coupon_kind, o.paid_at
             FROM refunds r JOIN orders o USING (out_trade_no)
             WHERE r.created_at >= ? AND r.created_at < ? ORDER BY r.created_at"""
    refunds = world.db.each(sql, start, end)
    parts: list[Iterator[Line]] = []
    if variant != "REFUND":
        parts.append(_payment(world, row) for row in payments)
    if variant != "SUCCESS":
        parts.append(_refund(world, row, seen_at) for row in refunds)
    return heapq.merge(*parts, key=lambda line: line.at)


def _payment(world: World, order: sqlite3.Row) -> Line:
    settlement = book.settlement_fen(order)
    return Line(
        at=order["paid_at"],
        who=_who(world, order["body"]),
        transaction_id=order["transaction_id"],
        out_trade_no=order["out_trade_no"],
        openid=order["payer"],
        trade_type=order["trade_type"],
        state="SUCCESS",
        settlement=settlement,
        coupon=order["coupon"],
        texts=(order["description"], order["attach"] or ""),
        fee_millifen=_fee(world, settlement, order["fee"], order["fee_rate"]),
        rate=order["fee_rate"],
        total=order["total"],
    )


def _refund(world: World, row: sqlite3.Row, seen_at: float) -> Line:
    refunded = book.refunded_fen(row, row)
    return Line(
        at=row["created_at"],
        who=_who(world, row["order_body"]),
        transaction_id=row["transaction_id"],
        out_trade_no=row["out_trade_no"],
        openid=row["payer"],
        trade_type=row["trade_type"],
        state="REVOKED" if row["origin"] == "REVERSE" else "REFUND",
        settlement=0,
        coupon=0,
        texts=(row["description"], row["attach"] or ""),
        fee_millifen=-_fee(world, refunded, row["returned"], row["fee_rate"]),
        rate=row["fee_rate"],
        total=0,
        paid_at=row["paid_at"],
        done_at=row["done_at"] if row["done_at"] is not None and row["done_at"] <= seen_at else None,
        refund_id=row["refund_id"],
        out_refund_no=row["out_refund_no"],
        refunded=refunded,
        refunded_coupon=row["share"] if row["coupon_kind"] == "CASH" else 0,
        channel=row["channel"],
        refund_status=_status(row, seen_at),
        requested=row["requested"],
    )


def _status(refund: sqlite3.Row, seen_at: float) -> str:
    if refund["status"] == "SUCCESS":
        return "SUCCESS" if refund["done_at"] <= seen_at else "PROCESSING"
    return {"CLOSED": "FAIL", "ABNORMAL": "CHANGE"}.get(refund["status"], "PROCESSING")


def _fee(world: World, fen: int, taken: int, rate: int) -> int:
    return fen * rate // 10 if world.knobs.fee_decimals == "exact" else taken * MILLIFEN


def _who(world: World, body: str) -> tuple[str, str, str, str]:
    identity = world.keys.identity
    device = str(json.loads(body).get("scene_info", {}).get("device_id", ""))
    return identity.app_id, identity.mch_id, identity.sub_mch_id or "0", device


def when(moment: float) -> str:
    """Beijing time."""
    return datetime.fromtimestamp(moment, BEIJING).strftime("%Y-%m-%d %H:%M:%S")
