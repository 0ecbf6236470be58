"""Runs the world on Granian, inside this very process: no worker is left behind when it is killed."""

import asyncio
import os
import signal
from pathlib import Path

from granian.constants import Interfaces
from granian.server.embed import Server

from sandbox import clockwork, merchant_env
from sandbox.app import create_app
from sandbox.keyring import Account
from sandbox.world import open_world

GRACE_S = 0.5
"""How long requests under way are waited for when the program is asked to end."""


async def serve(
    folder: Path,
    host: str,
    port: int,
    key_mode: str | None,
    *,
    app_id: str | None = None,
    app_secret: str | None = None,
    account: Account | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or the parent's end."""
    reachable = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound
    world = open_world(folder, f"http://{reachable}:{port}", app_id=app_id, app_secret=app_secret, account=account)
    if key_mode is not None:
        world.knobs.key_mode = key_mode  # type: ignore[assignment]  # argparse has checked the choice
        world.keep_knobs()
    merchant_env.write(world)
    server = Server(
        create_app(world), address=host, port=port, interface=Interfaces.ASGI, websockets=False, log_enabled=False
    )

    def leave() -> None:
        # A caller held by a timeout fault, or a browser's open connection, must not keep the program alive.
        asyncio.get_running_loop().call_later(GRACE_S, os._exit, 0)
        server.stop()  # type: ignore[no-untyped-call]

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave)
    watch = asyncio.create_task(clockwork.watch_parent(leave))
    await server.serve()
    watch.cancel()
