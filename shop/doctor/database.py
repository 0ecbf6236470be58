"""The database: reachable, at the newest revision, safe against a crash, and its role no mightier than it must be."""

import time
from collections.abc import Iterator
from typing import Any

import asyncpg
from alembic.script import ScriptDirectory

from kit import hosts
from shop import schema
from shop.doctor.findings import Finding, ok, warning, wrong
from shop.settings import Settings

_ABOUT = "database"
_CLOCK_WARNS_S = 5
_CLOCK_FAILS_S = 60
_FACTS = """
    SELECT current_setting('server_version') AS version, pg_is_in_recovery() AS standby,
           current_setting('default_transaction_read_only') = 'on' AS read_only,
           current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
           current_setting('synchronous_commit') AS synchronous_commit,
           extract(epoch FROM clock_timestamp())::float8 AS now, current_user AS role,
           (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
           has_schema_privilege(current_user, 'public', 'CREATE') AS may_create"""
_RIGHTS = """
    SELECT t.name, to_regclass(quote_ident(t.name)) IS NULL AS missing,
           coalesce(has_table_privilege(current_user, to_regclass(quote_ident(t.name)), 'UPDATE')
                    OR has_table_privilege(current_user, to_regclass(quote_ident(t.name)), 'DELETE')
                    OR has_table_privilege(current_user, to_regclass(quote_ident(t.name)), 'TRUNCATE'), false) AS may_change,
           NOT EXISTS (SELECT 1 FROM pg_trigger g WHERE g.tgrelid = to_regclass(quote_ident(t.name))
                       AND g.tgname = 'append_only' AND g.tgenabled <> 'D') AS unguarded
    FROM unnest($1::text[]) AS t(name)"""


async def enter(url: str) -> asyncpg.Connection:
    """One connection of the shop's own role. Raises OSError, TimeoutError or asyncpg's errors."""
    settings = {"application_name": "shop-doctor", "statement_timeout": "10s"}
    return await hosts.connect(url, timeout=5, statement_cache_size=0, server_settings=settings)


def unreachable(error: Exception) -> Finding:
    """Why nobody was let in, without the address's password."""
    known = {
        asyncpg.InvalidPasswordError: ("the password is refused", "Set the right password in DATABASE_URL."),
        asyncpg.InvalidCatalogNameError: ("there is no such database", "Create it, or mend the name in DATABASE_URL."),
        asyncpg.TooManyConnectionsError: ("no connection is free", "Raise max_connections, or use a pooler."),
        asyncpg.CannotConnectNowError: ("it is starting or recovering", "Wait a minute and look again."),
    }
    for kind, (seen, todo) in known.items():
        if isinstance(error, kind):
            return wrong(_ABOUT, seen, todo)
    todo = "Start PostgreSQL, and see that DATABASE_URL names its host and port."
    return wrong(_ABOUT, f"no connection ({type(error).__name__})", todo)


async def look(connection: Any, settings: Settings) -> list[Finding]:
    """Everything about the database and the role that serves."""
    facts = await connection.fetchrow(_FACTS)
    found = list(_server(facts, settings))
    found.append(_clock(facts["now"]))
    found.append(await _revision(connection))
    found += list(_role(facts))
    found += list(_append_only(await connection.fetch(_RIGHTS, schema.append_only())))
    return found


def _server(facts: Any, settings: Settings) -> Iterator[Finding]:
    if facts["standby"] or facts["read_only"]:
        yield wrong(_ABOUT, "it takes no writes (a standby, or read-only)", "Let DATABASE_URL name the primary.")
    unsafe = [name for name in ("fsync", "full_page_writes", "synchronous_commit") if facts[name] == "off"]
    if unsafe and settings.production:
        todo = f"Turn on {', '.join(unsafe)}: an order that was answered must survive a crash."
        yield wrong(_ABOUT, f"{' and '.join(unsafe)} is off: a crash loses what was acknowledged", todo)
    elif unsafe:
        yield warning(_ABOUT, f"{' and '.join(unsafe)} is off", "Fine for trials; turn it on for a real shop.")
    elif not facts["standby"] and not facts["read_only"]:
        yield ok(_ABOUT, f"PostgreSQL {facts['version']} takes writes and keeps them")


def _clock(there: float) -> Finding:
    about, offset = "database clock", there - time.time()
    seen = f"{abs(offset):.1f} s {'ahead of' if offset > 0 else 'behind'} this machine"
    todo = "Let both machines follow a time server."
    if abs(offset) > _CLOCK_FAILS_S:
        return wrong(about, seen, todo)
    return warning(about, seen, todo) if abs(offset) > _CLOCK_WARNS_S else ok(about, seen)


async def _revision(connection: Any) -> Finding:
    about, head = "schema", ScriptDirectory.from_config(schema.config()).get_current_head()
    try:
        at = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        at = None
    if at == head:
        return ok(about, f"at the newest revision, {head}")
    return wrong(about, f"at revision {at or 'none'}, and this program needs {head}", "Run `python -m shop migrate`.")


def _role(facts: Any) -> Iterator[Finding]:
    about, role = "database role", facts["role"]
    todo = "Serve with a role of its own (DATABASE_URL) and migrate with the owner's (DATABASE_OWNER_URL)."
    if facts["superuser"]:
        yield wrong(about, f"{role} is a superuser: whoever breaks into the shop owns the database", todo)
    elif facts["may_create"]:
        yield wrong(about, f"{role} may alter the schema", todo)
    else:
        yield ok(about, f"{role} can neither alter the schema nor become more")


def _append_only(rows: list[Any]) -> Iterator[Finding]:
    about = "append-only tables"
    changeable = [row["name"] for row in rows if row["may_change"]]
    unguarded = [row["name"] for row in rows if row["unguarded"] and not row["missing"]]
    if changeable:
        todo = "Run `python -m shop migrate` with DATABASE_OWNER_URL set to the owner's role: it takes the rights away."
        yield wrong(about, f"the shop's role may change {', '.join(changeable)}", todo)
    if unguarded:
        todo = "Somebody dropped the trigger `append_only`: find out who, and put it back from migrations/."
        yield wrong(about, f"nothing refuses changes of {', '.join(unguarded)}", todo)
    if not changeable and not unguarded:
        yield ok(about, f"{len(rows)} tables that nobody may change: ledger, audit, order log, stock moves and such")
