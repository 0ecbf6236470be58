"""`python -m shop doctor`: is this shop set up so that no fen is lost? Asks everybody, changes nothing, moves no money.

What it looks at, in this order: the settings among themselves, WeChat Pay and the keys, the Mini Program's account, the
notify URL and an echo through it, the database, the worker. Each finding that is not `ok` says what to do.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import asyncpg
import msgspec

from payments.wechatpay.keyring import Keyring
from shop.app import clock_of, merchant_of
from shop.doctor import database, keys, notices, partitions, platform, setup, work
from shop.doctor.findings import Finding, Verdict, ok, warning, wrong
from shop.doctor.wire import Wire
from shop.settings import BadSettings, Settings, read

_SIGNS = {Verdict.OK: "✓", Verdict.WARNING: "!", Verdict.WRONG: "✗"}
_BOUND = """
    SELECT count(*) FILTER (WHERE state IN ('open', 'received')) AS good,
           count(*) FILTER (WHERE replace(last_error, '_', '') ILIKE '%APPIDMCHIDNOTMATCH%') AS bad
    FROM payment WHERE mchid = $1 AND appid = $2 AND NOT external"""


class Report(msgspec.Struct, frozen=True, rename="camel"):
    healthy: bool
    findings: list[Finding]


def run(*, as_json: bool = False, wait_s: float = 15.0) -> int:
    """Print what is found. 0 without anything wrong (warnings may be there), else 1."""
    try:
        settings = read()
    except BadSettings as bad:
        found = [
            wrong("settings", mistake, "Mend it in the environment; the README lists them all.")
            for mistake in bad.mistakes
        ]
    else:
        found = asyncio.run(examine(settings, wait_s=wait_s))
    healthy = not any(finding.verdict is Verdict.WRONG for finding in found)
    if as_json:
        encoded = msgspec.json.encode(Report(healthy, found))
        sys.stdout.write(msgspec.json.format(encoded, indent=2).decode() + "\n")
    else:
        sys.stdout.write("\n".join(lines(found)) + "\n")
    return 0 if healthy else 1


async def examine(
    settings: Settings, *, wait_s: float = 15.0, wall_clock: Callable[[], float] = time.time
) -> list[Finding]:
    """Look at everything. `wall_clock` is what signatures say; `wait_s` is how long an echo may take."""
    merchant = merchant_of(settings)
    found = [*setup.look(settings, os.environ), setup.bills(merchant)]
    wire = Wire(settings.pay, wall_clock=wall_clock)
    pay, url = settings.pay, setup.notify_url(settings)
    keyring = Keyring(pay.apiv3_key, public_key=pay.public_key, public_key_id=pay.public_key_id)
    connection: Any = None
    try:
        asked = await keys.look(wire, pay, keyring, merchant)
        found += asked
        found.append(await platform.look(settings.wechat))
        door = await notices.look(url)
        found.append(door)
        try:
            connection = await database.enter(settings.database_direct_url)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            found.append(database.unreachable(error))
        serial = _serial(keyring, asked)
        if serial and door.verdict is not Verdict.WRONG:
            found += await _told(notices.echo(wire, keyring, serial, url, connection, wait_s=wait_s))
        if connection is not None:
            found += await _told(_within(connection, settings))
    finally:
        await wire.close()
        if connection is not None:
            await connection.close(timeout=5)
    return found


def _serial(keyring: Keyring, asked: list[Finding]) -> str | None:
    """WeChat's key to name in a call, if we may sign and have one."""
    if any(finding.about == "signing" and finding.verdict is Verdict.WRONG for finding in asked):
        return None
    newest = keyring.newest()
    return newest[0] if newest else None


async def _within(connection: Any, settings: Settings) -> list[Finding]:
    """What the database itself tells, of itself and of the shop."""
    found = await database.look(connection, settings)
    if any(finding.about == "schema" and finding.verdict is Verdict.WRONG for finding in found):
        return found
    found += await partitions.look(connection)
    found += await work.look(connection, clock_of(settings).now())
    return [*found, await _bound(connection, settings)]


async def _bound(connection: Any, settings: Settings) -> Finding:
    """Whether WeChat Pay lets this appid collect for this merchant: only an order tells, so ours are looked at."""
    about, pair = "appid and merchant", f"{settings.wechat.app_id} and {settings.pay.mch_id}"
    row = await connection.fetchrow(_BOUND, settings.pay.mch_id, settings.wechat.app_id)
    if row["good"]:
        return ok(about, f"{pair} belong together: payment sheets were opened")
    if row["bad"]:
        todo = "Bind the appid to the merchant in the merchant platform (product centre, AppID account management)."
        return wrong(about, f"WeChat Pay refused: {pair} are not bound", todo)
    todo = "Buy something for ¥0.01: without an order WeChat Pay does not say whether they are bound."
    return warning(about, f"no payment sheet was opened yet with {pair}", todo)


async def _told(look: Any) -> list[Finding]:
    """What `look` finds; a database that breaks off meanwhile is a finding too."""
    try:
        found: list[Finding] = await look
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        if isinstance(error, asyncpg.UndefinedTableError | asyncpg.UndefinedColumnError):
            return [wrong("schema", "tables are missing", "Run `python -m shop migrate`.")]
        return [database.unreachable(error)]
    return found


def lines(found: list[Finding]) -> list[str]:
    """The findings for people, and a last line that sums up."""
    shown = []
    for finding in found:
        shown.append(f"{_SIGNS[finding.verdict]} {finding.about}: {finding.seen}")
        if finding.todo:
            shown.append(f"    → {finding.todo}")
    counts = {verdict: sum(finding.verdict is verdict for finding in found) for verdict in Verdict}
    shown.append(f"{counts[Verdict.OK]} ok, {counts[Verdict.WARNING]} to look at, {counts[Verdict.WRONG]} wrong.")
    return shown
