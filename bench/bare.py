"""The limit of a page: the same framework and server, as many workers, one route that answers a constant.

`python -m bench.bare PORT WORKERS FILE`: the file is a real answer of the shop. No middleware, no log, nothing looked
up; the options of the server are those of `shop/commands/serve.py`.
"""

import os
import sys
from pathlib import Path

from granian import Granian
from granian.constants import Interfaces, Loops
from litestar import Litestar, MediaType, Response, get

_ANSWER = "BENCH_BARE_ANSWER"


def application() -> Litestar:
    """One route, `/`."""
    content = Path(os.environ[_ANSWER]).read_bytes()

    @get("/", media_type=MediaType.JSON)
    async def answer() -> Response[bytes]:
        return Response(content, media_type=MediaType.JSON)

    return Litestar([answer], openapi_config=None, logging_config=None)


def main() -> None:
    """Serve until SIGTERM."""
    port, workers, file = sys.argv[1:]
    os.environ[_ANSWER] = file
    Granian(
        "bench.bare:application",
        factory=True,
        interface=Interfaces.ASGI,
        address="127.0.0.1",
        port=int(port),
        workers=int(workers),
        loop=Loops.uvloop,
        backlog=1024,
        websockets=False,
        log_enabled=False,
        log_access=False,
    ).serve()


if __name__ == "__main__":
    main()
