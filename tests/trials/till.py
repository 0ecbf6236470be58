"""The shop as its clients see it: a buyer's and an operator's HTTP, retried as a real client retries."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

ADDRESS = {
    "name": "韩梅梅",
    "phone": "13900000000",
    "province": "广东省",
    "city": "深圳市",
    "district": "南山区",
    "detail": "科技园二路2号",
}
_TRANSIENT = {409, 429, 503}


OPEN: list[httpx.Client] = []
"""Closed at the end of a module's tests."""


class Client:
    """JSON with a bearer token. `urls` are doors to the same shop; a failing door is left for the next."""

    def __init__(self, *urls: str) -> None:
        self.urls = urls
        self.turn = 0
        self.headers: dict[str, str] = {"accept-language": "en"}
        self.http = httpx.Client(timeout=20, trust_env=False)
        OPEN.append(self.http)

    def get(self, path: str, **params: Any) -> Any:
        return self.until_answered("GET", path, params=params).json()

    def post(self, path: str, body: Any = None, *, key: str | None = None) -> httpx.Response:
        """One try."""
        return self._once("POST", path, body, key or secrets.token_hex(12), None)

    def until_answered(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        params: Any = None,
        patience_s: float = 60,
        on_loss: Callable[[], None] | None = None,
    ) -> httpx.Response:
        """The same wish with the same key, again and again, until it is done or refused for good."""
        key, until = secrets.token_hex(12), time.monotonic() + patience_s
        while True:
            try:
                answer = self._once(method, path, body, key, params)
            except httpx.TransportError:
                answer = None
                if on_loss is not None:
                    on_loss()
            if answer is not None and not (answer.status_code in _TRANSIENT and "retry-after" in answer.headers):
                return answer
            assert time.monotonic() < until, f"{method} {path}: {answer.text if answer is not None else 'no answer'}"
            self.turn += 1
            time.sleep(0.1)

    def _once(self, method: str, path: str, body: Any, key: str, params: Any) -> httpx.Response:
        headers = {**self.headers, "idempotency-key": key}
        url = self.urls[self.turn % len(self.urls)] + path
        if body is None:
            return self.http.request(method, url, headers=headers, params=params)
        return self.http.request(method, url, headers=headers, json=body)


class Buyer(Client):
    def sign_in(self, code: Callable[[], str]) -> "Buyer":
        answer = self.http.post(self.urls[0] + "/api/v1/sign-in", json={"code": code()})
        assert answer.status_code == 200, answer.text
        self.headers["authorization"] = f"Bearer {answer.json()['accessToken']}"
        assert self.post("/api/v1/addresses", ADDRESS).status_code == 201
        return self

    def some_sku(self, at_least: int = 5) -> dict[str, Any]:
        """Something on sale with that many pieces, whatever was ordered just before."""
        time.sleep(1.0)  # stock that is shown may be of a moment ago
        for item in self.get("/api/v1/products", limit=20, inStock="true")["items"]:
            for sku in self.get(f"/api/v1/products/{item['id']}")["skus"]:
                if sku["stock"] >= at_least:
                    return dict(sku)
        raise AssertionError("nothing in stock")

    def wish(self, sku_id: str, quantity: int = 1) -> dict[str, Any]:
        lines = [{"skuId": sku_id, "quantity": quantity}]
        preview = self.until_answered("POST", "/api/v1/checkout/preview", {"lines": lines}).json()
        return {"lines": lines, "expectedPayFen": preview["payFen"]}

    def order(self, sku_id: str, quantity: int = 1) -> dict[str, Any]:
        answer = self.until_answered("POST", "/api/v1/orders", self.wish(sku_id, quantity))
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def seen(self, no: str) -> dict[str, Any]:
        return dict(self.get(f"/api/v1/orders/{no}"))

    def becomes(self, no: str, *states: str, patience_s: float = 30) -> dict[str, Any]:
        return until(f"order {no} becomes {states}", lambda: _fits(self.seen(no), states), patience_s)


def _fits(order: dict[str, Any], states: tuple[str, ...]) -> dict[str, Any] | None:
    return order if order["state"] in states else None


class Operator(Client):
    def sign_in(self, login: str, password: str) -> "Operator":
        answer = self.until_answered("POST", "/admin/v1/sign-in", {"login": login, "password": password})
        assert answer.status_code == 200, answer.text
        self.headers["authorization"] = f"Bearer {answer.json()['accessToken']}"
        return self

    def refund(self, no: str, lines: dict[str, int], **more: Any) -> httpx.Response:
        body = {"reason": "少发", "lines": [{"lineId": i, "quantity": n} for i, n in lines.items()], **more}
        return self.until_answered("POST", f"/admin/v1/orders/{no}/refunds", body)

    def cases(self) -> list[dict[str, Any]]:
        return list(self.get("/admin/v1/payment-exceptions", limit=50)["items"])


def until(what: str, look: Callable[[], Any], patience_s: float = 30) -> Any:
    """Look again and again until something is there."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {patience_s:.0f} s in vain: {what}")


async def until_so(what: str, look: Callable[[], Awaitable[bool]], patience_s: float = 30) -> None:
    """The same for what has to be awaited."""
    end = time.monotonic() + patience_s
    while not await look():
        assert time.monotonic() < end, f"waited {patience_s:.0f} s in vain: {what}"
        await asyncio.sleep(0.01)
