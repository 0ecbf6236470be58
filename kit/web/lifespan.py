"""What goes on beside the requests of a process, and what is closed when it ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.orm import configure_mappers

from kit import http

_END_S = 2.0
_LET_IN_S = 0.5


async def readiness() -> None:
    """Make what a first request of its kind would wait for, in a thread and a moment after the door has opened: neither
    the door need wait for it nor who stands before it."""
    await asyncio.sleep(_LET_IN_S)
    await http.ready()
    await asyncio.to_thread(configure_mappers)


@asynccontextmanager
async def alive(
    work: list[Coroutine[Any, Any, None]], ends: list[Callable[[], Awaitable[None]]]
) -> AsyncIterator[None]:
    """While the application serves, `work` goes on; afterwards everything that `ends` is closed in turn."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=_END_S)
        for end in ends:
            await end()
