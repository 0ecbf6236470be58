"""The shop in this process, its WeChat Pay the peer, and one call that goes astray: for each verb that asks WeChat."""

import secrets
from contextlib import suppress
from dataclasses import replace

import httpx
from cast import Buyer, Operator, Shop
from peer import Fault, Peer

from payments import refunds
from payments.wechatpay.gateway import Refused, Unknown

_TRIES = 4


class Astray:
    """Each verb makes its own order, lets the call fail, asserts that nothing was believed, and goes on to the right end."""

    def __init__(self, shop: Shop, peer: Peer, buyer: Buyer, operator: Operator, sku: int) -> None:
        self.shop, self.peer, self.buyer, self.operator, self.sku = shop, peer, buyer, operator, sku

    async def create(self, fault: Fault) -> None:
        no, key = await self.buyer.order({self.sku: 1}), secrets.token_hex(8)
        self._fail(fault, "POST", "/jsapi$")
        unknown(await self.buyer.post(f"/orders/{no}/prepay", key=key))
        answer = await self._until_done(f"/orders/{no}/prepay", key)
        numbers = [number for number, order in self.peer.orders.items() if order["asked"]["description"].endswith(no)]
        (number,) = [number for number in numbers if self.peer.orders[number]["state"] != "CLOSED"]
        assert answer.json()["package"] == f"prepay_id={self.peer.orders[number]['prepay_id']}"
        refused = fault.effect in {"frequency_limited", "html_404"}  # then it is closed before another one is tried
        assert refused or len(numbers) == 1, "issued again under a new number"
        await self._until_done(f"/orders/{no}/cancel", secrets.token_hex(8), {})

    async def ask(self, fault: Fault) -> None:
        no, number = await self._open()
        for paid in (False, True):
            if paid:
                self.peer.pay(number)
            self._fail(fault, "GET", number)
            await self._refresh(no)
            assert await self.buyer.state(no) == "unpaid", "an answer that is none was believed"
        await self._refresh(no)
        assert await self.buyer.state(no) == "paid"

    async def close(self, fault: Fault) -> None:
        no, number = await self._open()
        key = secrets.token_hex(8)
        self._fail(fault, "POST", f"{number}/close$")
        self._fail(fault, "GET", number)
        unknown(await self.buyer.post(f"/orders/{no}/cancel", {}, key=key))
        assert await self.buyer.state(no) == "closing", "an answer that is none was believed"
        await self._until_done(f"/orders/{no}/cancel", key, {})
        assert (await self.buyer.state(no), self.peer.orders[number]["state"]) == ("cancelled", "CLOSED")

    async def refund(self, fault: Fault) -> None:
        no, number, out_refund_no = await self._promised()
        self._fail(fault, "POST", "/refunds$")
        states = []
        for _ in range(_TRIES):
            with suppress(Unknown, Refused):
                await self.shop.worker.submit_refund(out_refund_no)
            states.append(await self._refund_state(out_refund_no))
            self.shop.world.skip(seconds=61)
        assert set(states) <= {"requested", "processing"}, states
        assert states[-1] == "processing", states
        assert [r["out_refund_no"] for r in self.peer.refunds.values() if r["out_trade_no"] == number] == [
            out_refund_no
        ]
        await self._finish(out_refund_no)
        assert await self.buyer.state(no) == "refunded"

    async def ask_refund(self, fault: Fault) -> None:
        no, _number, out_refund_no = await self._promised()
        await self.shop.worker.submit_refund(out_refund_no)
        self._fail(fault, "GET", out_refund_no)
        self.peer.finish_refund(out_refund_no)
        await self._ask_refund(out_refund_no)
        assert await self._refund_state(out_refund_no) == "processing", "an answer that is none was believed"
        await self._finish(out_refund_no)
        assert await self.buyer.state(no) == "refunded"

    def _fail(self, fault: Fault, method: str, path: str) -> None:
        self.peer.faults.append(replace(fault, method=method, path=path))

    async def _open(self) -> tuple[str, str]:
        no = await self.buyer.order({self.sku: 1})
        return no, await self.buyer.prepay(no)

    async def _promised(self) -> tuple[str, str, str]:
        no, number = await self._open()
        self.peer.pay(number)
        await self._refresh(no)
        (line,) = (await self.buyer.get(f"/orders/{no}")).json()["lines"]
        answer = await self.operator.refund(no, {line["id"]: 1})
        assert answer.status_code == 201, answer.text
        query = "SELECT out_refund_no FROM refund WHERE payable = $1"
        return no, number, str(await self.shop.sql.fetchval(query, no))

    async def _finish(self, out_refund_no: str) -> None:
        self.peer.finish_refund(out_refund_no)
        await self._ask_refund(out_refund_no)
        assert await self._refund_state(out_refund_no) == "succeeded"

    async def _ask_refund(self, out_refund_no: str) -> None:
        worker = self.shop.worker
        await refunds.ask(worker.db, worker.gateway, worker.payee, worker.clock, out_refund_no)

    async def _refund_state(self, out_refund_no: str) -> str:
        query = "SELECT state FROM refund WHERE out_refund_no = $1"
        return str(await self.shop.sql.fetchval(query, out_refund_no))

    async def _refresh(self, no: str) -> None:
        answer = await self.buyer.post(f"/orders/{no}/payment/refresh")
        if answer.status_code != 200:
            unknown(answer)

    async def _until_done(self, path: str, key: str, body: object = None) -> httpx.Response:
        for _ in range(_TRIES):
            answer = await self.buyer.post(path, body, key=key)
            if answer.status_code == 200:
                return answer
            unknown(answer)
        raise AssertionError(answer.text)


def unknown(answer: httpx.Response) -> None:
    """Told as what may have happened, and when to ask again."""
    assert answer.status_code == 503, answer.text
    assert "retry-after" in answer.headers
