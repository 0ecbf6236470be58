"""What WeChat Pay tells the shop: an order was paid. Sealed and signed by us, with the key the shop was given for its."""

import json
import secrets
import time
from base64 import b64encode
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.data import history
from bench.data.people import APP_ID
from bench.generator import Run
from bench.ground import Ground
from bench.keys import Merchant
from bench.measuring import Row, by_turns
from bench.stage import WORKERS
from dev.trouble import Trouble

CONNECTIONS = 64
_CLIENTS = 8
_FIRST_TRY = 800
"""So many first, to see how many a run of the wanted length needs: each can be sent only once."""


def pay(ground: Ground) -> list[Row]:
    """W7: verify, decrypt, store, settle; then the order is paid. Each notice pays another order."""
    row = Row(
        key="W7",
        what="payment notification",
        target="≥ 40 % of RSA + 2 commits",
        limit="RSA verify, then pgbench, 8 clients",
        wanted=0.4,
    )
    verify_s = ground.stage.merchant.verify_s()
    seconds = min(ground.seconds, 5)
    statements = int(_settle(ground, _FIRST_TRY) * seconds)
    notices = int(notify(ground, _FIRST_TRY).rate * seconds)

    def limit() -> float:
        return 1 / (1 / _settle(ground, statements) + verify_s / WORKERS)

    by_turns([(row, lambda: notify(ground, notices))], limit, ground.runs)
    row.facts |= {"rsa_verify_us": round(verify_s * 1e6, 1), "notices_a_run": notices}
    return [row]


def _settle(ground: Ground, count: int) -> float:
    """Two-commit transactions per second, over `count` open payments made for it."""
    each = -(-count // _CLIENTS)

    async def prepare(connection: Any) -> int:
        await history.awaiting(connection, each * _CLIENTS, ground.size, ground.stage.merchant.mchid)
        last = await connection.fetchval("SELECT max(id) FROM payment WHERE state = 'open'")
        return int(last) - each * _CLIENTS + 1

    first = ground.stage.owner(ground.database, prepare)
    ground.stage.checkpoint()
    return ground.statements("settle.sql", each=each, clients=_CLIENTS, first=first, turn=0)


def notify(ground: Ground, count: int, connections: int = CONNECTIONS) -> Run:
    """Hand over `count` notices of as many open payments made for it. Raises Trouble when one is not taken."""
    write(ground, count, ground.stage.merchant)
    ground.stage.checkpoint()
    run = ground.once("notify.lua", connections=connections, BENCH_KEY_ID=ground.stage.merchant.key_id)
    if run.more["s204"] != count:
        raise Trouble(f"Of {count} notices {run.more['s204']:.0f} were answered 204; see the shop's log.")
    return run


def write(ground: Ground, count: int, merchant: Merchant) -> None:
    """Make `count` orders that await their payment, and a notice for each into `notices.tsv`: good for five minutes."""
    found = ground.stage.owner(
        ground.database, lambda connection: history.awaiting(connection, count, ground.size, merchant.mchid)
    )
    ground.feed.write("notices.tsv", [_letter(merchant, *one) for one in found])


def _letter(merchant: Merchant, out_trade_no: str, fen: int, openid: str) -> tuple[str, str, str, str]:
    """Timestamp, nonce, signature and body of a notice."""
    at = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    trade = {
        "mchid": merchant.mchid,
        "appid": APP_ID,
        "out_trade_no": out_trade_no,
        "transaction_id": f"42000099{secrets.randbelow(10**20):020d}",
        "trade_type": "JSAPI",
        "trade_state": "SUCCESS",
        "trade_state_desc": "支付成功",
        "bank_type": "OTHERS",
        "attach": "",
        "success_time": at,
        "payer": {"openid": openid},
        "amount": {"total": fen, "payer_total": fen, "currency": "CNY", "payer_currency": "CNY"},
    }
    nonce = secrets.token_hex(6)
    sealed = AESGCM(merchant.apiv3_key).encrypt(nonce.encode(), json.dumps(trade).encode(), b"transaction")
    body = json.dumps(
        {
            "id": secrets.token_hex(16),
            "create_time": at,
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
    )
    timestamp, word = str(int(time.time())), secrets.token_hex(16)
    return timestamp, word, merchant.sign(f"{timestamp}\n{word}\n{body}\n".encode()), body
