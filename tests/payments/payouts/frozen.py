"""A payment that WeChat froze for sharing, staff who share it, and a merchant who gets shares."""

from typing import Any

from cast import Buyer, Operator, Shop

RULES = {"dailyCapFen": 200_000, "shareOrders": True, "shareAtMostBp": 3000}
MERCHANT = "1600000001"


class Stage:
    """A payment of 100 yuan that is frozen for sharing, and a merchant who may get shares."""

    def __init__(self, shop: Shop, operator: Operator, buyer: Buyer) -> None:
        self.shop, self.operator, self.buyer = shop, operator, buyer
        self.no = self.out_trade_no = self.receiver = self.line = ""

    async def receiver_of(self, account: str, **changed: Any) -> str:
        wish = {"kind": "MERCHANT_ID", "account": account, "relation": "SUPPLIER", "name": "茶农合作社", **changed}
        answer = await self.operator.post("/share-receivers", wish)
        assert answer.status_code == 201, answer.text
        await self.shop.run_jobs()
        return str(answer.json()["id"])

    async def share(self, fen: int, *, receiver: str = "", **changed: Any) -> Any:
        part = {"receiverId": receiver or self.receiver, "amountFen": fen, "description": "货款"}
        wish = {"cause": f"commission:{self.no}", "unfreeze": False, "description": "分账", "parts": [part], **changed}
        return await self.operator.post(f"/payments/{self.out_trade_no}/shares", wish)

    async def shared(self, fen: int, **changed: Any) -> str:
        """A share that WeChat has finished."""
        answer = await self.share(fen, **changed)
        assert answer.status_code == 201, answer.text
        await self.go_on()
        return str(answer.json()["outOrderNo"])

    async def go_on(self, rounds: int = 1) -> None:
        """Jobs, and what WeChat does a little later, and our questions after it."""
        for _ in range(rounds):
            await self.shop.run_jobs()
            self.shop.world.skip(seconds=40)
            await self.shop.worker.pursue_payouts()
            await self.shop.worker.ask_refunds()
        await self.shop.run_jobs()

    async def shares(self) -> list[Any]:
        return list((await self.operator.get(f"/payments/{self.out_trade_no}/shares")).json())

    async def parts(self) -> list[tuple[str, int]]:
        return [(part["state"], part["returnedFen"]) for share in await self.shares() for part in share["parts"]]

    async def refund(self) -> str:
        """Ask for one of two pieces back; the refund's number."""
        answer = await self.operator.refund(self.no, {self.line: 1})
        assert answer.status_code == 201, answer.text
        return str(await self.shop.sql.fetchval("SELECT out_refund_no FROM refund ORDER BY id DESC LIMIT 1"))

    async def refund_state(self) -> str:
        return str(await self.shop.sql.fetchval("SELECT state FROM refund ORDER BY id DESC LIMIT 1"))
