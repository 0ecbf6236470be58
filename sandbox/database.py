"""What must survive a restart and a SIGKILL: one SQLite file, written by one thread."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

SCHEMA = (Path(__file__).parent / "schema.sql").read_text()

Value = str | int | float | None


class Database:
    """A connection whose writes stand in explicit transactions; without one, each statement is its own."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        # The log file is handed to the kernel at each commit: it survives the process, though not a power cut.
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(SCHEMA)
        self._renew()
        self._connection.execute("PRAGMA foreign_keys = ON")

    def _renew(self) -> None:
        """Carry what an older version kept into the tables of this one; what they have in common stays."""
        fresh = sqlite3.connect(":memory:")
        fresh.executescript(SCHEMA)
        tables = dict(fresh.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
        kept = dict(self._connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall())
        for table in [name for name in tables if kept[name].replace(f'"{name}"', name, 1) != tables[name]]:
            columns = {row[1] for row in fresh.execute(f"PRAGMA table_info({table})")}
            names = ", ".join(row[1] for row in self.rows(f"PRAGMA table_info({table})") if row[1] in columns)
            with self.transaction():
                self.write(tables[table].replace(f"TABLE {table} ", "TABLE renewed ", 1))
                self.write(f"INSERT INTO renewed ({names}) SELECT {names} FROM {table}")  # noqa: S608 - our names
                self.write(f"DROP TABLE {table}")
                self.write(f"ALTER TABLE renewed RENAME TO {table}")
        fresh.close()
        self._connection.executescript(SCHEMA)  # the indices went with their tables

    def each(self, sql: str, *values: Value) -> Iterator[sqlite3.Row]:
        """The rows of a query one after another: never all of them in memory."""
        yield from self._connection.execute(sql, values)

    def rows(self, sql: str, *values: Value) -> list[sqlite3.Row]:
        """Every row of a query."""
        return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Value) -> sqlite3.Row | None:
        """The first row of a query, if there is one."""
        found: sqlite3.Row | None = self._connection.execute(sql, values).fetchone()
        return found

    def number(self, sql: str, *values: Value) -> int:
        """The single number a query answers; nothing counts as 0."""
        found = self.row(sql, *values)
        return int(found[0] or 0) if found else 0

    def write(self, sql: str, *values: Value) -> int:
        """Change something; answers how many rows were."""
        return self._connection.execute(sql, values).rowcount

    def insert(self, table: str, facts: Mapping[str, Value]) -> None:
        """Add one row. The names come from our own code, never from a request."""
        names = ", ".join(facts)
        marks = ", ".join("?" * len(facts))
        values: Sequence[Value] = tuple(facts.values())
        self._connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)  # noqa: S608 - our names

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. Nobody awaits inside, so that no two requests ever share one."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Fold the log into the file and let go of it."""
        self._connection.close()
