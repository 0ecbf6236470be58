"""Under faults of every kind, with nobody's hand on it: our ledger says of money out what WeChat's own book says."""

import random
from contextlib import suppress
from typing import Any

import pytest
from cast import Buyer, Operator, Shop
from paying_out import cases, member_id, promised

from payments.wechatpay.gateway import Refused, Unknown

RULES = {"dailyCapFen": 1_000_000, "shareOrders": True, "shareAtMostBp": 3000}
MERCHANT = "1600000009"
EFFECTS = (
    "500",
    "500_after",
    "502_html",
    "429",
    "unsigned",
    "bad_response_signature",
    "timeout_before",
    "timeout_after",
)
CALLS = ("transfer-bills", "profitsharing", "/v3/refund", "cancel$")


async def _paid(shop: Shop, buyer: Buyer, sku: int) -> tuple[str, str]:
    no = await shop.paid_order(buyer, {sku: 2})
    return no, str(await shop.sql.fetchval("SELECT out_trade_no FROM payment WHERE payable = $1 AND applied", no))


async def _receiver(shop: Shop, operator: Operator) -> str:
    wish = {"kind": "MERCHANT_ID", "account": MERCHANT, "relation": "SUPPLIER", "name": "茶农合作社"}
    receiver = str((await operator.post("/share-receivers", wish)).json()["id"])
    await shop.run_jobs()
    return receiver


async def _share(operator: Operator, out_trade_no: str, receiver: str, fen: int) -> Any:
    parts = [{"receiverId": receiver, "amountFen": fen, "description": "货款"}]
    wish = {"cause": f"share:{out_trade_no}", "unfreeze": False, "description": "分账", "parts": parts}
    answer = await operator.post(f"/payments/{out_trade_no}/shares", wish)
    assert answer.status_code == 201, answer.text
    return answer.json()["outOrderNo"]


async def _round(shop: Shop, dice: random.Random, *, sick: bool) -> None:
    """Jobs and sweeps of a few minutes; what breaks off is left for the next one, as a dead worker would leave it."""
    if sick:
        for _ in range(dice.randrange(4)):
            shop.world.faults(path=dice.choice(CALLS), effect=dice.choice(EFFECTS), times=1, seconds=0.01)
    for work in (shop.run_jobs, shop.worker.pursue_payouts, shop.worker.ask_refunds):
        with suppress(Refused, Unknown):  # the fault; the sweeps must mend it
            await work()
    shop.world.skip(minutes=dice.choice((1, 6, 11)))


def _theirs(shop: Shop) -> dict[str, int]:
    """What WeChat moved, by our numbers. A share's parts carry its number."""
    items = shop.world.http.get("/_sandbox/movements").json()["items"]
    found: dict[str, int] = {}
    for item in items:
        if item["kind"] in {"transfer", "share", "share_returned"}:
            found[item["voucher"]] = found.get(item["voucher"], 0) + item["amount"]
    return found


async def _ours(shop: Shop) -> dict[str, int]:
    rows = await shop.sql.fetch(
        """
        SELECT split_part(cause, ':', 2) AS number,
            sum(CASE debit WHEN 'wechat' THEN amount_fen ELSE -amount_fen END)::bigint AS fen
        FROM posting WHERE split_part(cause, ':', 1) IN ('transferred', 'shared', 'share_returned') GROUP BY 1
        """
    )
    return {row["number"]: row["fen"] for row in rows}


@pytest.mark.parametrize("seed", range(3))
async def test_our_ledger_and_their_book_agree_to_the_fen(shop: Shop, seed: int) -> None:
    dice = random.Random(seed)
    operator, buyer = await shop.operator(), await shop.buyer("alice")
    assert (await shop.http.put("/admin/v1/payout-policy", headers=operator.headers, json=RULES)).status_code == 200
    member, (sku,) = await member_id(shop, buyer), await shop.stocked(99, price_fen=5000)
    shop.world.tell("sharing/accounts", account=MERCHANT)
    receiver = await _receiver(shop, operator)
    orders = [await _paid(shop, buyer, sku) for _ in range(3)]
    before = set(_theirs(shop))
    shop.world.skip(minutes=2)

    numbers = [await promised(operator, member, 100 * n) for n in range(1, 6)]
    for fen, (_, out_trade_no) in zip((1000, 2000, 3000), orders, strict=True):
        await _share(operator, out_trade_no, receiver, fen)
    for turn in range(30):
        if turn == 3:
            assert (await operator.post(f"/transfers/{numbers[0]}/cancel")).status_code == 200
            line = (await buyer.get(f"/orders/{orders[0][0]}")).json()["lines"][0]["id"]
            assert (await operator.refund(orders[0][0], {line: 1})).status_code == 201
        if turn == 5:
            _confirm(shop, numbers[1:3])
        await _round(shop, dice, sick=turn < 20)
    shop.world.heal()
    _confirm(shop, numbers[1:3])
    for _ in range(6):
        await _round(shop, dice, sick=False)
    shop.world.skip(hours=24)
    for _ in range(3):
        await _round(shop, dice, sick=False)

    theirs = {number: fen for number, fen in _theirs(shop).items() if number not in before}
    assert theirs == await _ours(shop)
    states = {row["out_bill_no"]: row["state"] for row in await shop.sql.fetch("SELECT * FROM transfer")}
    assert [states[number] for number in numbers] == ["cancelled", "success", "success", "fail", "fail"]
    assert await shop.sql.fetchval("SELECT state FROM refund") == "succeeded"
    shares = await shop.sql.fetch("SELECT out_trade_no, shared_fen FROM payment")
    assert {row["out_trade_no"]: row["shared_fen"] for row in shares} == {
        out_trade_no: fen for fen, (_, out_trade_no) in zip((0, 2000, 3000), orders, strict=True)
    }
    assert await cases(shop) == []
    shop.mailbox.clear()


def _confirm(shop: Shop, numbers: list[str]) -> None:
    """The user takes these, if they wait for it."""
    waiting = shop.world.http.get("/_sandbox/transfers?state=WAIT_USER_CONFIRM").json()["items"]
    for item in waiting:
        if item["out_bill_no"] in numbers:
            shop.world.tell(f"transfers/{item['out_bill_no']}/confirm")
