"""The database: one engine per process, transactions opened by the edge with `db.begin()`.

Why our own `begin()`: SQLAlchemy's asyncpg adapter sends BEGIN only with its own first statement, so what goes through
the asyncpg connection underneath before that would survive a rollback. And the edge's transaction must be visible to
every client of the outside world, which refuses to speak while one is open (`assert_outside`).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import asyncpg
import msgspec
from sqlalchemy import BigInteger, DateTime, MetaData, Text, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from kit import hosts
from kit.bare import BarePool
from kit.errors import Unavailable
from kit.pooled import AT_START, pooled

T = TypeVar("T")
_open: ContextVar[bool] = ContextVar("transaction_open", default=False)

_SERVER_SETTINGS = {
    "timezone": "UTC",
    "jit": "off",
    "statement_timeout": "4000",
    "lock_timeout": "2000",
    "idle_in_transaction_session_timeout": "10000",
}
_COMMAND_TIMEOUT_S = 4.5  # a little above statement_timeout, so that the server gets to say why; WeChat waits 5 s
_ACQUIRE_TIMEOUT_S = 2.0
_QUEUE_TIMEOUT_S = 2.5
"""Then it is one of `pool_size`'s turn, and it may have to be opened first: 4.5 s together."""


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


@contextmanager
def _inside(*away: type[Exception]) -> Iterator[None]:
    """The caller counts as inside a transaction; what may work in a moment, and `away`, is `DatabaseUnavailable`."""
    assert_outside()
    token = _open.set(True)
    try:
        yield
    except (TimeoutError, asyncpg.InternalClientError, *away) as error:  # the first: asyncpg's command_timeout
        raise DatabaseUnavailable from error
    except DBAPIError as error:
        if error.connection_invalidated or _is_passing(error):
            raise DatabaseUnavailable from error
        raise
    except asyncpg.PostgresError as error:
        if is_passing(error.sqlstate):
            raise DatabaseUnavailable from error
        raise
    finally:
        _open.reset(token)


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


class Database:
    """Hands out transactions. Nothing here outlives a failover: `url` may name several hosts (`kit.hosts`).

    `pooler="transaction"`: `url` leads to PgBouncer in that mode (`kit.pooled`).
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 8,
        bare_size: int = 4,
        pooler: str | None = None,
        name: str = "shop",
        read_only: bool = False,
    ) -> None:
        settings = {"application_name": name, **_SERVER_SETTINGS}
        if read_only:
            settings["default_transaction_read_only"] = "on"
        self._bare = BarePool(
            url,
            size=bare_size,
            acquire_timeout_s=_ACQUIRE_TIMEOUT_S,
            connect=_arguments({**settings, "plan_cache_mode": "force_generic_plan"}, pooler),
        )
        self.engine = _engine(url, _arguments(settings, pooler), pool_size)
        self._pool_size = pool_size
        self._dead = self.engine.dialect.loaded_dbapi.Error
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncSession]:
        """One transaction, really begun when the session is handed out; committed at the end, rolled back on any error.

        Raises `DatabaseUnavailable` when no connection can be had or the server went away.
        """
        with _inside():
            session = await self._begun()
            try:
                yield session
                await session.commit()
            except BaseException as error:
                await _give_up(session, useless=isinstance(error, asyncpg.ReadOnlySQLTransactionError))
                raise
            await session.close()

    @asynccontextmanager
    async def bare(self) -> AsyncIterator[Any]:
        """An asyncpg connection for a measured path: each statement commits by itself.

        The caller counts as inside a transaction while it holds one. Raises `DatabaseUnavailable`; a broken constraint
        comes as asyncpg's own error.
        """
        with _inside(OSError, asyncpg.InterfaceError):  # a caller does nothing else meanwhile
            async with self._bare.take() as connection:
                yield connection

    async def reading(self, work: Callable[[Any], Awaitable[T]], *, as_of: float) -> T:
        """What `work` reads by a `bare` connection, where it needs to know only what was committed before `as_of`
        (`time.monotonic`). It may be called twice.

        Never for what the caller has just written, nor for what decides about money or stock. See `kit.replica`.
        """
        async with self.bare() as connection:
            return await work(connection)

    async def looking(self, work: Callable[[AsyncSession], Awaitable[T]], *, as_of: float) -> T:
        """The same by a session."""
        async with self.begin() as session:
            return await work(session)

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
        await self._bare.close()
        await self.engine.dispose()


def _arguments(settings: dict[str, str], pooler: str | None) -> dict[str, Any]:
    """What every connection is opened with."""
    arguments: dict[str, Any] = {"timeout": _ACQUIRE_TIMEOUT_S, "command_timeout": _COMMAND_TIMEOUT_S}
    if pooler != "transaction":
        return arguments | {"server_settings": settings, "connection_class": hosts.Watched}
    at_start = {name: value for name, value in settings.items() if name in AT_START}
    return arguments | {
        "server_settings": at_start,
        "connection_class": pooled(settings),
        "statement_cache_size": 0,
    }


def _engine(url: str, arguments: dict[str, Any], pool_size: int) -> AsyncEngine:
    connect_args: dict[str, Any] = {"async_creator_fn": partial(hosts.connect, url, **arguments)}
    if arguments.get("statement_cache_size") == 0:
        connect_args["prepared_statement_cache_size"] = 0  # SQLAlchemy has a cache of its own
    engine = create_async_engine(
        "postgresql+asyncpg://",
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=_QUEUE_TIMEOUT_S,
        pool_pre_ping=False,
        pool_use_lifo=True,
        hide_parameters=True,
        json_serializer=_encode,
        json_deserializer=msgspec.json.decode,
        connect_args=connect_args,
    )
    event.listen(engine.sync_engine, "handle_error", _drop_useless)
    return engine


def _drop_useless(context: ExceptionContext) -> None:
    """A server that takes no writes is no primary (any more): its connections, all of them, are as good as broken.

    So is one to which the server has just said farewell, unasked: asyncpg calls that an error of its own.
    """
    error = context.original_exception
    if getattr(error, "sqlstate", None) == READ_ONLY or isinstance(error.__cause__, asyncpg.InternalClientError):
        context.is_disconnect = True


async def _give_up(session: AsyncSession, *, useless: bool) -> None:
    """Roll back. A connection that is gone, or `useless`, has nothing to roll back: what went wrong before is the news."""
    try:
        if useless:  # the connection underneath: this server takes no writes
            await (await session.connection()).invalidate()
        await session.close()
    except (DBAPIError, asyncpg.InterfaceError, OSError):
        await session.invalidate()


async def _really_begin(session: AsyncSession) -> None:
    connection = await (await session.connection()).get_raw_connection()
    adapted: Any = connection.dbapi_connection
    if adapted._transaction is None:  # noqa: SLF001  (no public way to send BEGIN; tests/kit/test_kit_database.py guards it)
        await adapted._start_transaction()  # noqa: SLF001


async def raw(session: AsyncSession) -> Any:
    """The asyncpg connection underneath, inside the session's own transaction."""
    connection = await (await session.connection()).get_raw_connection()
    return connection.driver_connection


READ_ONLY = "25006"
"""read_only_sql_transaction: this server is a standby, or has been told to take no writes."""

_PASSING = frozenset(
    {
        READ_ONLY,
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


def is_passing(sqlstate: str | None) -> bool:
    """Whether the same may work in a moment: the server restarts, is too busy, or two stood in each other's way."""
    return sqlstate is not None and (sqlstate in _PASSING or sqlstate.startswith("08"))


def _is_passing(error: DBAPIError) -> bool:
    cause = getattr(error.orig, "__cause__", None)
    return is_passing(getattr(error.orig, "sqlstate", None)) or isinstance(cause, OSError | TimeoutError)


def constraint_of(error: DBAPIError) -> str | None:
    """The name of the constraint that refused, when one did."""
    return getattr(getattr(error.orig, "__cause__", None), "constraint_name", None)
