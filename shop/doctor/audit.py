"""`python -m shop audit`: every invariant of a live shop, in one read-only snapshot.

One repeatable-read transaction sees one instant, so a shop in full work can be audited: nothing is locked, and what is
written meanwhile is not seen. `--record` then writes one entry into the audit log, in a transaction of its own: `/metrics`
tells from it how the books were and how long ago that is.
"""

import asyncio
import sys
from datetime import UTC, datetime

import asyncpg
import msgspec

from kit import hosts
from kit.money import yuan
from shop import invariants, watch

TIMEOUT_S = 300
"""For each statement. A shop of many years may need a replica, or a longer night."""
CANNOT = 2
_BALANCES = """
    SELECT account, sum(fen)::bigint AS fen FROM (
        SELECT debit AS account, amount_fen AS fen FROM posting UNION ALL SELECT credit, -amount_fen FROM posting
    ) p GROUP BY 1 ORDER BY 1"""

_RECORD = """
    INSERT INTO audit_entry (at, actor, action, subject_kind, subject, facts)
    VALUES ($1, 'system', $2, $3, $4, $5::jsonb)"""


class CannotAudit(Exception):
    """The books could not be looked at; the text says why."""


class Checked(msgspec.Struct, frozen=True, rename="camel"):
    """One invariant. `rows` names up to ten that break it."""

    name: str
    holds: bool
    rows: list[str]


class Report(msgspec.Struct, frozen=True, rename="camel"):
    """The books at one instant. Money in fen; of a balance, debit is positive."""

    at: datetime
    holds: bool
    invariants: list[Checked]
    money: dict[str, int]
    balances: dict[str, int]


def run(
    database_url: str, *, as_json: bool = False, timeout_s: int = TIMEOUT_S, record_at: datetime | None = None
) -> int:
    """Print the report. 0: everything holds; 1: something is broken; 2: it could not be checked, or not recorded.

    `record_at`: the moment, in business time, under which it is written down.
    """
    try:
        report = asyncio.run(take(database_url, timeout_s=timeout_s))
        if record_at is not None:
            asyncio.run(record(database_url, report, record_at))
    except CannotAudit as error:
        sys.stderr.write(f"Cannot audit: {error}\n")
        return CANNOT
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n")
    else:
        sys.stdout.write("\n".join(lines(report)) + "\n")
    return 0 if report.holds else 1


async def take(database_url: str, *, timeout_s: int = TIMEOUT_S) -> Report:
    """Look at everything in one read-only transaction. Raises `CannotAudit`."""
    settings = {"application_name": "shop-audit", "statement_timeout": f"{timeout_s}s", "jit": "off"}
    try:
        connection = await hosts.connect(database_url, timeout=10, statement_cache_size=0, server_settings=settings)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise CannotAudit(f"the database does not let us in ({type(error).__name__})") from error
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            return await _look(connection)
    except asyncpg.QueryCanceledError as error:
        raise CannotAudit(f"a question took longer than {timeout_s} s; allow more with --timeout-s") from error
    except asyncpg.UndefinedTableError as error:
        raise CannotAudit("tables are missing: run `python -m shop migrate` first") from error
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise CannotAudit(f"the database broke off ({type(error).__name__})") from error
    finally:
        await connection.close(timeout=5)


async def record(database_url: str, report: Report, at: datetime) -> None:
    """Write down which invariants were broken. Raises `CannotAudit`."""
    facts = {"broken": [checked.name for checked in report.invariants if not checked.holds]}
    try:
        connection = await hosts.connect(database_url, timeout=10, statement_cache_size=0)
        try:
            await connection.execute(_RECORD, at, watch.AUDITED, *watch.BOOKS, msgspec.json.encode(facts).decode())
        finally:
            await connection.close(timeout=5)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise CannotAudit(f"what was found could not be written down ({type(error).__name__})") from error


async def _look(connection: "asyncpg.Connection") -> Report:
    broken = await invariants.broken(connection)
    money = await connection.fetchrow(invariants.MONEY)
    balances = await connection.fetch(_BALANCES)
    named = [*invariants.QUERIES, *(name for name in broken if name not in invariants.QUERIES)]
    return Report(
        at=datetime.now(UTC),
        holds=not broken,
        invariants=[Checked(name, name not in broken, broken.get(name, [])) for name in named],
        money=dict(money),
        balances={row["account"]: row["fen"] for row in balances},
    )


def lines(report: Report) -> list[str]:
    """The report for people: one line an invariant, then the sums."""
    found = []
    for checked in report.invariants:
        found.append(f"  {'✓' if checked.holds else '✗'} {checked.name}")
        found += [f"      {row}" for row in checked.rows]
    money = report.money
    held = f" + held for a decision ¥{yuan(money['held_fen'])}" if money["held_fen"] else ""
    parts = f"owed for goods ¥{yuan(money['owed_fen'])} + back ¥{yuan(money['back_fen'])}{held}"
    found.append(f"  money in ¥{yuan(money['received_fen'])} = {parts}")
    accounts = ", ".join(f"{account} {yuan(fen)}" for account, fen in report.balances.items()) or "nothing booked yet"
    found.append(f"  ledger: {accounts}; together ¥{yuan(sum(report.balances.values()))}")
    wrong = sum(not checked.holds for checked in report.invariants)
    found.append(f"{wrong} of {len(report.invariants)} invariants broken." if wrong else "All invariants hold.")
    return found
