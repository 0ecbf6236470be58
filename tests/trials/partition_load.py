"""Writers as the shop writes, in a process of their own: each transaction locks an order, logs a remark, writes an audit
entry, reserves pieces and gives them back. They go on until their input ends, then say how it went, as JSON."""

import asyncio
import json
import random
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from catalog import stock
from kit import audit
from kit.database import Database
from kit.errors import Problem
from shop import schema
from shop.orders import history

CONNECTIONS = 4


class Writers:
    def __init__(self, url: str, orders: int, skus: int) -> None:
        self.db = Database(url, pool_size=CONNECTIONS, name="writers")
        self.orders, self.skus = orders, skus
        self.spans: list[tuple[float, float]] = []
        """When each transaction began, and how long it took, in seconds."""
        self.refused: Counter[str] = Counter()
        self.over = False

    async def write(self, number: int) -> None:
        choose = random.Random(number)
        while not self.over:
            began, no = time.time(), f"D{choose.randint(1, self.orders)}"
            wants = [stock.Want(sku, 1) for sku in choose.sample(range(1, self.skus + 1), 2)]
            try:
                await self._one(no, wants)
            except Problem as error:
                self.refused[type(error).__name__] += 1
            else:
                self.spans.append((began, time.time() - began))

    async def _one(self, no: str, wants: list[stock.Want]) -> None:
        at = datetime.now(UTC)
        told: dict[str, Any] = {"ref": no, "actor": "test", "at": at}
        async with self.db.begin() as session:
            order = await history.lock(session, no)
            history.remark(session, order, what="remark", by="test", at=at)
            await session.flush()
            await audit.record(session, at=at, actor="test", action="order.remark", subject=("order", no))
            await stock.reserve(session, wants, **told)
            await stock.release(session, wants, **told)

    async def run(self, number: int) -> None:
        tasks = [asyncio.create_task(self.write(number * CONNECTIONS + n)) for n in range(CONNECTIONS)]
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        self.over = True
        await asyncio.gather(*tasks)
        await self.db.close()
        json.dump({"spans": self.spans, "refused": self.refused}, sys.stdout)


if __name__ == "__main__":
    schema.load_models()
    url, orders, skus, number = sys.argv[1:]
    asyncio.run(Writers(url, int(orders), int(skus)).run(int(number)))
