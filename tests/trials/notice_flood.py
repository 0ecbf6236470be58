"""`python tests/trials/notice_flood.py`: genuine notifications through a real server while forged ones come ten to one, a thousand a second.

Prints how long the genuine ones waited, what the database was asked for each, and whether the books are right. That they
are answered in time at all is tried by `test_trials_notice_flood.py`.
"""

import argparse
import asyncio
import json
import os
import re
import secrets
import statistics
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# A script finds only its own folder: the tests' and the project's are added before they are needed.
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

# ruff: noqa: E402
import asyncpg
import httpx
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from flooding import CONNECTIONS, Flood, Letter
from processes import Part, broken, fetch, free_port
from till import ADDRESS, until
from world import World

from dev.postgres import Cluster
from shop import schema, seeding
from shop.settings import read


class WeChat:
    """Signs as the simulated WeChat would: its keys lie in its folder."""

    def __init__(self, world: World) -> None:
        self.env = world.env
        self.key: Any = load_pem_private_key((world.folder / "wechatpay_key.pem").read_bytes(), None)

    def notice(self, out_trade_no: str, total_fen: int) -> tuple[dict[str, str], bytes]:
        trade = {
            "mchid": self.env["WECHAT_PAY_MCH_ID"],
            "appid": self.env["WECHAT_APP_ID"],
            "out_trade_no": out_trade_no,
            "transaction_id": f"4200009999{secrets.randbelow(10**18):018d}",
            "trade_type": "JSAPI",
            "trade_state": "SUCCESS",
            "success_time": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
            "amount": {"total": total_fen, "payer_total": total_fen, "currency": "CNY", "payer_currency": "CNY"},
        }
        nonce = secrets.token_hex(6)
        aead = AESGCM(self.env["WECHAT_PAY_APIV3_KEY"].encode())
        sealed = aead.encrypt(nonce.encode(), json.dumps(trade).encode(), b"transaction")
        body = json.dumps(
            {
                "id": secrets.token_hex(16),
                "create_time": trade["success_time"],
                "resource_type": "encrypt-resource",
                "event_type": "TRANSACTION.SUCCESS",
                "summary": "支付成功",
                "resource": {
                    "original_type": "transaction",
                    "algorithm": "AEAD_AES_256_GCM",
                    "ciphertext": b64encode(sealed).decode(),
                    "associated_data": "transaction",
                    "nonce": nonce,
                },
            }
        ).encode()
        return self.signed(body), body

    def signed(self, body: bytes) -> dict[str, str]:
        timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
        text = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
        return {
            "content-type": "application/json",
            "wechatpay-serial": self.env["WECHAT_PAY_PUBLIC_KEY_ID"],
            "wechatpay-timestamp": timestamp,
            "wechatpay-nonce": nonce,
            "wechatpay-signature": b64encode(self.key.sign(text, PKCS1v15(), SHA256())).decode(),
            "wechatpay-signature-type": "WECHATPAY2-SHA256-RSA2048",
        }


_UNPAID = 15
"""Orders of one buyer: the shop lets nobody have more than twenty unpaid."""


def forged(headers: dict[str, str], number: int) -> dict[str, str]:
    """A stranger's: half with a serial that nobody knows, half with the right one and a signature that does not fit."""
    if number % 2:
        return {**headers, "wechatpay-serial": secrets.token_hex(20).upper()}
    return {**headers, "wechatpay-signature": b64encode(secrets.token_bytes(256)).decode()}


async def sell(http: httpx.AsyncClient, world: World, orders: int) -> None:
    """So many unpaid orders with an open payment sheet."""
    gate = asyncio.Semaphore(8)
    products = (await http.get("/api/v1/products")).json()["items"]
    product = (await http.get(f"/api/v1/products/{products[0]['id']}")).json()
    sku = product["skus"][0]["id"]
    buyers = [await _buyer(http, world) for _ in range(orders // _UNPAID + 1)]

    async def one(number: int) -> None:
        async with gate:
            token, address_id = buyers[number % len(buyers)]
            headers = {"authorization": f"Bearer {token}", "idempotency-key": secrets.token_hex(12)}
            wish = {"lines": [{"skuId": sku, "quantity": 1}], "addressId": address_id}
            preview = await http.post("/api/v1/checkout/preview", json=wish, headers=headers)
            wish["expectedPayFen"] = preview.json()["payFen"]
            placed = await http.post("/api/v1/orders", json=wish, headers=headers)
            assert placed.status_code == 201, placed.text
            headers["idempotency-key"] = secrets.token_hex(12)
            opened = await http.post(f"/api/v1/orders/{placed.json()['no']}/prepay", headers=headers)
            assert opened.status_code == 200, opened.text

    await asyncio.gather(*(one(number) for number in range(orders)))


async def _buyer(http: httpx.AsyncClient, world: World) -> tuple[str, str]:
    code = world.code(f"flood-{secrets.token_hex(4)}")
    token = (await http.post("/api/v1/sign-in", json={"code": code})).json()["accessToken"]
    answer = await http.post("/api/v1/addresses", json=ADDRESS, headers={"authorization": f"Bearer {token}"})
    return token, answer.json()["id"]


def said(log: str) -> list[str]:
    """The statements of a log, in order, without those that only open and close a transaction."""
    found = re.findall(r"LOG:\s+(?:statement|execute [^:]*): (.*?)(?=\n\S*\d+\|LOG|\Z)", log, re.DOTALL)
    return [" ".join(statement.split()) for statement in found]


def per_notice(cluster: Cluster, url: str, letters: list[Letter]) -> None:
    """What the database hears of ten notices, one after the other."""
    asyncio.run(_tell(cluster, "ALTER SYSTEM SET log_statement = 'all'"))
    time.sleep(0.5)
    begins = cluster.log.stat().st_size
    for _, headers, body in letters:
        httpx.post(f"{url}/wechat/pay/notify", content=body, headers=headers, trust_env=False)
    time.sleep(0.5)
    with cluster.log.open("rb") as log:
        log.seek(begins)
        statements = said(log.read().decode())
    print(f"  {len(statements) / len(letters):.1f} statements for each notice, BEGIN and COMMIT included; of the last:")
    for statement in statements[-(len(statements) // len(letters)) :]:
        print(f"      {statement[:110]}")


async def _tell(cluster: Cluster, statement: str) -> None:
    connection = await asyncpg.connect(cluster.superuser_url())
    await connection.execute(statement)
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()


def summary(what: str, seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100)
    return f"  {what}: {len(seconds)}, p50 {cuts[49] * 1000:.0f} ms, p99 {cuts[98] * 1000:.0f} ms, longest {max(seconds) * 1000:.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notices", type=int, default=2000)
    parser.add_argument("--forged", type=int, default=10, help="forged ones for each genuine one")
    parser.add_argument("--per-second", type=int, default=1000, help="forged ones; genuine ones if there are no others")
    parser.add_argument("--workers", type=int, default=1, help="processes of the server")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="notice-flood-") as name:
        folder = Path(name)
        settings = {"log_line_prefix": "%p|"}
        with Cluster(folder / "pg", settings=settings, log=folder / "postgres.log") as cluster:
            run(options, folder, cluster)


@contextmanager
def opened(folder: Path, cluster: Cluster, workers: int) -> Iterator[tuple[str, World]]:
    """A shop with stock for any flood, served by so many processes: its address, and WeChat."""
    asyncio.run(schema.migrate(cluster.owner_url(), "shop_app"))
    world = World(folder / "sandbox")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {
        **world.env,
        "DATABASE_URL": cluster.app_url(),
        "DATABASE_OWNER_URL": cluster.owner_url(),
        "SHOP_PORT": str(port),
        "SHOP_DATA_DIR": str(folder),
    }
    asyncio.run(seeding.run(read({**os.environ, **environment}), products=3))
    fetch(cluster.owner_url(), "UPDATE stock SET available = available + 1000000")
    fetch(
        cluster.owner_url(),
        "INSERT INTO stock_move (sku_id, location_id, delta_available, delta_reserved, delta_sold, reason, ref, actor, at)"
        " SELECT sku_id, location_id, 1000000, 0, 0, 'initial', '', 'flood', now() FROM stock",
    )
    server = Part(["-m", "shop", "serve", "--workers", str(workers)], environment, folder / "server.log")
    try:
        until("the shop", lambda: _ready(url), 60)
        yield url, world
    finally:
        server.stop()
        world.stop()


def run(options: argparse.Namespace, folder: Path, cluster: Cluster) -> None:
    with opened(folder, cluster, options.workers) as (url, world):
        asyncio.run(prepare(url, world, options.notices + 10))
        letters = write(WeChat(world), cluster, options.forged)
        shown, rest = letters[:10], letters[10:]
        flood = asyncio.run(Flood(url, options.per_second).run(rest))
        print(f"{len(rest)} notices over {CONNECTIONS} connections in {flood.lasted_s:.0f} s")
        print(summary("genuine", flood.took[True]))
        if flood.took[False]:
            print(summary("forged", flood.took[False]))
        per_notice(cluster, url, shown)
        paid = fetch(cluster.owner_url(), "SELECT count(*) AS n FROM orders WHERE state = 'paid'")[0]["n"]
        print(f"  {paid} orders paid; broken invariants: {broken(cluster.owner_url()) or 'none'}")


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


async def prepare(url: str, world: World, orders: int) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:
        began = time.monotonic()
        await sell(http, world, orders)
        print(f"{orders} orders wait for their money ({time.monotonic() - began:.0f} s)", flush=True)


def write(wechat: WeChat, cluster: Cluster, each: int) -> list[Letter]:
    """One genuine notice for each payment, ten of them apart, then the rest with `each` forged ones beside it."""
    rows = fetch(cluster.owner_url(), "SELECT out_trade_no, amount_fen FROM payment WHERE state = 'open'")
    letters = [(True, *wechat.notice(row["out_trade_no"], row["amount_fen"])) for row in rows]
    strangers = [(False, forged(headers, number), body) for _, headers, body in letters[10:] for number in range(each)]
    return letters + strangers


if __name__ == "__main__":
    main()
