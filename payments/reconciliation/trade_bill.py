"""The trade bill: payments, and refunds as they stood when the bill was made (`ALL`; also `SUCCESS` and `REFUND`)."""

from collections.abc import Iterator
from datetime import datetime
from typing import BinaryIO, NamedTuple

from payments.reconciliation import reading
from payments.reconciliation.reading import fen, short, word

_COLUMNS: dict[str, reading.Read] = {
    "交易时间": reading.instant,
    "商户号": word,
    "公众账号ID": short,
    "微信订单号": word,
    "商户订单号": word,
    "交易类型": short,
    "交易状态": word,
    "货币种类": word,
    "应结订单金额": fen,
    "代金券金额": fen,
    "订单金额": fen,
    "微信退款单号": reading.maybe,
    "商户退款单号": reading.maybe,
    "退款状态": short,
    "退款金额": fen,
    "充值券退款金额": fen,
    "申请退款金额": fen,
    "手续费": reading.millifen,
    "退款申请时间": reading.maybe_instant,
}
_ABSENT: dict[str, object] = {
    "微信退款单号": None,
    "商户退款单号": None,
    "退款状态": "",
    "退款金额": 0,
    "充值券退款金额": 0,
    "申请退款金额": 0,
    "退款申请时间": None,
}
"""What only bills with refunds have; and the last one only `REFUND`, where 交易时间 is the payment's."""


class TradeRow(NamedTuple):
    """In the order of the table's columns, after the day and the line."""

    at: datetime
    mchid: str
    appid: str
    transaction_id: str
    out_trade_no: str
    trade_type: str
    trade_state: str
    currency: str
    settlement_fen: int
    coupon_fen: int
    order_fen: int
    refund_id: str | None
    out_refund_no: str | None
    refund_status: str
    refund_fen: int
    refund_coupon_fen: int
    requested_fen: int
    fee_millifen: int
    fee_fen: int


class TradeBill:
    """One pass over a file: iterate over `rows`; when that ended without `BadBill`, all of it holds."""

    def __init__(self, file: BinaryIO) -> None:
        self._numbered = reading.lines(file)
        self.count = 0
        self.summary: dict[str, str] = {}
        self._fee_millifen = 0
        self._settlement_fen = self._order_fen = 0
        self._refund_fen = self._refund_coupon_fen = self._requested_fen = 0

    def rows(self) -> Iterator[tuple[int, TradeRow]]:
        """Rows with their line numbers. Raises `BadBill`."""
        _, header = next(self._numbered, (1, ""))
        columns = reading.Columns(header, _COLUMNS, _ABSENT)
        for line, text in reading.body(self._numbered, self._check):
            at, *middle, fee_millifen, accepted_at = columns.read(text, line)
            row = TradeRow._make([accepted_at or at, *middle, fee_millifen, self._fee_fen(fee_millifen)])
            self._count(row)
            yield line, row

    def _fee_fen(self, millifen: int) -> int:
        """A fee may have parts of a fen. Rounded as a running sum, the whole fen of all rows are the fen of the whole."""
        before = _whole(self._fee_millifen)
        self._fee_millifen += millifen
        return _whole(self._fee_millifen) - before

    def _count(self, row: TradeRow) -> None:
        self.count += 1
        self._settlement_fen += row.settlement_fen
        self._order_fen += row.order_fen
        self._refund_fen += row.refund_fen
        self._refund_coupon_fen += row.refund_coupon_fen
        self._requested_fen += row.requested_fen

    def _check(self, totals: reading.Totals) -> None:
        self.summary = totals.values
        totals.check("总交易单数", reading.count, self.count)
        totals.check("应结订单总金额", fen, self._settlement_fen, needed=False)
        totals.check("退款总金额", fen, self._refund_fen, needed=False)
        totals.check("充值券退款总金额", fen, self._refund_coupon_fen, needed=False)
        totals.check("手续费总金额", reading.millifen, self._fee_millifen)
        totals.check("订单总金额", fen, self._order_fen, needed=False)
        totals.check("申请退款总金额", fen, self._requested_fen, needed=False)


def _whole(millifen: int) -> int:
    """Rounded to fen, halves away from zero, as money is."""
    whole = (abs(millifen) + 500) // 1000
    return -whole if millifen < 0 else whole
