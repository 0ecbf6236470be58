"""A connection through a pooler in transaction mode (PgBouncer): the server behind it changes after each transaction.

Context: such a pooler refuses `statement_timeout` and the like at the start of a connection, and what is SET later stays
behind on a server that others get next. Decision: every transaction brings its limits along, in the same message as its
BEGIN; a statement alone becomes a transaction, so that it has them too. asyncpg must keep no prepared statements
(`statement_cache_size=0`); then it sends a statement's text together with its values. Consequence: nothing has to be
configured at the pooler or the role, and a single statement costs two round trips more. Alternative: limits set for the
role or the database, where a database forgotten in the set-up has none and nobody notices.
"""

from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from kit.hosts import Watched

AT_START = frozenset({"application_name", "timezone"})
"""What PgBouncer takes at the start of a connection, and carries along to whatever server serves it."""


def locally(settings: dict[str, str]) -> str:
    """The statements that set `settings` until the end of a transaction."""
    return " ".join(f"SET LOCAL {name} = '{value}';" for name, value in settings.items() if name not in AT_START)


class Pooled(Watched):
    """Base of the classes that `pooled` makes."""

    limits = ""

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> Any:  # noqa: ASYNC109  (asyncpg's)
        if query.startswith("BEGIN"):  # asyncpg's own; SQLAlchemy's transactions begin by it too
            return await super().execute(f"{query} {self.limits}", timeout=timeout)
        if query.startswith(("COMMIT", "ROLLBACK")):
            return await super().execute(query, timeout=timeout)
        async with self._within():
            return await super().execute(query, *args, timeout=timeout)

    async def executemany(self, *args: Any, **named: Any) -> Any:
        async with self._within():
            return await super().executemany(*args, **named)

    async def fetch(self, *args: Any, **named: Any) -> Any:
        async with self._within():
            return await super().fetch(*args, **named)

    async def fetchrow(self, *args: Any, **named: Any) -> Any:
        async with self._within():
            return await super().fetchrow(*args, **named)

    async def fetchval(self, *args: Any, **named: Any) -> Any:
        async with self._within():
            return await super().fetchval(*args, **named)

    def _within(self) -> AbstractAsyncContextManager[Any]:
        if self.is_in_transaction():
            return nullcontext()
        transaction: AbstractAsyncContextManager[Any] = self.transaction()
        return transaction


def pooled(settings: dict[str, str]) -> type[Pooled]:
    """The class of connections whose transactions have `settings`."""
    return type("Pooled", (Pooled,), {"limits": locally(settings), "__slots__": ()})
