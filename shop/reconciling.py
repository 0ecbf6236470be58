"""`python -m shop reconcile`: days matched now, whatever the worker's turn, with a table or JSON for each."""

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator
from datetime import date, timedelta

import msgspec

from kit.clock import Clock
from kit.database import Database
from payments.ports import Payee
from payments.reconciliation import beijing, days, printing, report
from payments.reconciliation.models import DayState
from payments.reconciliation.wanting import DayOutOfReach
from payments.wechatpay.gateway import Gateway
from shop.app import ShopPayee, clock_of, database_of, gateway_of
from shop.settings import Settings

AGREED, DIFFERS, REFUSED = 0, 1, 2
"""Exit codes: all days agree; at least one does not, or its bills are not there yet; a day that cannot be had."""
_POOL = 6


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--date", type=_day, help="a Beijing day, 2026-11-23; default: the newest whose bills can be had"
    )
    parser.add_argument("--from", dest="first", type=_day, help="the first of several days")
    parser.add_argument("--to", dest="last", type=_day, help="the last of them; default: the newest")
    parser.add_argument("--json", action="store_true", help="the reports as JSON")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        message = f"{text!r} is not a day; write it as 2026-11-23"
        raise ArgumentTypeError(message) from error


async def run(settings: Settings, arguments: Namespace) -> int:
    """Reconcile the days that `arguments` name; returns the exit code."""
    contradiction = _contradiction(arguments)
    if contradiction:
        _say(contradiction)
        return REFUSED
    db = database_of(settings, pool_size=_POOL, name="shop-reconcile")
    gateway = gateway_of(settings)
    clock = clock_of(settings)
    try:
        if settings.pay.key_mode != "public_key":
            await gateway.refresh_keys()
        newest = beijing.newest(clock.now())
        if arguments.first and arguments.first > newest:
            _say(f"--from {arguments.first} is after {newest}, the newest day whose bills can be had")
            return REFUSED
        first = arguments.date or arguments.first or newest
        last = arguments.date or arguments.last or newest
        return await _all(db, gateway, ShopPayee(), clock, list(_between(first, last)), as_json=arguments.json)
    finally:
        await gateway.close_connections()
        await db.close()


def _contradiction(arguments: Namespace) -> str | None:
    """No day at all would agree, and exit with 0."""
    if arguments.date and (arguments.first or arguments.last):
        return "--date is one day, --from and --to are several: give either"
    if arguments.last and not arguments.first:
        return "--to needs --from, the first of the days"
    if arguments.last and arguments.first > arguments.last:
        return f"--from {arguments.first} is after --to {arguments.last}"
    return None


def _between(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += timedelta(days=1)


async def _all(db: Database, gateway: Gateway, payee: Payee, clock: Clock, wanted: list[date], *, as_json: bool) -> int:
    code, found = AGREED, []
    for day in wanted:
        try:
            state = await days.reconcile(db, gateway, payee, clock, day, _say)
        except DayOutOfReach as refusal:
            _say(f"{day}: {refusal}")
            code = REFUSED
            continue
        if state is not DayState.AGREED:
            code = max(code, DIFFERS)
        async with db.begin() as session:
            seen = await report.get(session, day)
        found.append(seen)
        if not as_json:
            if sys.stderr.isatty():
                _say("")
            sys.stdout.write(printing.table(seen) + "\n")
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
    return code


def _say(line: str) -> None:
    """Progress on stderr, so that the report alone is on stdout; at a terminal it stays one line."""
    sys.stderr.write(f"\r\x1b[K{line}" if sys.stderr.isatty() else f"{line}\n")
    sys.stderr.flush()
