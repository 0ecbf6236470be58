"""`python dying.py`: the shop's code in a process that may be killed at any instant, many times a minute.

It imports everything once and then forks for each line it reads: `{"environment": …, "deed": …}`. The child's pid is
answered at once, its exit code when it has ended (0: the deed was done; 137 and -9: it died). For trials only.
"""

import asyncio
import json
import os
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import httpx

from kit import log
from shop.app import ShopPayee, clock_of, create_app, database_of, gateway_of
from shop.settings import read
from shop.worker import Worker


async def call(environment: dict[str, str], deed: dict[str, Any]) -> None:
    """A request to the API, over ASGI."""
    app = create_app(read(environment))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop", timeout=30) as client:
        body = b64decode(deed["body"]) if deed.get("body") else None
        answer = await client.post(deed["path"], headers=deed["headers"], content=body)
        assert answer.status_code in deed["fine"], answer.text


async def work(environment: dict[str, str], deed: dict[str, Any]) -> None:
    """One of the worker's own verbs: a sweep, or a job with its reference."""
    settings = read(environment)
    worker = Worker(database_of(settings), gateway_of(settings), ShopPayee(), clock_of(settings))
    if "job" in deed:
        await worker.handlers()[deed["job"]](deed["reference"])
    else:
        await getattr(worker, deed["sweep"])()


def act(line: str) -> None:
    order = json.loads(line)
    verb = call if "path" in order["deed"] else work
    asyncio.run(verb(order["environment"], order["deed"]))


def main() -> None:
    log.configure(readable=False)
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                act(line)
            except BaseException as trouble:  # noqa: BLE001  (told by the exit code and on stderr)
                print(repr(trouble), file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
