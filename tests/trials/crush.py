"""Far too many clients at once, in a process of its own: `crush.py PORT CLIENTS` and a JSON list of
`[member's token, wish]` in its input. It goes on until its input ends, then says what was answered, as JSON.

Its HTTP is written by hand: a client's library would take more of this machine than the shop.
"""

import asyncio
import json
import secrets
import sys
from collections import Counter
from contextlib import suppress
from typing import Any


class Crowd:
    def __init__(self, port: int, members: list[Any]) -> None:
        self.port, self.members = port, members
        self.statuses: Counter[str] = Counter()
        self.over = False

    async def press(self, number: int) -> None:
        token, wish = self.members[number % len(self.members)]
        while not self.over:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                self.statuses["no connection"] += 1
                await asyncio.sleep(0.1)
                continue
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                while not self.over:
                    for text in self._asks(token, wish):
                        writer.write(text)
                        self.statuses[await _status(reader)] += 1
            writer.close()

    def _asks(self, token: str, wish: dict[str, Any]) -> list[bytes]:
        lines = json.dumps({"lines": wish["lines"]}).encode()
        return [
            _request("GET", "/api/v1/products?limit=20", token),
            _request("POST", "/api/v1/checkout/preview", token, lines),
            _request("GET", "/api/v1/orders", token),
            _request("POST", "/api/v1/orders", token, json.dumps(wish).encode()),
        ]


def _request(method: str, path: str, token: str, body: bytes = b"") -> bytes:
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: shop.example",
        f"Authorization: Bearer {token}",
        f"Idempotency-Key: {secrets.token_hex(12)}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def _status(reader: asyncio.StreamReader) -> str:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    size = head.partition("content-length:")[2].partition("\r\n")[0].strip()
    await reader.readexactly(int(size or 0))
    return head.split(" ")[1]


async def main(port: int, clients: int) -> None:
    loop = asyncio.get_running_loop()
    crowd = Crowd(port, json.loads(await loop.run_in_executor(None, sys.stdin.readline)))
    tasks = [asyncio.create_task(crowd.press(number)) for number in range(clients)]
    await loop.run_in_executor(None, sys.stdin.read)
    crowd.over = True
    _, late = await asyncio.wait(tasks, timeout=30)
    for task in late:
        task.cancel()
    json.dump(crowd.statuses, sys.stdout)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
