"""Days of trade in the database, made in SQL, and what WeChat would write down of them."""

import dataclasses
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any

from written_bills import Back, Moved, Paid, stamp

from payments.reconciliation.beijing import BEIJING

EVERY = 10
"""Each tenth payment is refunded, by half."""


def number(prefix: str, day: date, i: int) -> str:
    return f"{prefix}{day:%Y%m%d}{i:09d}"


def fen_of(i: int) -> int:
    return 100 + i * 37 % 9_900


def fee_of(fen: int) -> int:
    """0.6 %, in thousandths of a fen, with all its digits."""
    return fen * 6


def whole(millifen: int) -> int:
    return (millifen + 500) // 1000


def moment(day: date, i: int, of: int) -> datetime:
    """Spread over the day, in Beijing time; the first at midnight, the last just before it."""
    start = datetime.combine(day, datetime.min.time(), BEIJING)
    return start + timedelta(seconds=i * 86_399 // max(of - 1, 1))


_SEED = """
    WITH given AS (
        SELECT i, lpad(i::text, 9, '0') AS n, 100 + i * 37 % 9900 AS fen,
            $2::timestamptz + make_interval(secs => i::bigint * 86399 / greatest($3::int - 1, 1)) AS at
        FROM generate_series(0, $3::int - 1) i
    ), placed AS (
        INSERT INTO orders (no, member_id, channel, source, state, goods_fen, discount_fen, freight_fen, total_fen,
            refunded_fen, trace, address, note, pay_by, close_at, paid_at, created_at)
        SELECT 'O' || $1 || n, $4, 'mini_program', '{}', 'paid', fen, 0, 0, fen,
            CASE WHEN i % 10 = 0 THEN fen / 2 ELSE 0 END, '[]', '{}', '', at, at, at, at FROM given
    ), paid AS (
        INSERT INTO payment (out_trade_no, payable, channel, mchid, appid, currency, amount_fen, description, state,
            expires_at, transaction_id, received_fen, received_at, applied, refunded_fen, check_at, created_at)
        SELECT 'T' || $1 || n, 'O' || $1 || n, 'jsapi', '1900001109', 'wx', 'CNY', fen, '', 'received', at, '4200' || $1 || n,
            fen, at, true, CASE WHEN i % 10 = 0 THEN fen / 2 ELSE 0 END, at, at FROM given
        RETURNING id, out_trade_no
    ), returned AS (
        INSERT INTO refund (out_refund_no, payment_id, payable, cause, amount_fen, reason, state, refund_id, check_at,
            requested_by, requested_at, succeeded_at)
        SELECT 'R' || $1 || n, p.id, 'O' || $1 || n, 'R' || $1 || n, fen / 2, '', 'succeeded', '5030' || $1 || n, at,
            'system', at, at
        FROM given g JOIN paid p ON p.out_trade_no = 'T' || $1 || g.n WHERE i % 10 = 0
    )
    INSERT INTO posting (cause, debit, credit, amount_fen, currency, payable, at)
    SELECT 'received:T' || $1 || n, 'wechat', 'sales', fen, 'CNY', 'O' || $1 || n, at FROM given
    UNION ALL
    SELECT 'refunded:R' || $1 || n, 'refunds_payable', 'wechat', fen / 2, 'CNY', 'O' || $1 || n, at FROM given WHERE i % 10 = 0
"""


async def seed(sql: Any, day: date, count: int) -> None:
    """`count` orders of `day`, paid, and each tenth refunded by half; booked as the shop books."""
    member = await sql.fetchval("SELECT id FROM member LIMIT 1")
    if member is None:
        member = await sql.fetchval("INSERT INTO member (created_at) VALUES (now()) RETURNING id")
    midnight = datetime.combine(day, datetime.min.time(), BEIJING)
    await sql.execute(_SEED, f"{day:%Y%m%d}", midnight, count, member, timeout=600)


Change = Callable[[Any], list[Any]]
"""What WeChat writes instead of a row."""


def trade_rows(day: date, count: int, plan: dict[str, Change]) -> Iterator[Paid | Back]:
    """The trade bill of `seed`; `plan` changes rows by their transaction or refund id."""
    for i in range(count):
        at = stamp(moment(day, i, count))
        fen = fen_of(i)
        paid = Paid(at, number("4200", day, i), number("T", day, i), fen, fee_of(fen))
        yield from plan[paid.transaction_id](paid) if paid.transaction_id in plan else [paid]
        if i % EVERY == 0:
            half = fen // 2
            refund_id, number_of_it = number("5030", day, i), number("R", day, i)
            back = Back(at, paid.transaction_id, paid.out_trade_no, refund_id, number_of_it, half, -fee_of(half))
            yield from plan[refund_id](back) if refund_id in plan else [back]


def flow_rows(day: date, count: int, plan: dict[str, Change]) -> Iterator[Moved]:
    """The fund flow of `seed`: what was paid less its fee, rounded row by row."""
    for i in range(count):
        at, fen = stamp(moment(day, i, count)), fen_of(i)
        row = Moved(at, number("4200", day, i), fen - whole(fee_of(fen)), voucher=number("T", day, i))
        yield from plan[row.business_id](row) if row.business_id in plan else [row]
        if i % EVERY == 0:
            half = fen // 2
            back = Moved(at, number("5030", day, i), whole(fee_of(half)) - half, "退款", voucher=number("R", day, i))
            yield from plan[back.business_id](back) if back.business_id in plan else [back]


def net_of(day: date, count: int) -> int:
    """What the account gained."""
    return sum(row.fen for row in flow_rows(day, count, {}))


def changed(**values: Any) -> Change:
    return lambda row: [dataclasses.replace(row, **values)]


def left_out(_row: Any) -> list[Any]:
    return []


def twice(row: Any) -> list[Any]:
    return [row, row]


def followed_by(*more: Any) -> Change:
    return lambda row: [row, *more]
