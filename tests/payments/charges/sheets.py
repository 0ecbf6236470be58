"""What the tests of charges look at: the live attempt, and what WeChat says of a number."""

from typing import Any

import httpx
from cast import Buyer, Shop


async def ordered(shop: Shop, pieces: int = 1, price_fen: int = 1000) -> tuple[Buyer, str]:
    """A buyer with an unpaid order."""
    buyer = await shop.buyer("alice")
    (sku,) = await shop.stocked(20, price_fen=price_fen)
    return buyer, await buyer.order({sku: pieces})


async def opened(buyer: Buyer, no: str, channel: str, **more: Any) -> dict[str, Any]:
    answer = await open_payment(buyer, no, channel, **more)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def open_payment(buyer: Buyer, no: str, channel: str, **more: Any) -> httpx.Response:
    return await buyer.post(f"/orders/{no}/payments", {"channel": channel, **more})


async def live(shop: Shop, no: str) -> str:
    """The number of the one live attempt."""
    rows = await shop.sql.fetch(
        "SELECT out_trade_no FROM payment WHERE payable = $1 AND state IN ('opening', 'open')", no
    )
    assert len(rows) == 1
    return str(rows[0][0])


async def at_wechat(shop: Shop, number: str) -> str:
    """The trade's state, as a query tells."""
    trade = await shop.worker.gateway.query(number)
    return "NOT_THERE" if trade is None else trade.trade_state


async def attempts(shop: Shop, no: str) -> list[tuple[str, str]]:
    """Channel and state of each attempt, in order."""
    rows = await shop.sql.fetch("SELECT channel, state FROM payment WHERE payable = $1 ORDER BY id", no)
    return [(row[0], row[1]) for row in rows]


def total(whole: dict[str, Any]) -> int:
    """The figures of an order, shown to add up."""
    assert whole["totalFen"] == whole["goodsFen"] - whole["discountFen"] + whole["freightFen"]
    assert sum(line["paidFen"] for line in whole["lines"]) == whole["goodsFen"] - whole["discountFen"]
    return int(whole["totalFen"])
