"""Serve HTTP until SIGTERM or SIGINT."""

import gc
import os
from argparse import ArgumentParser, Namespace
from functools import cache

from granian import Granian
from granian.constants import Interfaces, Loops
from litestar import Litestar

from kit import log
from kit.parent import end_with_parent
from kit.trimming import trim_regularly
from kit.web import counting
from kit.web.leaving import leave_slowly
from shop import settings
from shop.app import create_app

_YOUNG = 10_000
"""Objects that came and stayed, before they are searched for circles. Requests that wait hold a few thousand: at Python's
own 700 they are looked over a hundred times a second, and nearly none is a circle."""
_FINISH_S = 10
"""A request under way when the door closes may take so long."""


@cache
def _made() -> Litestar:
    """The shop, made once and by the main process: those that it forks have it at once, and share its memory.

    Nothing in it may be open yet, nor random: what connects does so when it is first asked.
    """
    gc.disable()
    app = create_app(settings.read())
    gc.freeze()  # what is there now stays: no later collection looks at it again
    gc.enable()
    return app


def application() -> Litestar:
    """What each server process runs. Granian's processes go on after a SIGKILL of their main one: ours do not."""
    end_with_parent()
    log.configure(readable=False)
    counting.join()
    app = _made()
    gc.set_threshold(_YOUNG, 10, 10)
    trim_regularly()
    leave_slowly(app, settings.read().drain_s)
    return app


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--workers", type=int, help="processes; default: one in dev, one per core in production")


def run(arguments: Namespace) -> None:
    found = settings.read()
    _made()
    workers = arguments.workers or (len(os.sched_getaffinity(0)) if found.production else 1)
    server = Granian(
        "shop.commands.serve:application",
        factory=True,
        interface=Interfaces.ASGI,
        address=found.host,
        port=found.port,
        workers=workers,
        loop=Loops.uvloop,
        backlog=1024,
        websockets=False,
        log_enabled=True,
        log_access=False,
        workers_kill_timeout=found.drain_s + _FINISH_S,
        respawn_failed_workers=True,
    )
    with counting.together():
        server.serve()
