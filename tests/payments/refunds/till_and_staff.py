"""A paid order, two managers, and a look at its refunds."""

from dataclasses import dataclass
from typing import Any

from cast import Buyer, Operator, Shop

POLICY = {
    "latePayment": "refund",
    "wrongAmount": "refund",
    "refundApprovalAboveFen": None,
    "payoutApprovalAboveFen": None,
}


@dataclass
class Bought:
    """An order, paid and heard of."""

    shop: Shop
    buyer: Buyer
    no: str
    line: str
    sku: int
    total_fen: int
    out_trade_no: str

    async def seen(self) -> dict[str, Any]:
        return dict((await self.buyer.get(f"/orders/{self.no}")).json())

    async def rows(self) -> list[dict[str, Any]]:
        found = await self.shop.sql.fetch("SELECT * FROM refund WHERE payable = $1 ORDER BY id", self.no)
        return [dict(row) for row in found]

    async def payment(self) -> dict[str, Any]:
        return dict(await self.shop.sql.fetchrow("SELECT * FROM payment WHERE payable = $1 AND applied", self.no))

    async def postings(self) -> list[tuple[str, str, str, int]]:
        query = "SELECT cause, debit, credit, amount_fen FROM posting WHERE payable = $1 ORDER BY id"
        return [tuple(row) for row in await self.shop.sql.fetch(query, self.no)]


async def bought(shop: Shop, *, price_fen: int = 1000, quantity: int = 2, **paid: Any) -> Bought:
    buyer = await shop.buyer("payer")
    (sku,) = await shop.stocked(10, price_fen=price_fen)
    no = await buyer.order({sku: quantity})
    out_trade_no = await buyer.prepay(no)
    shop.world.pay(out_trade_no, **paid)
    assert (await shop.notify()).status_code == 204
    order = (await buyer.get(f"/orders/{no}")).json()
    return Bought(shop, buyer, no, order["lines"][0]["id"], sku, order["totalFen"], out_trade_no)


async def late_money(shop: Shop) -> Bought:
    """Paid after the order was cancelled: the money goes back by itself."""
    buyer = await shop.buyer("late")
    (sku,) = await shop.stocked(5)
    no = await buyer.order({sku: 1})
    out_trade_no = await buyer.prepay(no)
    await buyer.post(f"/orders/{no}/cancel", {})
    shop.world.pay(out_trade_no, raced=True)
    assert (await shop.notify()).status_code == 204
    order = (await buyer.get(f"/orders/{no}")).json()
    return Bought(shop, buyer, no, order["lines"][0]["id"], sku, order["totalFen"], out_trade_no)


async def held_money(shop: Shop, operator: Operator, buyer: Buyer | None = None) -> tuple[Bought, str]:
    """WeChat took another amount than we think we asked, and the shop decides such things; the case's path."""
    await policy(operator, wrongAmount="decide")
    buyer = buyer or await shop.buyer("odd")
    (sku,) = await shop.stocked(5)
    no = await buyer.order({sku: 1})
    out_trade_no = await buyer.prepay(no)
    await shop.sql.execute("UPDATE payment SET amount_fen = 900 WHERE out_trade_no = $1", out_trade_no)
    shop.world.pay(out_trade_no)
    assert (await shop.notify()).status_code == 204
    order = (await buyer.get(f"/orders/{no}")).json()
    (case, *_) = (await operator.get("/payment-exceptions", openOnly="true")).json()["items"]
    held = Bought(shop, buyer, no, order["lines"][0]["id"], sku, order["totalFen"], out_trade_no)
    return held, f"/payment-exceptions/{case['id']}"


async def another(operator: Operator, login: str = "second", role: str = "manager") -> Operator:
    """One more member of the staff."""
    new = {"login": login, "name": login, "password": "a long enough one", "role": role}
    made = await operator.post("/staff", new)
    assert made.status_code == 201, made.text
    answer = await operator.shop.http.post("/admin/v1/sign-in", json={"login": login, "password": "a long enough one"})
    return Operator(operator.shop, answer.json()["accessToken"])


async def policy(operator: Operator, **changed: Any) -> None:
    answer = await operator.shop.http.put(
        "/admin/v1/payment-policy", headers=operator.headers, json={**POLICY, **changed}
    )
    assert answer.status_code == 200, answer.text


async def ask(operator: Operator, no: str, **wish: Any) -> Any:
    """Refund an order; the answer."""
    return await operator.post(f"/orders/{no}/refunds", {"reason": "少发", **wish})


async def heard(shop: Shop, times: int = 1) -> None:
    """The jobs ask WeChat, the refund ends there, and its news arrives."""
    await shop.run_jobs()
    shop.world.skip(seconds=5)
    for _ in range(times):
        assert (await shop.notify()).status_code == 204


async def swept(shop: Shop, **later: float) -> None:
    """Time passes, and the worker does what is due."""
    shop.world.skip(**later)
    await shop.worker.ask_refunds()
    await shop.run_jobs()


def at_wechat(shop: Shop) -> list[dict[str, Any]]:
    return list(shop.world.http.get("/_sandbox/refunds").json()["items"])
