"""The fund-flow bill: every movement on an account, with the balance after it."""

from collections.abc import Iterator
from datetime import datetime
from typing import BinaryIO, NamedTuple

from payments.reconciliation import reading
from payments.reconciliation.reading import fen, short, word

_COLUMNS: dict[str, reading.Read] = {
    "记账时间": reading.instant,
    "微信支付业务单号": short,
    "资金流水单号": word,
    "业务名称": short,
    "业务类型": short,
    "收支类型": short,
    "收支金额(元)": fen,
    "账户结余(元)": fen,
    "业务凭证号": short,
}
_INCOME, _EXPENSE = "收入", "支出"


class FlowRow(NamedTuple):
    """In the order of the table's columns, after the day and the line."""

    at: datetime
    business_id: str
    flow_id: str
    name: str
    type: str
    amount_fen: int
    """Signed: income is positive."""
    balance_fen: int
    voucher: str


class FlowBill:
    """One pass over a file: iterate over `rows`; when that ended without `BadBill`, all of it holds."""

    def __init__(self, file: BinaryIO) -> None:
        self._numbered = reading.lines(file)
        self.count = 0
        self.summary: dict[str, str] = {}
        self._incomes = self._expenses = self._income_fen = self._expense_fen = 0

    def rows(self) -> Iterator[tuple[int, FlowRow]]:
        """Rows with their line numbers. Raises `BadBill`."""
        _, header = next(self._numbered, (1, ""))
        columns = reading.Columns(header, _COLUMNS, {})
        for line, text in reading.body(self._numbered, self._check):
            at, business_id, flow_id, name, kind, direction, amount, balance, voucher = columns.read(text, line)
            if direction not in {_INCOME, _EXPENSE} or amount < 0:
                raise reading.BadBill("neither income nor expense", line=line, column="收支类型")
            self._count(amount, income=direction == _INCOME)
            signed = amount if direction == _INCOME else -amount
            yield line, FlowRow(at, business_id, flow_id, name, kind, signed, balance, voucher)

    def _count(self, amount_fen: int, *, income: bool) -> None:
        self.count += 1
        if income:
            self._incomes += 1
            self._income_fen += amount_fen
        else:
            self._expenses += 1
            self._expense_fen += amount_fen

    def _check(self, totals: reading.Totals) -> None:
        self.summary = totals.values
        totals.check("资金流水总笔数", reading.count, self.count)
        totals.check("收入笔数", reading.count, self._incomes)
        totals.check("收入金额", fen, self._income_fen)
        totals.check("支出笔数", reading.count, self._expenses)
        totals.check("支出金额", fen, self._expense_fen)
