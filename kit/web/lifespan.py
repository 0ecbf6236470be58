"""What goes on beside the requests of a process, and what is closed when it ends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

_END_S = 2.0


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
