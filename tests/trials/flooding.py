"""Notifications over HTTP at a steady pace: forged ones so many a second, genuine ones among them."""

import asyncio
import re
import time
from collections.abc import Iterator
from typing import Self

import httpx

CONNECTIONS = 32
Letter = tuple[bool, dict[str, str], bytes]
"""Whether it is genuine, its headers, its body."""


class Flood:
    """Genuine notices evenly over the time that the forged ones take, which come so many a second, answered or not.

    A connection that still waits for its answer is late for its next one, and then sends it at once. Seconds are
    counted from when a notice was due, not from when it could be sent.
    """

    def __init__(self, url: str, per_s: int) -> None:
        self.url, self.per_s = httpx.URL(url), per_s
        self.took: dict[bool, list[float]] = {True: [], False: []}
        self.lasted_s = 0.0

    async def run(self, letters: list[Letter]) -> Self:
        genuine, forged = ([each for each in letters if each[0] is kind] for kind in (True, False))
        self.began = time.perf_counter()
        waiting = iter(enumerate(forged))
        rate = self.per_s * len(genuine) / len(forged) if forged else self.per_s
        async with httpx.AsyncClient(base_url=self.url, timeout=30, trust_env=False) as http:
            connections = [self._strangers(waiting) for _ in range(CONNECTIONS)]
            await asyncio.gather(*connections, *(self._wechat(http, n / rate, each) for n, each in enumerate(genuine)))
        self.lasted_s = time.perf_counter() - self.began
        return self

    async def _strangers(self, waiting: Iterator[tuple[int, Letter]]) -> None:
        """One connection, without a library: what sends must not be what is slow."""
        reader, writer = await asyncio.open_connection(self.url.host, self.url.port)
        for number, (_, headers, body) in waiting:
            await self._due(number / self.per_s)
            head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            writer.write(
                f"POST /wechat/pay/notify HTTP/1.1\r\nhost: shop\r\n{head}content-length: {len(body)}\r\n\r\n".encode()
                + body
            )
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"\r\ncontent-length: (\d+)", answer)
            assert length is not None, answer
            answer += await reader.readexactly(int(length[1]))
            assert answer.split()[1] == b"401", answer
            self._answered(False, number / self.per_s)
        writer.close()

    async def _wechat(self, http: httpx.AsyncClient, due_s: float, letter: Letter) -> None:
        await self._due(due_s)
        answer = await http.post("/wechat/pay/notify", content=letter[2], headers=letter[1])
        assert answer.status_code == 204, answer.text
        self._answered(True, due_s)

    async def _due(self, at_s: float) -> None:
        await asyncio.sleep(self.began + at_s - time.perf_counter())

    def _answered(self, genuine: bool, due_s: float) -> None:
        self.took[genuine].append(time.perf_counter() - self.began - due_s)
