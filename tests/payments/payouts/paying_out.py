"""What the tests of money out share: a member who is to get money, staff who promise it, and the ledger's word."""

import secrets
from typing import Any

from cast import Buyer, Operator, Shop

REPORT = {"活动名称": "新会员有礼", "奖励说明": "注册奖励"}
TRANSFERS = r"transfer-bills$"
"""The path at WeChat where they are opened."""
Scene = tuple[Shop, Operator, Buyer, str]
"""The last one is the buyer's id as a member."""


async def state_of(operator: Operator, no: str) -> str:
    return str((await operator.get(f"/transfers/{no}")).json()["state"])


async def pursue(shop: Shop, no: str) -> None:
    """What the worker does with a transfer's job."""
    await shop.worker.handlers()["payments.transfer"](no)


async def member_id(shop: Shop, buyer: Buyer) -> str:
    return str((await buyer.get("/me")).json()["id"])


async def promise(operator: Operator, member: str, fen: int = 500, **changed: Any) -> Any:
    """Staff promise a member money."""
    key = changed.pop("key", None)
    wish = {
        "cause": f"welcome:{secrets.token_hex(4)}",
        "amountFen": fen,
        "remark": "注册奖励",
        "sceneId": "1000",
        "report": REPORT,
        **changed,
    }
    return await operator.post(f"/members/{member}/transfers", wish, key=key)


async def promised(operator: Operator, member: str, fen: int = 500, **changed: Any) -> str:
    """The number of a transfer that was promised."""
    answer = await promise(operator, member, fen, **changed)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["outBillNo"])


async def second_person(shop: Shop, operator: Operator) -> Operator:
    """Another manager."""
    body = {"login": "second", "name": "Li", "password": "a long enough word", "role": "manager"}
    assert (await operator.post("/staff", body)).status_code == 201
    return await sign_in(shop, "second")


async def sign_in(shop: Shop, login: str) -> Operator:
    """Again, after a day; or for the first time."""
    answer = await shop.http.post("/admin/v1/sign-in", json={"login": login, "password": "a long enough word"})
    return Operator(shop, answer.json()["accessToken"])


async def balances(shop: Shop) -> dict[str, int]:
    """The ledger's accounts that are not at zero."""
    rows = await shop.sql.fetch(
        """
        SELECT account, sum(fen)::bigint AS fen FROM (
            SELECT debit AS account, amount_fen AS fen FROM posting UNION ALL SELECT credit, -amount_fen FROM posting
        ) sides GROUP BY 1 HAVING sum(fen) <> 0
        """
    )
    return {row["account"]: row["fen"] for row in rows}


async def cases(shop: Shop) -> list[str]:
    return [row["kind"] for row in await shop.sql.fetch("SELECT kind FROM payment_exception ORDER BY id")]


async def allow(operator: Operator, cap_fen: int) -> None:
    rules = {"dailyCapFen": cap_fen, "shareOrders": False, "shareAtMostBp": 3000}
    answer = await operator.shop.http.put("/admin/v1/payout-policy", headers=operator.headers, json=rules)
    assert answer.status_code == 200, answer.text
