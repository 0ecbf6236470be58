"""The morning after days of trade in the simulated world: the bills come, and what reconciliation makes of them."""

from datetime import date, datetime, timedelta
from typing import Any

from cast import Shop

from payments.reconciliation.beijing import BEIJING, day_of

MORNING = 10 * 60 + 5
"""Minutes after midnight: the bills are there."""


def today(shop: Shop) -> date:
    return day_of(shop.world.clock.now())


def go_on(shop: Shop, days: int, minutes: int) -> None:
    """On to so many minutes after the midnight `days` ahead, Beijing time."""
    midnight = datetime.combine(today(shop) + timedelta(days=days), datetime.min.time(), BEIJING)
    wanted = midnight + timedelta(minutes=minutes) - shop.world.clock.now()
    shop.world.skip(seconds=wanted.total_seconds())


async def morning_after(shop: Shop) -> date:
    """The next morning, when the bills are there; the day they are of."""
    traded = today(shop)
    go_on(shop, 1, MORNING)
    await shop.worker.reconcile()
    return traded


async def refunded(shop: Shop, no: str) -> None:
    """One piece of the order is refunded; the news of it is not delivered."""
    operator = await shop.operator()
    line = await shop.sql.fetchval(
        "SELECT l.id FROM order_line l JOIN orders o ON o.id = l.order_id WHERE o.no = $1", no
    )
    answer = await operator.refund(no, {str(line): 1})
    assert answer.is_success, answer.text
    await shop.run_jobs()
    shop.world.skip(minutes=2)  # it takes WeChat a moment


async def state_of(shop: Shop, day: date) -> str:
    return str(await shop.sql.fetchval("SELECT state FROM bill_day WHERE day = $1", day))


async def bills_of(shop: Shop, day: date) -> dict[str, str]:
    rows = await shop.sql.fetch("SELECT kind, state FROM bill WHERE day = $1", day)
    return {row["kind"]: row["state"] for row in rows}


async def figure(shop: Shop, day: date, *path: str) -> Any:
    return await shop.sql.fetchval("SELECT (figures #>> $2)::bigint FROM bill_day WHERE day = $1", day, list(path))


async def open_cases(shop: Shop) -> list[tuple[str, str]]:
    rows = await shop.sql.fetch(
        "SELECT kind, reference FROM payment_exception WHERE resolved_at IS NULL ORDER BY kind, reference"
    )
    return [(row["kind"], row["reference"]) for row in rows]


async def balance(shop: Shop, account: str) -> int:
    return int(
        await shop.sql.fetchval(
            "SELECT coalesce(sum(CASE debit WHEN $1 THEN amount_fen ELSE -amount_fen END), 0)::bigint FROM posting"
            " WHERE $1 IN (debit, credit)",
            account,
        )
    )


def account(shop: Shop) -> int:
    """What WeChat says the account has moved since the world began."""
    items = shop.world.http.get("/_sandbox/movements").json()["items"]
    return sum(item["amount"] for item in items)
