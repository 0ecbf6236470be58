"""Exactly between two steps: a rival acts there (Saleor's tests do so with RunBefore and RunAfter), or the step is held.

A step is a function of the shop, by its owner and name, and what comes before or after its work.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import Context
from typing import Any, NamedTuple

import asyncpg

Act = Callable[[], Awaitable[Any]]


class Step(NamedTuple):
    """`str` tells it in a report."""

    owner: Any
    name: str
    when: str

    def __str__(self) -> str:
        return f"{self.when} {self.owner.__name__.rpartition('.')[2]}.{self.name}"


def steps(*places: tuple[Any, str]) -> list[Step]:
    """Before and after each."""
    return [Step(owner, name, when) for owner, name in places for when in ("before", "after")]


@contextmanager
def _first_call(step: Step, act: Act) -> Iterator[None]:
    """`act` is awaited within the step's first call, before or after its work."""
    bare = inspect.getattr_static(step.owner, step.name)
    real = getattr(step.owner, step.name)
    calls = iter([True])

    async def stepped(*given: Any, **named: Any) -> Any:
        first = next(calls, False)
        if first and step.when == "before":
            await act()
        try:
            return await real(*given, **named)
        finally:  # also after a refusal
            if first and step.when == "after":
                await act()

    setattr(step.owner, step.name, staticmethod(stepped) if isinstance(bare, staticmethod) else stepped)
    try:
        yield
    finally:
        setattr(step.owner, step.name, bare)


class Watcher:
    """Sees in Postgres whether somebody waits for a lock."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def done_or_waiting(self, task: "asyncio.Task[Any]") -> None:
        """Return when the task has ended, or cannot go on before somebody else does."""
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        while not task.done():
            if await self._connection.fetchval(waiting):
                return
            await asyncio.sleep(0.005)


@asynccontextmanager
async def watching(url: str) -> AsyncIterator[Watcher]:
    connection = await asyncpg.connect(url)
    try:
        yield Watcher(connection)
    finally:
        await connection.close()


async def meet(step: Step, ours: Act, rival: Act, watcher: Watcher) -> tuple[Any, Any] | None:
    """What `ours` and its `rival` answer, who acted exactly at that step: to the end, or until one waits for the other.

    `None`: `ours` never came to that step, and the rival did not act.
    """
    met: list[asyncio.Task[Any]] = []

    async def act() -> None:
        # A context of its own: the rival is another process, as it were, and has no part in our transaction.
        met.append(asyncio.get_running_loop().create_task(_as_task(rival), context=Context()))
        await watcher.done_or_waiting(met[0])

    with _first_call(step, act):
        answer = await ours()
    return (answer, await met[0]) if met else None


async def _as_task(act: Act) -> Any:
    return await act()


class Held:
    """A step that waits until it is let go."""

    def __init__(self, running: "asyncio.Task[Any]", gate: asyncio.Event) -> None:
        self._running = running
        self._gate = gate

    async def let_go(self) -> Any:
        """Its answer."""
        self._gate.set()
        return await self._running


@asynccontextmanager
async def held(step: Step, ours: Act) -> AsyncIterator[Held]:
    """`ours` has come as far as that step, and goes on when it is let go."""
    reached, gate = asyncio.Event(), asyncio.Event()

    async def act() -> None:
        reached.set()
        await gate.wait()

    with _first_call(step, act):
        running = asyncio.ensure_future(_as_task(ours))
        waiting = asyncio.ensure_future(reached.wait())
        await asyncio.wait({running, waiting}, timeout=20, return_when=asyncio.FIRST_COMPLETED)
        try:
            assert reached.is_set(), f"never came to {step}"
            yield Held(running, gate)
        finally:  # nobody is left standing there: what it holds would be waited for
            gate.set()
            waiting.cancel()
            await asyncio.wait({running})
        await running
