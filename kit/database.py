"""The database: one engine per process, transactions opened by the edge with `db.begin()`.

Why our own `begin()`: SQLAlchemy's asyncpg adapter sends BEGIN only with its own first statement, so what goes through
the asyncpg connection underneath before that would survive a rollback. And the edge's transaction must be visible to
every client of the outside world, which refuses to speak while one is open (`assert_outside`).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import BigInteger, DateTime, MetaData, Text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from kit.errors import Unavailable

_open: ContextVar[bool] = ContextVar("transaction_open", default=False)

_SERVER_SETTINGS = {
    "timezone": "UTC",
    "jit": "off",
    "statement_timeout": "5000",
    "lock_timeout": "2000",
    "idle_in_transaction_session_timeout": "10000",
}
_COMMAND_TIMEOUT_S = 6.0  # a little above statement_timeout, so that the server gets to say why
_ACQUIRE_TIMEOUT_S = 2.0


Instant = DateTime(timezone=True)


class Table(DeclarativeBase):
    """Base of all tables. Times are aware UTC, `int` is bigint, constraints have predictable names."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {int: BigInteger, datetime: Instant, str: Text}  # noqa: RUF012  (SQLAlchemy's protocol)


class DatabaseUnavailable(Unavailable):
    """The database does not answer right now; try again in a moment."""

    zh = "系统繁忙，请稍后再试"


class InsideTransaction(AssertionError):
    """A call to the outside world, or a second transaction, while one is open: a mistake in our own code."""


def assert_outside() -> None:
    """Raise `InsideTransaction` when a transaction of `Database.begin` is open in this task."""
    if _open.get():
        raise InsideTransaction


def _sqlalchemy_url(url: str) -> str:
    parsed = make_url(url)
    return parsed.set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


class Database:
    """Hands out transactions. `pooler="transaction"` prepares no statements (pgbouncer in transaction mode)."""

    def __init__(self, url: str, *, pool_size: int = 8, pooler: str | None = None, name: str = "shop") -> None:
        connect_args: dict[str, Any] = {
            "timeout": _ACQUIRE_TIMEOUT_S,
            "command_timeout": _COMMAND_TIMEOUT_S,
            "server_settings": {"application_name": name, **_SERVER_SETTINGS},
        }
        if pooler == "transaction":
            connect_args |= {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
        self.engine = create_async_engine(
            _sqlalchemy_url(url),
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=_ACQUIRE_TIMEOUT_S * 2,
            pool_pre_ping=False,
            pool_use_lifo=True,
            hide_parameters=True,
            json_serializer=_encode,
            json_deserializer=msgspec.json.decode,
            connect_args=connect_args,
        )
        self._pool_size = pool_size
        self._dead = self.engine.dialect.loaded_dbapi.Error
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """One transaction, really begun when the session is handed out; committed at the end, rolled back on any error.

        Raises `DatabaseUnavailable` when no connection can be had or the server went away.
        """
        assert_outside()
        token = _open.set(True)
        try:
            async with await self._begun() as session:
                yield session
                await session.commit()
        except TimeoutError as error:  # asyncpg's command_timeout
            raise DatabaseUnavailable from error
        except DBAPIError as error:
            if error.connection_invalidated or _is_passing(error):
                raise DatabaseUnavailable from error
            raise
        finally:
            _open.reset(token)

    async def _begun(self) -> AsyncSession:
        """A session after its BEGIN. An OSError here is the database's; one in the caller's body is the caller's own.

        After a restart of the server every idle connection of the pool is dead. A BEGIN that failed has done nothing,
        so the next connection is tried, until they are used up.
        """
        for _ in range(self._pool_size + 1):
            session = self._sessions()
            try:
                await _really_begin(session)
            except (PoolTimeout, OSError) as error:
                await session.close()
                raise DatabaseUnavailable from error
            except self._dead:
                await (await session.connection()).invalidate()
                await session.close()
            except BaseException:
                await session.close()
                raise
            else:
                return session
        raise DatabaseUnavailable

    async def close(self) -> None:
        await self.engine.dispose()


async def _really_begin(session: AsyncSession) -> None:
    connection = await (await session.connection()).get_raw_connection()
    adapted: Any = connection.dbapi_connection
    if adapted._transaction is None:  # noqa: SLF001  (no public way to send BEGIN; tests/kit/test_database.py guards it)
        await adapted._start_transaction()  # noqa: SLF001


async def raw(session: AsyncSession) -> Any:
    """The asyncpg connection underneath, inside the session's own transaction."""
    connection = await (await session.connection()).get_raw_connection()
    return connection.driver_connection


_PASSING = frozenset(
    {
        "40001",  # serialization_failure
        "40P01",  # deadlock_detected
        "55P03",  # lock_not_available
        "57014",  # query_canceled (statement_timeout)
        "57P01",  # admin_shutdown
        "57P02",  # crash_shutdown
        "57P03",  # cannot_connect_now
        "53300",  # too_many_connections
        "53100",  # disk_full
    }
)


def _is_passing(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None) or ""
    cause = getattr(error.orig, "__cause__", None)
    return state in _PASSING or state.startswith("08") or isinstance(cause, OSError | TimeoutError)


def constraint_of(error: DBAPIError) -> str | None:
    """The name of the constraint that refused, when one did."""
    return getattr(getattr(error.orig, "__cause__", None), "constraint_name", None)
