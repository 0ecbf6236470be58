"""The whole shop, step by step: beside orders and money also who is signed in, the cart, the goods and their price."""

from typing import Any, ClassVar

import httpx
from cast import Buyer, Operator, Shop
from machine import Machine, emptied, fine

from payments import policy
from payments.policy import Policy
from shop.admin import sessions

_STAYS_S = 3600
"""After a longer pause somebody may have to sign in again."""


class WholeShop(Machine):
    """One product in a shop with a manager, its buyer, and a stranger who tries the buyer's numbers."""

    of_an_order: ClassVar = Machine.of_an_order | {"close", "whole", "strange"}

    def __init__(self, shop: Shop, buyer: Buyer, stranger: Buyer, operator: Operator) -> None:
        super().__init__(shop, buyer, 0)
        self.stranger, self.operator = stranger, operator
        self.product: dict[str, Any] = {}

    @classmethod
    async def open(cls, shop: Shop) -> "WholeShop":
        """An empty shop, but for one product."""
        await emptied(shop)
        made = cls(shop, await shop.buyer("machine"), await shop.buyer("stranger"), await shop.operator())
        async with shop.db.begin() as session:
            wish, at = Policy(refund_approval_above_fen=1200), shop.world.clock.now()
            await policy.replace(session, wish, by="staff:9", at=at)
        category = (await made.manage("POST", "/categories", {"name": "茶"})).json()["id"]
        body = {
            "title": "龙井",
            "categoryId": category,
            "images": ["/media/a.svg"],
            "skus": [{"code": "A", "priceFen": 1000}],
        }
        made.product = (await made.manage("POST", "/products", body)).json()
        made.sku = int(made.product["skus"][0]["id"])
        await made.do_count(20)
        await made.do_sale(on=True)
        assert made.product["status"] == "on_sale"
        return made

    async def manage(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """The manager, who signs in anew when too much time has passed."""
        while True:
            headers = {**self.operator.headers, "idempotency-key": f"{method}-{self.shop.world.clock.now():%s.%f}"}
            answer = await self.shop.http.request(method, f"/admin/v1{path}", headers=headers, json=body)
            if answer.status_code != 401:
                fine(answer)
                return answer
            staff = await self.shop.sql.fetchval("SELECT min(id) FROM staff")
            async with self.shop.db.begin() as session:
                token = await sessions.open_one(session, staff, self.shop.world.clock.now())
            self.operator.headers["authorization"] = f"Bearer {token}"

    async def do_sign_in(self, _: int) -> None:
        """Out, and in again: the old token is worth nothing, and the orders are there."""
        old = dict(self.buyer.headers)
        assert (await self.buyer.post("/sign-out")).is_success
        assert (await self.shop.http.get("/api/v1/me", headers=old)).status_code == 401
        await self._let_in()

    async def _let_in(self) -> None:
        await self.buyer.sign_in()
        listed = (await self.buyer.get("/orders")).json()["items"]
        assert {order["no"] for order in listed} == set(self.orders)

    async def do_skip(self, seconds: int) -> None:
        await super().do_skip(seconds)
        if seconds > _STAYS_S and (await self.buyer.get("/me")).status_code == 401:
            await self._let_in()

    async def do_place(self, quantity: int) -> None:
        await self._place({"lines": [{"skuId": str(self.sku), "quantity": quantity}]}, pieces=quantity)

    async def do_add(self, quantity: int) -> None:
        fine(await self.buyer.post("/cart/items", {"skuId": str(self.sku), "quantity": quantity}))

    async def do_cart(self, _: int) -> None:
        await self._place({"fromCart": True})

    async def _place(self, wish: dict[str, Any], pieces: int | None = None) -> None:
        """What is on sale and there can be bought, nothing else, and a preview says so before."""
        if len(self.orders) == 3:
            return
        wish = {**wish, "addressId": self.buyer.address_id}
        preview = await self.buyer.post("/checkout/preview", wish)
        seen = preview.json()
        answer = await self.buyer.post("/orders", {**wish, "expectedPayFen": seen.get("payFen", 0)})
        assert (answer.status_code == 201) == (preview.status_code == 200 and seen["payable"]), (seen, answer.text)
        if pieces is not None:
            assert seen["payable"] == await self._buyable(pieces, beside=answer), seen
        fine(answer)
        if answer.status_code == 201:
            self.orders.append(answer.json()["no"])

    async def _buyable(self, pieces: int, beside: httpx.Response) -> bool:
        available = (await self.shop.stock(self.sku))[0] + (pieces if beside.status_code == 201 else 0)
        return self.product["status"] == "on_sale" and available >= pieces

    async def do_stale(self, price_fen: int) -> None:
        """The price changes between preview and order: nobody pays what they did not see."""
        wish = {"lines": [{"skuId": str(self.sku), "quantity": 1}], "addressId": self.buyer.address_id}
        seen = (await self.buyer.post("/checkout/preview", wish)).json()
        before = self.product["skus"][0]["priceFen"]
        await self.do_price(price_fen)
        if seen["payable"] and price_fen != before:
            answer = await self.buyer.post("/orders", {**wish, "expectedPayFen": seen["payFen"]})
            assert (answer.status_code, answer.json()["code"]) == (409, "price_changed"), answer.text

    async def do_price(self, price_fen: int) -> None:
        sku = self.product["skus"][0]
        names = ("title", "categoryId", "images", "version")
        body = {**{name: self.product[name] for name in names}, "skus": [{"id": sku["id"], "code": "A"}]}
        body["skus"][0]["priceFen"] = price_fen
        answer = await self.manage("PUT", f"/products/{self.product['id']}", body)
        assert answer.status_code == 200, answer.text
        self.product = answer.json()

    async def do_sale(self, on: bool) -> None:
        answer = await self.manage("POST", f"/products/{self.product['id']}/{'on' if on else 'off'}-sale")
        if answer.is_success:
            self.product = answer.json()

    async def do_count(self, pieces: int) -> None:
        answer = await self.manage("PUT", f"/stock/{self.sku}", {"available": pieces, "reason": "盘点"})
        assert answer.json()["available"] == pieces, answer.text

    async def do_adjust(self, delta: int) -> None:
        (available, *_) = await self.shop.stock(self.sku)
        answer = await self.manage("POST", f"/stock/{self.sku}/adjust", {"delta": delta, "reason": "盘点"})
        assert answer.is_success == (available + delta >= 0), answer.text

    async def do_close(self, no: str) -> None:
        await self.manage("POST", f"/orders/{no}/close", {"reason": "缺货"})

    async def do_whole(self, no: str) -> None:
        """All of the money that is left."""
        row = await self.shop.sql.fetchrow("SELECT total_fen - refunded_fen AS left_fen FROM orders WHERE no = $1", no)
        if row["left_fen"]:
            await self.manage("POST", f"/orders/{no}/refunds", {"reason": "不要", "amountFen": row["left_fen"]})

    async def do_strange(self, no: str) -> None:
        """Somebody else's number opens nothing."""
        for path, body in (("cancel", {}), ("prepay", None), ("confirm", None), ("payment/refresh", None)):
            answer = await self.stranger.post(f"/orders/{no}/{path}", body)
            assert answer.status_code in {401, 404}, answer.text  # 401: not seen for a month
