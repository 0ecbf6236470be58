"""A door before a TCP port that breaks what goes through it, as networks do: for the wires of clients and of databases.

`door.fault(kind)` until `door.fault()`. The kinds:

`latency`  each piece comes up to 0.3 s late
`slow`     a few hundred bytes at a time
`drop`     a black hole: nothing arrives and nothing is refused; what was sent meanwhile arrives when it is over
`half`     what is asked goes in, the answer is lost, and the connection with it; of `share` of the answers
`reset`    every connection breaks off, and each new one
`refuse`   the same, and nobody listens
"""

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

KINDS = ("latency", "slow", "drop", "half", "reset", "refuse")
_LATE_S = 0.3
_PIECE = 400
_RESET = struct.pack("ii", 1, 0)
"""For SO_LINGER: closing sends RST and waits for nothing."""


class FaultDoor:
    """Leads to `upstream`, a port of this machine that may change; `chance` decides what is left to chance."""

    def __init__(self, upstream: int, chance: random.Random) -> None:
        self.upstream, self._chance = upstream, chance
        self._kind, self._share = "", 1.0
        self._wires: set[asyncio.StreamWriter] = set()
        self._meetings: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._changed = asyncio.Event()
        self.lost = 0
        """Answers that `half` has kept back."""
        self.port = 0
        self._ask(self._listen())

    def fault(self, kind: str = "", *, share: float = 1.0) -> None:
        self._ask(self._turn_to(kind, share))

    @contextmanager
    def broken(self, kind: str, *, share: float = 1.0) -> Iterator[None]:
        self.fault(kind, share=share)
        try:
            yield
        finally:
            self.fault()

    def close(self) -> None:
        self._ask(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _ask(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._meet, "127.0.0.1", self.port, backlog=1024)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def _turn_to(self, kind: str, share: float) -> None:
        self._kind, self._share = kind, share
        if kind in ("reset", "refuse"):
            self._cut()
        if kind == "refuse":
            self._server.close()
        elif not self._server.is_serving():
            await self._listen()
        self._changed.set()
        self._changed = asyncio.Event()

    async def _end(self) -> None:
        self._server.close()
        for _ in range(2):  # who was just being let in is no meeting yet
            for meeting in self._meetings:
                meeting.cancel()
            await asyncio.gather(*self._meetings, return_exceptions=True)
            await asyncio.sleep(0.1)  # what was aborted is closed in the loop's next turns

    def _cut(self) -> None:
        for wire in self._wires:
            _break(wire)

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        meeting = asyncio.current_task()
        assert meeting is not None
        self._meetings.add(meeting)
        wires = {writer}
        self._wires.add(writer)
        try:
            if self._kind != "reset":
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
                wires.add(far_writer)
                self._wires.add(far_writer)
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pass_on(reader, far_writer, answers=False))
                    both.create_task(self._pass_on(far_reader, writer, answers=True))
        except* (OSError, asyncio.CancelledError):  # the latter: the door is closed
            pass
        finally:
            for wire in wires:
                _break(wire)
            self._wires -= wires
            self._meetings.discard(meeting)

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, answers: bool) -> None:
        while piece := await source.read(65536):
            await self._suffer(answers)
            size = _PIECE if self._kind == "slow" else len(piece)
            for begin in range(0, len(piece), size):
                target.write(piece[begin : begin + size])
                await target.drain()
                if self._kind == "slow":
                    await asyncio.sleep(self._chance.uniform(0.005, 0.02))
        target.write_eof()

    async def _suffer(self, answers: bool) -> None:
        if self._kind == "latency":
            await asyncio.sleep(self._chance.uniform(0, _LATE_S))
        while self._kind == "drop":
            await self._changed.wait()
        if answers and self._kind == "half" and self._chance.random() < self._share:
            self.lost += 1
            raise ConnectionResetError


def _break(wire: asyncio.StreamWriter) -> None:
    if not wire.transport.is_closing():
        wire.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    wire.transport.abort()
