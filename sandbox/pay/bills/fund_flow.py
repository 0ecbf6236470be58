"""The fund-flow bill: every movement on an account in a Beijing day, with the balance after it."""

from collections.abc import Iterator
from typing import NamedTuple, Self

from sandbox.pay import book
from sandbox.pay.bills.lines import decimal, text
from sandbox.pay.bills.trade import when
from sandbox.world import World

HEADER = (
    "记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,"
    "备注,业务凭证号"
)
TOTALS = "资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额"


class Line(NamedTuple):
    """One row; the amount in fen is negative when it leaves."""

    at: float
    business_id: str
    flow_id: str
    kind: str
    amount: int
    balance: int
    applicant: str
    note: str
    voucher: str

    def values(self, _: str) -> list[str]:
        """The row as it is written."""
        business = book.BUSINESSES[self.kind]
        direction = "收入" if self.amount > 0 else "支出"
        head = [when(self.at), self.business_id, self.flow_id, business.name, business.type, direction]
        return [*head, decimal(abs(self.amount)), decimal(self.balance), self.applicant, text(self.note), self.voucher]

    def with_other_amount(self) -> Self:
        """The same, one fen more."""
        return self._replace(amount=self.amount + 1)

    def of_nobody(self) -> Self:
        """A row that stands for nothing that ever happened."""
        return self._replace(business_id="4200000000" + "9" * 18, flow_id="4200000001" + "9" * 18, voucher="NOBODY")


class Sums:
    """What the last row says."""

    def __init__(self) -> None:
        self.rows = 0
        self._incomes = self._expenses = self._income = self._expense = 0

    def add(self, line: Line) -> None:
        """Count one row."""
        self.rows += 1
        if line.amount > 0:
            self._incomes += 1
            self._income += line.amount
        else:
            self._expenses += 1
            self._expense -= line.amount

    def values(self, _: str, wrong_by: int = 0) -> list[str]:
        """The row of totals; ``wrong_by`` fen in its first amount, to be found out."""
        income = decimal(self._income + wrong_by)
        return [str(self.rows), str(self._incomes), income, str(self._expenses), decimal(self._expense)]


def lines(world: World, account: book.Account, start: float, end: float) -> Iterator[Line]:
    """The rows of a day in their order."""
    balance = book.balance_fen(world, account, before=start)
    sql = "SELECT * FROM movements WHERE account = ? AND at >= ? AND at < ? ORDER BY at, id"
    for row in world.db.each(sql, account, start, end):
        balance += row["amount"]
        names = ("at", "business_id", "flow_id", "kind", "amount")
        told = {name: row[name] for name in (*names, "applicant", "note", "voucher")}
        yield Line(balance=balance, **told)
