"""The profit-sharing bill: what was decided in a Beijing day about shares, unfreezings and returns.

No public source that we know shows a whole file; the columns are those of WeChat's description, the totals are ours.
"""

import heapq
import sqlite3
from collections.abc import Iterator
from typing import NamedTuple, Self

from sandbox.pay.bills.lines import decimal, text
from sandbox.pay.bills.trade import when
from sandbox.world import World

HEADER = (
    "分账时间,分账发起方,分账方,微信订单号,微信分账/回退单号,分账明细单号,商户分账/回退单号,订单金额,分账接收方,分账金额,"
    "业务类型,处理状态,分账描述,备注"
)
TOTALS = "总条数,分账总金额,分账回退总金额"
_SHARE, _FREE, _RETURN = "分账", "解冻", "分账回退"


class Line(NamedTuple):
    """One row; amounts in fen. What did not succeed stands there, and is not in the totals."""

    at: float
    asker: str
    giver: str
    transaction_id: str
    share_id: str
    detail_id: str
    number: str
    total: int
    receiver: str
    amount: int
    business: str
    state: str
    description: str
    reason: str

    def values(self, _: str) -> list[str]:
        """The row as it is written."""
        head = [when(self.at), self.asker, self.giver, self.transaction_id, self.share_id, self.detail_id, self.number]
        head += [decimal(self.total), self.receiver, decimal(self.amount), self.business, self.state]
        return [*head, text(self.description), self.reason]

    def with_other_amount(self) -> Self:
        """The same, one fen more."""
        return self._replace(amount=self.amount + 1)

    def of_nobody(self) -> Self:
        """A row that stands for nothing that ever happened."""
        return self._replace(share_id="3008000000" + "9" * 18, detail_id="36" + "9" * 21, number="NOBODY")


class Sums:
    """What the last row says."""

    def __init__(self) -> None:
        self.rows = 0
        self._shared = self._returned = 0

    def add(self, line: Line) -> None:
        """Count one row."""
        self.rows += 1
        if line.state == "SUCCESS":
            self._shared += line.amount if line.business == _SHARE else 0
            self._returned += line.amount if line.business == _RETURN else 0

    def values(self, _: str, wrong_by: int = 0) -> list[str]:
        """The row of totals; ``wrong_by`` fen in its first amount, to be found out."""
        return [str(self.rows), decimal(self._shared + wrong_by), decimal(self._returned)]


def lines(world: World, start: float, end: float) -> Iterator[Line]:
    """The rows of a day in their order."""
    shares = """SELECT s.*, p.order_id, o.transaction_id, o.total FROM shares s JOIN share_orders p USING (out_order_no)
                JOIN orders o USING (out_trade_no) WHERE s.finished_at >= ? AND s.finished_at < ?
                ORDER BY s.finished_at, s.out_order_no, s.place"""
    backs = """SELECT r.*, o.transaction_id, o.total FROM share_returns r JOIN share_orders p USING (out_order_no)
               JOIN orders o USING (out_trade_no) WHERE r.finished_at >= ? AND r.finished_at < ?
               ORDER BY r.finished_at, r.out_return_no"""
    found = (
        (_share(world, row) for row in world.db.each(shares, start, end)),
        (_return(world, row) for row in world.db.each(backs, start, end)),
    )
    return heapq.merge(*found, key=lambda line: line.at)


def _share(world: World, row: sqlite3.Row) -> Line:
    asker, giver = _parties(world)
    return Line(
        at=row["finished_at"],
        asker=asker,
        giver=giver,
        transaction_id=row["transaction_id"],
        share_id=row["order_id"],
        detail_id=row["detail_id"],
        number=row["out_order_no"],
        total=row["total"],
        receiver=row["account"],
        amount=row["amount"],
        business=_FREE if row["own"] else _SHARE,
        state=row["result"],
        description=row["description"],
        reason=row["fail_reason"] or "",
    )


def _return(world: World, row: sqlite3.Row) -> Line:
    asker, giver = _parties(world)
    return Line(
        at=row["finished_at"],
        asker=asker,
        giver=row["return_mchid"],
        transaction_id=row["transaction_id"],
        share_id=row["return_id"],
        detail_id="",
        number=row["out_return_no"],
        total=row["total"],
        receiver=giver,
        amount=row["amount"],
        business=_RETURN,
        state=row["result"],
        description=row["description"],
        reason=row["fail_reason"] or "",
    )


def _parties(world: World) -> tuple[str, str]:
    """Who asks for shares, and whose money it is."""
    identity = world.keys.identity
    return identity.mch_id, identity.sub_mch_id or identity.mch_id
