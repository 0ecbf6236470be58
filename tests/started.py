"""A shop that really runs: its own Postgres, simulated WeChat and server process, and a scene with one of everything."""

import asyncio
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self, TypeVar

import asyncpg
import httpx
from cast import ROOT, World

from dev import ports
from dev.postgres import Cluster
from kit.clock import SystemClock
from kit.database import Database
from shop import schema
from shop.admin import sessions, staff
from shop.admin.roles import Role
from shop.members import sessions as members
from shop.shipping import templates

T = TypeVar("T")
ADDRESS = {
    "name": "张三",
    "phone": "13800000000",
    "province": "广东省",
    "city": "深圳市",
    "district": "南山区",
    "detail": "科技园一路1号",
}


class Started:
    """`http` speaks to it; `log` is where it writes."""

    def __init__(self, folder: Path, *, log_level: str = "warning") -> None:
        self.log = folder / "server.log"
        self.database_log = folder / "postgres.log"
        self.cluster = Cluster(folder / "pg", settings={"fsync": "off"}, log=self.database_log)
        self.cluster.start()
        asyncio.run(schema.migrate(self.cluster.owner_url(), "shop_app"))
        self.world = World(folder / "sandbox")
        self.port = ports.any_free()
        self.url = f"http://127.0.0.1:{self.port}"
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SHOP_", "WECHAT_"))},
            **self.world.env,
            "DATABASE_URL": self.cluster.app_url(),
            "SHOP_PORT": str(self.port),
            "SHOP_DATA_DIR": str(folder),
            "LOG_LEVEL": log_level,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}",
        }
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "debug_server"]
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        self.http = httpx.Client(base_url=self.url, timeout=20, trust_env=False)
        self._await()

    def _await(self) -> None:
        until = time.monotonic() + 30
        while time.monotonic() < until:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if self.http.get("/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the shop does not answer")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self.http.close()
        self.process.terminate()
        self.process.wait(20)
        self.world.stop()
        self.cluster.stop()

    def ask(self, method: str, path: str, token: str = "", body: Any = None, **headers: str) -> httpx.Response:
        """One request; a key of its own where one is needed."""
        headers = {"idempotency-key": secrets.token_hex(8), **headers}
        if token:
            headers["authorization"] = f"Bearer {token}"
        return self.http.request(method, path, json=body, headers=headers)

    def done(self, method: str, path: str, token: str, body: Any = None) -> Any:
        """The answer of a request that must succeed."""
        answer = self.ask(method, path, token, body)
        assert answer.is_success, (path, answer.text)
        return answer.json() if answer.content else None

    def member(self, user: str) -> str:
        """Signs in by `wx.login`; the token."""
        body = {"code": self.world.code(user)}
        return str(self.done("POST", "/api/v1/sign-in", "", body)["accessToken"])

    def sql(self, statement: str, *values: Any) -> list[Any]:
        """By the owner's role."""

        async def run() -> list[Any]:
            connection = await asyncpg.connect(self.cluster.owner_url())
            try:
                return list(await connection.fetch(statement, *values))
            finally:
                await connection.close()

        return asyncio.run(run())

    def verb(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Something done straight in the database, in a transaction of its own."""

        async def run() -> T:
            db = Database(self.cluster.app_url(), pool_size=1, name="test")
            try:
                async with db.begin() as session:
                    return await work(session)
            finally:
                await db.close()

        return asyncio.run(run())

    def operator(self, role: Role, password_hash: str = "none") -> tuple[str, str]:
        """A new member of staff: id, and the token of a session of theirs."""
        now = SystemClock().now()

        async def work(session: Any) -> tuple[str, str]:
            login = f"op{secrets.token_hex(6)}"
            who = await staff.add(
                session, login=login, name="Op", password_hash=password_hash, role=role, by="test", now=now
            )
            return str(who.id), await sessions.open_one(session, who.id, now)

        return self.verb(work)


class Scene:
    """One of everything, so that requests may name what is there."""

    def __init__(self, shop: Started) -> None:
        self.shop = shop
        self.staff_id, self.manager = shop.operator(Role.MANAGER)
        self.spare_id, self.spare = shop.operator(Role.MANAGER)
        _, self.clerk = shop.operator(Role.CLERK)
        self.user = f"alice-{shop.port}"
        self.token = shop.member(self.user)
        self.member_id = shop.done("GET", "/api/v1/me", self.token)["id"]
        self.address_id = shop.done("POST", "/api/v1/addresses", self.token, ADDRESS)["id"]
        self.category_id, self.product_id, self.sku_id = self._goods()
        shop.verb(templates.ensure_default)
        self.template_id = str(shop.sql("SELECT id FROM freight_template ORDER BY id LIMIT 1")[0]["id"])
        self.paid_no, self.line_id = self._order()
        self._pay(self.paid_no)
        self.no, _ = self._order()
        self.case_id = self._case()
        shop.done("POST", "/api/v1/cart/items", self.token, {"skuId": self.sku_id, "quantity": 1})

    def _goods(self) -> tuple[str, str, str]:
        ask = self.shop.done
        category = ask("POST", "/admin/v1/categories", self.manager, {"name": "茶"})["id"]
        sku = {"code": secrets.token_hex(4), "priceFen": 1000}
        body = {"title": "龙井", "categoryId": category, "skus": [sku], "images": ["/media/a.svg"]}
        product = ask("POST", "/admin/v1/products", self.manager, body)
        sku_id = product["skus"][0]["id"]
        ask("POST", f"/admin/v1/stock/{sku_id}/adjust", self.manager, {"delta": 100_000, "reason": "initial"})
        ask("POST", f"/admin/v1/products/{product['id']}/on-sale", self.manager)
        return category, product["id"], sku_id

    def wish(self, quantity: int = 2) -> dict[str, Any]:
        return {"lines": [{"skuId": self.sku_id, "quantity": quantity}], "addressId": self.address_id}

    def _order(self) -> tuple[str, str]:
        preview = self.shop.done("POST", "/api/v1/checkout/preview", self.token, self.wish())
        body = {**self.wish(), "expectedPayFen": preview["payFen"]}
        order = self.shop.done("POST", "/api/v1/orders", self.token, body)
        return order["no"], order["lines"][0]["id"]

    def _pay(self, no: str) -> None:
        self.shop.done("POST", f"/api/v1/orders/{no}/prepay", self.token)
        out_trade_no = self.shop.sql("SELECT out_trade_no FROM payment WHERE payable = $1", no)[0]["out_trade_no"]
        self.shop.world.pay(out_trade_no)
        self.shop.done("POST", f"/api/v1/orders/{no}/payment/refresh", self.token)

    def _case(self) -> str:
        statement = "INSERT INTO payment_exception (kind, reference, facts, created_at) VALUES ($1, $2, '{}', now())"
        return str(self.shop.sql(f"{statement} RETURNING id", "strange_notice", secrets.token_hex(8))[0]["id"])

    def ids(self, name: str) -> list[str]:
        """What a path may name."""
        known = {
            "no": [self.no, self.paid_no],
            "address_id": [self.address_id],
            "product_id": [self.product_id],
            "sku_id": [self.sku_id],
            "category_id": [self.category_id],
            "template_id": [self.template_id],
            "staff_id": [self.spare_id],
            "member_id": [self.member_id],
            "case_id": [self.case_id],
            "job_id": ["1"],
        }
        return known[name]

    def mend(self) -> None:
        """Let the people of the scene in again, after whatever was done to them."""
        self.shop.sql("UPDATE member SET status = 'active'")
        self.shop.sql("UPDATE staff SET disabled = false, role = 'manager' WHERE id = $1", int(self.staff_id))
        identity = self.shop.sql("SELECT id FROM identity WHERE member_id = $1", int(self.member_id))[0]["id"]
        who, now = int(self.member_id), SystemClock().now()

        async def work(session: Any) -> tuple[str, str]:
            token = await members.open_one(session, member_id=who, identity_id=identity, now=now)
            return token, await sessions.open_one(session, int(self.staff_id), now)

        self.token, self.manager = self.shop.verb(work)
