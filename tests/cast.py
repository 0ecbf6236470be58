"""The cast of the tests: a shop in this process with its buyers and operators."""

import asyncio
import itertools
import json
import os
import secrets
from typing import Any

import httpx
from world import Letter, Mailbox, World

from catalog import stock
from kit.database import Database
from shop import invariants
from shop.admin import staff
from shop.worker import Worker

_numbers = itertools.count(1)


class Buyer:
    """A member with a token and an address."""

    def __init__(self, shop: "Shop", name: str) -> None:
        self.shop = shop
        self.name = name
        self.headers: dict[str, str] = {}
        self.address_id = ""

    async def sign_in(self) -> None:
        """By `wx.login`; once more when the clock was turned forward by more than a session lives."""
        answer = await self.shop.http.post("/api/v1/sign-in", json={"code": self.shop.world.code(self.name)})
        assert answer.status_code == 200, answer.text
        self.headers = {"authorization": f"Bearer {answer.json()['accessToken']}"}

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.shop.http.get(f"/api/v1{path}", headers=self.headers, params=params)

    async def post(self, path: str, body: Any = None, *, key: str | None = None) -> httpx.Response:
        headers = {**self.headers, "idempotency-key": key or secrets.token_hex(8)}
        if body is None:
            return await self.shop.http.post(f"/api/v1{path}", headers=headers)
        return await self.shop.http.post(f"/api/v1{path}", headers=headers, json=body)

    async def place(
        self, lines: dict[int, int], *, expected: int | None = None, key: str | None = None
    ) -> httpx.Response:
        wish = {
            "lines": [{"skuId": str(sku), "quantity": quantity} for sku, quantity in lines.items()],
            "addressId": self.address_id,
        }
        if expected is None:
            expected = (await self.post("/checkout/preview", wish)).json()["payFen"]
        return await self.post("/orders", {**wish, "expectedPayFen": expected}, key=key)

    async def order(self, lines: dict[int, int]) -> str:
        """Place it; the order's no."""
        answer = await self.place(lines)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["no"])

    async def prepay(self, no: str) -> str:
        """Open the payment sheet; the attempt's out_trade_no."""
        answer = await self.post(f"/orders/{no}/prepay")
        assert answer.status_code == 200, answer.text
        return str(
            await self.shop.sql.fetchval(
                "SELECT out_trade_no FROM payment WHERE payable = $1 ORDER BY id DESC LIMIT 1", no
            )
        )

    async def state(self, no: str) -> str:
        return str((await self.get(f"/orders/{no}")).json()["state"])


class Operator:
    """A member of the staff with a token."""

    def __init__(self, shop: "Shop", token: str, password: str = "") -> None:
        self.shop = shop
        self.headers = {"authorization": f"Bearer {token}"}
        self._password = password

    async def begin_a_shift(self) -> None:
        """Sign in once more: a session of the staff is over after twelve hours, and shops' clocks are turned forward."""
        answer = await self.shop.http.post("/admin/v1/sign-in", json={"login": "admin", "password": self._password})
        assert answer.status_code == 200, answer.text
        self.headers = {"authorization": f"Bearer {answer.json()['accessToken']}"}

    async def get(self, path: str, **params: Any) -> httpx.Response:
        return await self.shop.http.get(f"/admin/v1{path}", headers=self.headers, params=params)

    async def post(self, path: str, body: Any = None, *, key: str | None = None) -> httpx.Response:
        headers = {**self.headers, "idempotency-key": key or secrets.token_hex(8)}
        return await self.shop.http.post(f"/admin/v1{path}", headers=headers, json=body)

    async def refund(self, no: str, lines: dict[str, int], *, key: str | None = None, **more: Any) -> httpx.Response:
        """Refund pieces of lines, by the line's id."""
        wish = {"reason": "少发", "lines": [{"lineId": k, "quantity": n} for k, n in lines.items()], **more}
        return await self.post(f"/orders/{no}/refunds", wish, key=key)


class Shop:
    """The shop over ASGI, its database, its worker, and WeChat around it."""

    database_url = ""
    """Where that database is, for processes of their own."""

    def __init__(
        self, http: httpx.AsyncClient, db: Database, sql: Any, worker: Worker, world: World, mailbox: Mailbox
    ) -> None:
        self.http = http
        self.db = db
        self.sql = sql
        self.worker = worker
        self.world = world
        self.mailbox = mailbox

    async def buyer(self, name: str) -> Buyer:
        """Signs in by `wx.login`, and has an address."""
        buyer = Buyer(self, f"{name}-{next(_numbers)}-{os.getpid()}")
        await buyer.sign_in()
        address = {
            "name": "张三",
            "phone": "13800000000",
            "province": "广东省",
            "city": "深圳市",
            "district": "南山区",
            "detail": "科技园一路1号",
        }
        buyer.address_id = (await buyer.post("/addresses", address)).json()["id"]
        return buyer

    async def stocked(self, *pieces: int, price_fen: int = 1000) -> list[int]:
        """SKUs of one product on sale, with so many pieces each; their ids."""
        at = self.world.clock.now()
        category = await self.sql.fetchval(
            "INSERT INTO category (level, name, position, hidden) VALUES (1, '茶', 0, false) RETURNING id"
        )
        product = await self.sql.fetchval(
            """
            INSERT INTO product (category_id, title, subtitle, images, detail_images, description, specs, tags,
                min_price_fen, max_price_fen, priority, sold_before, sold, status, version, search_vector,
                created_at, updated_at)
            VALUES ($1, '明前龙井', '', '["/media/a.svg"]', '[]', '', '[]', '[]', $2, $2, 0, 0, 0, 'on_sale', 1, '',
                    now(), now())
            RETURNING id
            """,
            category,
            price_fen,
        )
        skus = [
            await self.sql.fetchval(
                """
                INSERT INTO sku (product_id, position, code, options, price_fen, weight_g, enabled)
                VALUES ($1, $2, $3, $4, $5, 250, true) RETURNING id
                """,
                product,
                place,
                f"T-{product}-{place}",
                json.dumps([{"specId": "1", "valueId": str(place), "name": f"罐{place}"}]),
                price_fen,
            )
            for place in range(len(pieces))
        ]
        async with self.db.begin() as session:
            wants = [stock.Want(sku, n) for sku, n in zip(skus, pieces, strict=True) if n]
            await stock.receive(session, wants, reason="initial", ref="", actor="test", at=at)
            await stock.open_rows(session, skus)
        return skus

    async def operator(self) -> "Operator":
        """The manager of a shop that had nobody yet."""
        async with self.db.begin() as session:
            password = await staff.ensure_operator(session, self.world.clock.now())
        made = Operator(self, "", password or "")
        await made.begin_a_shift()
        return made

    async def certified(self) -> None:
        """Wait until it has the platform certificates, which it downloads when it starts; then it asks for none."""
        async with asyncio.timeout(20):
            while not self.worker.gateway.keyring.certificates:
                await asyncio.sleep(0.01)

    async def notify(self, letter: Letter | None = None, **changed: str) -> httpx.Response:
        """Deliver a notification to the shop, some of its headers changed."""
        letter = letter or self.mailbox.take()
        headers = {**{name.lower(): value for name, value in letter.headers.items()}, **changed}
        for name in ("host", "content-length", "connection", "accept-encoding"):
            headers.pop(name, None)
        kept = {name: value.encode() for name, value in headers.items() if value}
        return await self.http.post("/wechat/pay/notify", content=letter.body, headers=kept)

    async def paid_order(self, buyer: Buyer, lines: dict[int, int]) -> str:
        """An order, paid and heard of."""
        no = await buyer.order(lines)
        self.world.pay(await buyer.prepay(no))
        answer = await self.notify()
        assert answer.status_code == 204, answer.text
        return no

    async def run_jobs(self) -> None:
        """Do what the queue holds, as the worker would, once each."""
        rows = await self.sql.fetch("DELETE FROM pgqueuer WHERE status = 'queued' RETURNING entrypoint, payload")
        for row in rows:
            await self.worker.handlers()[row["entrypoint"]](row["payload"].decode())

    async def stock(self, sku: int) -> tuple[int, int, int]:
        """available, reserved, sold."""
        row = await self.sql.fetchrow("SELECT available, reserved, sold FROM stock WHERE sku_id = $1", sku)
        return tuple(row)

    async def broken(self) -> dict[str, list[str]]:
        """The invariants that do not hold; empty when all do."""
        return await invariants.broken(self.sql)
