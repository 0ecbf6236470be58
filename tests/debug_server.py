"""The shop as `python -m shop serve` runs it, but talkative: `LOG_LEVEL` says how much."""

import os

from granian import Granian
from granian.constants import Interfaces, Loops
from litestar import Litestar

from kit import log
from kit.parent import end_with_parent
from shop import settings
from shop.app import create_app


def application() -> Litestar:
    end_with_parent()
    log.configure(level=os.environ.get("LOG_LEVEL", "info"), readable=False)
    return create_app(settings.read())


if __name__ == "__main__":
    found = settings.read()
    Granian(
        "debug_server:application",
        factory=True,
        interface=Interfaces.ASGI,
        address="127.0.0.1",
        port=found.port,
        workers=1,
        loop=Loops.uvloop,
        websockets=False,
        log_enabled=False,
    ).serve()
