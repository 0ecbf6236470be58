"""Look-ups by key that are asked at about the same time go to the database as one statement.

Under load a statement for fifty keys costs little more than one for a single key. Nobody is made to wait for company:
what is asked while a statement is under way is the next one's.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from contextvars import Context
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Gathering(Generic[K, V]):
    """`ask` gets distinct keys and answers those that it finds; it runs outside of whoever asked first."""

    def __init__(
        self, ask: Callable[[list[K]], Awaitable[Mapping[K, V]]], *, most: int = 256, at_once: int = 2
    ) -> None:
        self._ask = ask
        self._most = most
        self._at_once = at_once
        self._waiting: dict[K, list[asyncio.Future[V | None]]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def get(self, key: K) -> V | None:
        """The value as it is after the call began, or `None`. Raises what `ask` raises."""
        promise: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()  # one's own: others may go away
        self._asked(key).append(promise)
        return await promise

    def soon(self, key: K) -> None:
        """Have it looked up, for who does not wait."""
        self._asked(key)

    def _asked(self, key: K) -> "list[asyncio.Future[V | None]]":
        """Who waits for it, once it is looked up."""
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = []
            if len(self._running) < self._at_once:
                # A context of its own: no transaction, no request id of whoever happens to be first.
                task = asyncio.get_running_loop().create_task(self._work(), context=Context())
                self._running.add(task)
                task.add_done_callback(self._running.discard)
        return waiting

    async def _work(self) -> None:
        while self._waiting:
            await self._look()
        # Here, not only by the callback: others run before that, and what they asked would wait for ever.
        self._running.difference_update({asyncio.current_task()})

    async def _look(self) -> None:
        keys = list(self._waiting)[: self._most]
        waiting = {key: self._waiting.pop(key) for key in keys}
        try:
            found = await self._ask(keys)
        except BaseException as error:
            for promises in waiting.values():
                _settle(promises, error=error)
            if not isinstance(error, Exception):
                raise
        else:
            for key, promises in waiting.items():
                _settle(promises, found.get(key))


def _settle(
    promises: "list[asyncio.Future[V | None]]", value: V | None = None, error: BaseException | None = None
) -> None:
    for promise in promises:
        if promise.done():  # who waited has gone away
            continue
        if error is None:
            promise.set_result(value)
        elif isinstance(error, asyncio.CancelledError):
            promise.cancel()
        else:
            promise.set_exception(error)
