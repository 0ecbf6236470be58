"""The plain case of a paid trade, for many at once: money that is exactly what was asked, for a payable that awaits it.

Everything that is not plain in every respect is left alone here and settled one by one (`settlement`, which says what
each case means). So these statements decide nothing but "nothing is odd about it".

Locks: notice → payment → (payee) orders → SKU rows, each in one order.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ARRAY, BigInteger, Text

from kit.database import Database, Instant
from kit.statement import Statement
from payments.ledger import Account
from payments.models import LIVE_SQL, PaymentState
from payments.ports import Payee, Receipt
from payments.trades import Trade, instant


class Paid(msgspec.Struct, frozen=True):
    """A notice that is stored, and the trade in it."""

    notice: str
    trade: Trade
    at: datetime


_TEXTS = ARRAY(Text)
_BIGINTS = ARRAY(BigInteger)
# A notice that failed before is not plain: somebody may have to be told that it is over. Its state and the payment's are
# asked for in words that no index of open ones knows: planned in a quiet hour, those are read whole for every notification.
_LOCK = Statement(
    f"""
    WITH letter AS MATERIALIZED (
        SELECT id FROM notice WHERE id = ANY(:notices) AND num_nulls(handled_at, last_error) = 2
        ORDER BY id FOR UPDATE
    )
    SELECT w.place, p.id, p.payable
    FROM unnest(:notices, :numbers, :transactions, :amounts, :currencies, :mchids, :sub_mchids, :appids, :openids)
        WITH ORDINALITY AS w (notice, number, transaction, amount, currency, mchid, sub_mchid, appid, openid, place)
    JOIN letter ON letter.id = w.notice
    JOIN payment p ON p.out_trade_no = w.number
    WHERE p.state || '' IN ({LIVE_SQL}) AND p.reversing_at IS NULL AND NOT p.external
        AND p.mchid = w.mchid AND p.appid = w.appid AND p.sub_mchid IS NOT DISTINCT FROM w.sub_mchid
        AND p.amount_fen = w.amount AND p.currency = w.currency
        AND (p.openid IS NULL OR w.openid IS NULL OR p.openid = w.openid)
        AND NOT EXISTS (SELECT FROM payment other WHERE other.transaction_id = w.transaction)
    ORDER BY p.id FOR NO KEY UPDATE OF p
    """,  # noqa: S608  (our own constants)
    notices=_TEXTS, numbers=_TEXTS, transactions=_TEXTS, amounts=_BIGINTS, currencies=_TEXTS, mchids=_TEXTS,
    sub_mchids=_TEXTS, appids=_TEXTS, openids=_TEXTS,
)  # fmt: skip
_RECEIVE = Statement(
    f"""
    WITH done AS MATERIALIZED (
        SELECT * FROM unnest(:ids, :notices, :transactions, :received_ats, :ats)
            AS d (id, notice, transaction_id, received_at, at)
    ), received AS (
        UPDATE payment p SET state = '{PaymentState.RECEIVED}', transaction_id = d.transaction_id,
            received_fen = p.amount_fen, received_at = d.received_at, applied = true
        FROM done d WHERE p.id = d.id
        RETURNING p.out_trade_no, p.payable, p.currency, p.received_fen, d.at
    ), booked AS (
        INSERT INTO posting (cause, debit, credit, amount_fen, currency, payable, at)
        SELECT 'received:' || out_trade_no, '{Account.WECHAT}', '{Account.SALES}', received_fen, currency, payable, at
        FROM received
    )
    UPDATE notice n SET attempts = n.attempts + 1, outcome = 'applied', handled_at = d.at FROM done d WHERE n.id = d.notice
    """,  # noqa: S608
    ids=_BIGINTS, notices=_TEXTS, transactions=_TEXTS, received_ats=ARRAY(Instant), ats=ARRAY(Instant),
)  # fmt: skip


async def settle(db: Database, payee: Payee, letters: Sequence[Paid]) -> set[str]:
    """Settle those that are plain, in one transaction, and give their notices; nothing else has changed.

    Raises `DatabaseUnavailable`, and asyncpg's errors: then none of them is settled.
    """
    async with db.bare() as connection, connection.transaction():
        found = await _lock(connection, letters)
        receipts = [_receipt(paid, payable) for paid, _, payable in found]
        taken = await payee.paid_together(connection, receipts, max(paid.at for paid in letters)) if receipts else set()
        done = [
            (paid, id_, receipt)
            for (paid, id_, payable), receipt in zip(found, receipts, strict=True)
            if payable in taken
        ]
        if done:
            await _RECEIVE.fetch(
                connection,
                ids=[id_ for _, id_, _ in done],
                notices=[paid.notice for paid, _, _ in done],
                transactions=[receipt.transaction_id for _, _, receipt in done],
                received_ats=[receipt.paid_at for _, _, receipt in done],
                ats=[paid.at for paid, _, _ in done],
            )
    return {paid.notice for paid, _, _ in done}


async def _lock(connection: Any, letters: Sequence[Paid]) -> list[tuple[Paid, int, str]]:
    """Those that fit their payment, each payment once, with its id and payable."""
    trades = [paid.trade for paid in letters]
    rows = await _LOCK.fetch(
        connection,
        notices=[paid.notice for paid in letters],
        numbers=[trade.out_trade_no for trade in trades],
        transactions=[trade.transaction_id for trade in trades],
        amounts=[trade.amount.total if trade.amount else None for trade in trades],
        currencies=[(trade.amount and trade.amount.currency) or "CNY" for trade in trades],
        mchids=[trade.mchid for trade in trades],
        sub_mchids=[trade.sub_mchid or None for trade in trades],
        appids=[trade.appid for trade in trades],
        openids=[(trade.payer and trade.payer.openid) or None for trade in trades],
    )
    once = {row["id"]: row for row in reversed(rows)}
    transactions = {letters[row["place"] - 1].trade.transaction_id for row in once.values()}
    if len(transactions) < len(once):
        return []  # one transaction's id for two payments: whoever comes second is a case
    return [(letters[row["place"] - 1], row["id"], row["payable"]) for row in once.values()]


def _receipt(paid: Paid, payable: str) -> Receipt:
    trade = paid.trade
    assert trade.amount is not None
    assert trade.transaction_id is not None
    return Receipt(
        payable=payable,
        out_trade_no=trade.out_trade_no,
        transaction_id=trade.transaction_id,
        amount_fen=trade.amount.total,
        paid_at=instant(trade.success_time) or paid.at,
    )
