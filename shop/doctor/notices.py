"""Is the notify URL what WeChat Pay needs? A stranger must be refused there, and an echo must arrive and be stored."""

import asyncio
import secrets
import time
from typing import Any

import httpx
import msgspec

from kit.http import outside_client
from payments.wechatpay.keyring import CannotOpen, Keyring
from payments.wechatpay.notification import Envelope
from shop.doctor.findings import Finding, ok, warning, wrong
from shop.doctor.wire import Unreached, Wire

_ABOUT = "notify URL"
_APIV3 = "APIv3 key"
_SLOW_S = 3.0
"""WeChat Pay gives up after five seconds, and calls three risky."""
_LOOK_AGAIN_S = 0.25
_ECHOES = "SELECT id, body, handled_at, last_error FROM notice WHERE event_type = 'SECURITY_ECHO.SUCCESS'"


async def look(url: str, *, timeout_s: float = 8.0) -> Finding:
    """What a stranger is told there: it must be 401, said by the shop."""
    client = outside_client(timeout_s=timeout_s)
    began = time.monotonic()
    try:
        answer = await client.post(url, content=b"{}", headers={"content-type": "application/json"})
    except httpx.ConnectError:
        todo = "Start the shop, and see that SHOP_PUBLIC_URL leads to it (DNS, certificate, proxy, firewall)."
        return wrong(_ABOUT, f"nobody answers at {url}", todo)
    except httpx.TransportError as error:
        return wrong(_ABOUT, f"{url}: {type(error).__name__}", "See the proxy's log: the shop must answer within 5 s.")
    finally:
        await client.aclose()
    return _judged(url, answer, time.monotonic() - began)


def _judged(url: str, answer: httpx.Response, took_s: float) -> Finding:
    status = answer.status_code
    if status == 401 and b'"FAIL"' in answer.content:
        if took_s > _SLOW_S:
            todo = "WeChat Pay gives up after 5 s: see the proxy, the load and the database."
            return warning(_ABOUT, f"it refuses a stranger, but takes {took_s:.1f} s", todo)
        return ok(_ABOUT, f"{url} refuses a stranger in {took_s * 1000:.0f} ms")
    if 300 <= status < 400:
        todo = "WeChat Pay follows no redirect: set SHOP_PUBLIC_URL to the final address (https, right host)."
        return wrong(_ABOUT, f"{url} redirects ({status})", todo)
    if 200 <= status < 300:
        todo = "Something else answers there, and would answer real payments with it: lead this path to the shop."
        return wrong(_ABOUT, f"{url} says {status} to a notice that is not genuine", todo)
    if status == 401:
        todo = "Take away what asks for a password or token on this path: the shop itself checks the signature."
        return wrong(_ABOUT, f"{url} says 401, and not in the shop's words", todo)
    todo = "Let the proxy pass POST to this path on, unchanged, with all headers that begin with wechatpay-."
    return wrong(_ABOUT, f"{url} says {status} to an unsigned notice; 401 is right", todo)


async def echo(wire: Wire, keyring: Keyring, serial: str, url: str, connection: Any, *, wait_s: float) -> list[Finding]:
    """Have WeChat Pay send a notice that means nothing, and find it among those that the shop stored.

    `connection` is asyncpg's to the shop's database, or `None` when it cannot be had.
    """
    about, message = "notices", f"shop doctor {secrets.token_hex(8)}"
    body = {"echo_message": message, "notify_url": url}
    before = set() if connection is None else {row["id"] for row in await connection.fetch(_ECHOES)}
    try:
        answer = await wire.ask("POST", "/v3/security/echo", body, serial=serial)
    except Unreached as error:
        return [wrong(about, f"no answer to the echo: {error}", "Look again; if it stays, see the way to WeChat Pay.")]
    if answer.status in {404, 405}:
        return [warning(about, "this gateway has no echo call", "Only a purchase shows whether notices arrive.")]
    if answer.status != 200:
        return [
            wrong(about, answer.refusal, "WeChat Pay takes the notify URL only with https, public and without a query.")
        ]
    if connection is None:
        return [
            warning(about, "an echo was sent; without the database nobody sees whether it came", "Mend the database.")
        ]
    return await _await_echo(keyring, message, before, connection, wait_s)


async def _await_echo(
    keyring: Keyring, message: str, before: set[str], connection: Any, wait_s: float
) -> list[Finding]:
    began = time.monotonic()
    while time.monotonic() - began < wait_s:
        for row in await connection.fetch(_ECHOES):
            found = [] if row["id"] in before else _read(keyring, row, message)
            if found:
                return found
        await asyncio.sleep(_LOOK_AGAIN_S)
    todo = (
        "See that the shop serves with these settings (it refuses what its keys do not know), that the way from the"
        " internet to SHOP_PUBLIC_URL is open, and what the merchant platform says of failed notices."
    )
    return [wrong("notices", f"the echo did not arrive within {wait_s:.0f} s", todo)]


def _read(keyring: Keyring, row: Any, message: str) -> list[Finding]:
    """What a new echo tells: ours, or one that does not open. Nothing while the shop is still at it."""
    shut = row["last_error"] == "ApiV3KeyWrong"
    if row["handled_at"] is None and not shut:
        return []
    try:
        told = msgspec.json.decode(keyring.open(msgspec.json.decode(row["body"], type=Envelope).resource))
    except CannotOpen:
        todo = (
            "Set WECHAT_PAY_APIV3_KEY to the key of this merchant, restart the shop: stored notices are then handled."
        )
        who = "nor by the running shop" if shut else "though the running shop does open it"
        return [wrong(_APIV3, f"WeChat Pay's echo came, and does not open with it, {who}", todo)]
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
        return []
    if not isinstance(told, dict) or told.get("echo_message") != message:
        return []
    if row["handled_at"] is None:
        todo = "The running shop has another WECHAT_PAY_APIV3_KEY than these settings: restart it with this one."
        return [wrong(_APIV3, "the echo came, and the running shop cannot open it", todo)]
    return [
        ok("notices", "WeChat Pay's echo arrived and was stored"),
        ok(_APIV3, "the shop opens what is sealed with it"),
    ]
