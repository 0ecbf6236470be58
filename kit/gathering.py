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
        self._waiting: dict[K, asyncio.Future[V | None]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def get(self, key: K) -> V | None:
        """The value as it is after the call began, or `None`. Raises what `ask` raises."""
        return await asyncio.shield(self._promise(key))  # others may wait for the same

    def soon(self, key: K) -> None:
        """Have it looked up, for who does not wait."""
        self._promise(key)

    def _promise(self, key: K) -> "asyncio.Future[V | None]":
        promise = self._waiting.get(key)
        if promise is None:
            loop = asyncio.get_running_loop()
            promise = self._waiting[key] = loop.create_future()
            if len(self._running) < self._at_once:
                # A context of its own: no transaction, no request id of whoever happens to be first.
                task = loop.create_task(self._work(), context=Context())
                self._running.add(task)
                task.add_done_callback(self._running.discard)
        return promise

    async def _work(self) -> None:
        while self._waiting:
            await self._look()
        # Here, not only by the callback: others run before that, and what they asked would wait for ever.
        self._running.difference_update({asyncio.current_task()})

    async def _look(self) -> None:
        keys = list(self._waiting)[: self._most]
        promises = {key: self._waiting.pop(key) for key in keys}
        try:
            found = await self._ask(keys)
        except BaseException as error:
            for promise in promises.values():
                _settle(promise, error=error)
            if not isinstance(error, Exception):
                raise
        else:
            for key, promise in promises.items():
                _settle(promise, found.get(key))


def _settle(promise: "asyncio.Future[V | None]", value: V | None = None, error: BaseException | None = None) -> None:
    if promise.done():
        return
    if error is None:
        promise.set_result(value)
    elif isinstance(error, asyncio.CancelledError):
        promise.cancel()
    else:
        promise.set_exception(error)
        promise.exception()  # seen: whoever asked may have gone away meanwhile
