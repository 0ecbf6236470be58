"""WeChat changes its certificate while a real server process runs; nobody restarts it and no payment is lost."""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from scene import ADDRESS
from world import ROOT, World

from dev import ports
from dev.postgres import Cluster


class Serving:
    """`python -m shop serve` in a world whose merchant verifies by certificates."""

    def __init__(self, cluster: Cluster, folder: Path, mode: str) -> None:
        self.world = World(folder / "sandbox", "--key-mode", mode)
        port = ports.any_free()
        self.log = folder / "server.log"
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("SHOP_", "WECHAT_", "DATABASE_"))},
            **self.world.env,
            "DATABASE_URL": cluster.app_url(),
            "SHOP_PORT": str(port),
            "SHOP_DATA_DIR": str(folder),
        }
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "shop", "serve", "--workers", "1"]
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False)
        _until("the shop", lambda: self._answers() and "platform certificates" in self.log.read_text())

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return self.http.get("/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def fetched(self) -> int:
        """How often the server took over another set of certificates."""
        return self.log.read_text().count('"event":"platform certificates"')

    def done(self, method: str, path: str, token: str = "", body: Any = None) -> Any:
        headers = {"idempotency-key": secrets.token_hex(8), **({"authorization": f"Bearer {token}"} if token else {})}
        answer = self.http.request(method, f"/api/v1{path}", json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def notices(self, out_trade_no: str) -> list[dict[str, Any]]:
        answer = self.world.http.get("/_sandbox/notifications", params={"subject": out_trade_no})
        return list(answer.json()["items"])

    def stop(self) -> None:
        self.http.close()
        self.process.terminate()
        self.process.wait(20)
        self.world.stop()


def _until(what: str, there: Callable[[], Any], patience_s: float = 30) -> Any:
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        if found := there():
            return found
        time.sleep(0.1)
    raise AssertionError(what)


@pytest.fixture(params=["certificate", "both"])
def serving(request: pytest.FixtureRequest, clean: Cluster, tmp_path: Path) -> Iterator[Serving]:
    made = Serving(clean, tmp_path, request.param)
    yield made
    made.stop()


class Till:
    """Somebody who buys tea."""

    def __init__(self, serving: Serving, sql: Any, sku: str) -> None:
        self.serving, self.sql, self.sku = serving, sql, sku
        code = serving.world.code(f"rotation-{secrets.token_hex(4)}")
        self.token = serving.done("POST", "/sign-in", body={"code": code})["accessToken"]
        self.address_id = serving.done("POST", "/addresses", self.token, ADDRESS)["id"]

    async def ordered(self) -> tuple[str, str]:
        """An order with its payment sheet open: its no and out_trade_no."""
        wish = {"lines": [{"skuId": self.sku, "quantity": 1}], "addressId": self.address_id}
        total = self.serving.done("POST", "/checkout/preview", self.token, wish)["payFen"]
        no = self.serving.done("POST", "/orders", self.token, {**wish, "expectedPayFen": total})["no"]
        self.serving.done("POST", f"/orders/{no}/prepay", self.token)
        return no, str(await self.sql.fetchval("SELECT out_trade_no FROM payment WHERE payable = $1", no))

    def state(self, no: str) -> str:
        return str(self.serving.done("GET", f"/orders/{no}", self.token)["state"])

    def paid(self, no: str) -> None:
        _until(f"{no} paid", lambda: self.state(no) == "paid")


async def test_a_certificate_is_rotated(serving: Serving, sql: Any) -> None:
    till = Till(serving, sql, await _tea(sql))
    first, first_number = await till.ordered()
    serving.world.pay(first_number)
    till.paid(first)
    waiting, waiting_number = await till.ordered()  # its sheet is open while WeChat changes its key
    assert serving.fetched() == 1

    assert len(serving.world.tell("certificates/rotate")["serials"]) == 2
    serving.world.pay(waiting_number)
    attempts = _until("an attempt", lambda: serving.notices(waiting_number)[0]["attempts"])
    assert attempts[0]["status"] == 401, "signed with a certificate that nobody knows yet"
    assert serving.fetched() == 1, "no notification has certificates fetched"

    if "certificate" in serving.world.env["WECHAT_PAY_KEY_MODE"]:
        later, later_number = await till.ordered()  # WeChat's answer names the new certificate: it is learned
        assert serving.fetched() == 2
        serving.world.tell("certificates/retire")
        serving.world.skip(seconds=16)
        till.paid(waiting)
        serving.world.pay(later_number)
        till.paid(later)
    else:
        # Our calls name the public key, so no answer teaches us; notices come signed by either key, and one is enough.
        serving.world.skip(seconds=16)
        till.paid(waiting)
        assert serving.notices(waiting_number)[0]["attempts"][1]["status"] == 204
        assert serving.fetched() == 1
    assert await sql.fetchval("SELECT count(*) FROM payment WHERE applied") == (3 if serving.fetched() == 2 else 2)
    assert await sql.fetchval("SELECT count(*) FROM payment_exception") == 0


async def test_both_kinds_of_signatures_in_one_week(serving: Serving, sql: Any) -> None:
    """Every notice is delivered twice: in the migration week once with the certificate and once with the public key."""
    till = Till(serving, sql, await _tea(sql))
    serving.world.tell("delivery", mode="twice")
    no, number = await till.ordered()
    serving.world.pay(number)
    till.paid(no)
    attempts = _until(
        "two attempts",
        lambda: (
            [a for a in serving.notices(number)[0]["attempts"] if a["status"]][1:]
            and serving.notices(number)[0]["attempts"]
        ),
    )
    assert [attempt["status"] for attempt in attempts] == [204, 204]
    assert await sql.fetchval("SELECT count(*) FROM payment WHERE applied") == 1
    assert await sql.fetchval("SELECT count(*) FROM posting") == 1


async def _tea(sql: Any) -> str:
    """Something on sale, with stock."""
    category = await sql.fetchval(
        "INSERT INTO category (level, name, position, hidden) VALUES (1, '茶', 0, false) RETURNING id"
    )
    product = await sql.fetchval(
        """INSERT INTO product (category_id, title, subtitle, images, detail_images, description, specs, tags, min_price_fen,
               max_price_fen, priority, sold_before, sold, status, version, search_vector, created_at, updated_at)
           VALUES ($1, '龙井', '', '["/media/a.svg"]', '[]', '', '[]', '[]', 1000, 1000, 0, 0, 0, 'on_sale', 1, '', now(), now())
           RETURNING id""",
        category,
    )
    sku = await sql.fetchval(
        """INSERT INTO sku (product_id, position, code, options, price_fen, weight_g, enabled)
           VALUES ($1, 0, $2, '[]', 1000, 250, true) RETURNING id""",
        product,
        secrets.token_hex(4),
    )
    await sql.execute("INSERT INTO stock (sku_id, location_id, available, reserved, sold) VALUES ($1, 1, 9, 0, 0)", sku)
    return str(sku)
