"""Writes that wait at the same moment are done together: one statement, one commit for all of them.

Nobody is made to wait for company: what comes while a batch is under way is in the next one. (`kit.gathering` is the same
for reads, where two who ask the same share one answer.)
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextvars import Context
from typing import Generic, TypeVar

from kit.database import DatabaseUnavailable

A = TypeVar("A")
R = TypeVar("R")
_QUEUE = 4096
"""So many may wait; whoever comes then is told to come again."""
_REST_S = 0.08
_CALM_S = 1.0
"""Somebody who wanted something else came so recently: more may come."""


class Waiting(Generic[A, R]):
    """What somebody asks, until it is told."""

    def __init__(self, ask: A) -> None:
        self.ask = ask
        self.answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()

    @property
    def told(self) -> bool:
        return self.answer.done()

    def tell(self, answer: R) -> None:
        """The first answer counts."""
        if not self.answer.done():
            self.answer.set_result(answer)

    def refuse(self, error: BaseException) -> None:
        """The answer is an error."""
        if not self.answer.done():
            self.answer.set_exception(error)
            self.answer.exception()  # seen, also when whoever asked has gone away


class Batching(Generic[A, R]):
    """`deal` answers everybody in a batch; who it leaves without an answer, or its own error, is told that.

    A batch has one ask of each `owner`, and no two batches under way have the same: what somebody asks for second is
    decided after the first was. Those who want the same are a `crowd`. A crowd of more than a batch is a rush: it is
    served a batch at a time with a rest in between while anybody wants something else, so that a rush on one thing does
    not take all of the process from those who want another.
    """

    def __init__(
        self,
        deal: Callable[[Sequence[Waiting[A, R]]], Awaitable[None]],
        *,
        owner: Callable[[A], Hashable],
        crowd: Callable[[A], Hashable] = lambda _: None,
        most: int = 64,
        at_once: int = 2,
    ) -> None:
        """`most` asks in a batch, `at_once` batches under way."""
        self._deal = deal
        self._owner = owner
        self._crowd = crowd
        self._most = most
        self._at_once = at_once
        self._crowds: OrderedDict[Hashable, deque[Waiting[A, R]]] = OrderedDict()
        self._rest_until: dict[Hashable, float] = {}
        self._calm_at = float("-inf")
        self._waiting = 0
        self._busy: set[Hashable] = set()
        self._lanes: set[asyncio.Task[None]] = set()

    async def do(self, ask: A) -> R:
        """Raises what `deal` says, and `DatabaseUnavailable` when too many wait."""
        if self._waiting >= _QUEUE:
            raise DatabaseUnavailable
        waiting: Waiting[A, R] = Waiting(ask)
        queue = self._crowds.setdefault(self._crowd(ask), deque())
        queue.append(waiting)
        self._waiting += 1
        if len(queue) < self._most:
            self._calm_at = time.monotonic()
        self._open_lane()
        return await asyncio.shield(waiting.answer)  # it is done for whoever went away, too

    def _open_lane(self) -> None:
        if len(self._lanes) < self._at_once:
            # A context of its own: no request's id, no open transaction.
            lane = asyncio.get_running_loop().create_task(self._lane(), context=Context())
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)

    async def _lane(self) -> None:
        while batch := self._next():
            owners = {self._owner(one.ask) for one in batch}
            self._busy |= owners
            error: BaseException = DatabaseUnavailable()
            try:
                await self._deal(batch)
            except Exception as failed:  # noqa: BLE001  (it is told to those who wait)
                error = failed
            finally:
                self._busy -= owners
                for one in batch:
                    one.refuse(error)
        # Here, not only by the callback: others run before that, and what they asked would wait for ever.
        self._lanes.difference_update({asyncio.current_task()})

    def _next(self) -> list[Waiting[A, R]]:
        """The next batch, each crowd in its order; those whose owner is busy stay where they are."""
        batch: list[Waiting[A, R]] = []
        owners: set[Hashable] = set()
        for crowd in list(self._crowds):
            queue = self._crowds[crowd]
            if len(queue) >= self._most and self._rests(crowd):
                continue
            self._take(queue, self._most - len(batch), batch, owners)
            if queue:
                self._crowds.move_to_end(crowd)  # the others' turn comes first, next time
            else:
                del self._crowds[crowd]
                self._rest_until.pop(crowd, None)
            if len(batch) == self._most:
                break
        self._waiting -= len(batch)
        return batch

    def _rests(self, crowd: Hashable) -> bool:
        """Whether it is not this rush's turn yet; if it is, the next one comes after a rest."""
        now = time.monotonic()
        rest = self._rest_until.get(crowd, 0.0) - now
        if rest > 0 and now - self._calm_at < _CALM_S:
            asyncio.get_running_loop().call_later(rest, self._open_lane)
            return True
        self._rest_until[crowd] = now + _REST_S
        return False

    def _take(self, queue: deque[Waiting[A, R]], most: int, batch: list[Waiting[A, R]], owners: set[Hashable]) -> None:
        passed: list[Waiting[A, R]] = []
        taken = 0
        while queue and taken < most:
            waiting = queue.popleft()
            owner = self._owner(waiting.ask)
            if owner in owners or owner in self._busy:
                passed.append(waiting)
            else:
                owners.add(owner)
                batch.append(waiting)
                taken += 1
        queue.extendleft(reversed(passed))
