"""What happens by itself as business time passes: what is due takes its step, notices go out."""

import asyncio
import os
from collections.abc import Callable

from sandbox import happenings
from sandbox.notices.postman import Postman
from sandbox.world import World

LONGEST_SLEEP_S = 60.0
WATCH_S = 0.3


async def run(world: World, postman: Postman) -> None:
    """Turn until cancelled; woken by anything that sets ``world.changed``."""
    while True:
        world.changed.clear()
        happenings.settle_due(world)
        postman.send_due()
        try:
            async with asyncio.timeout(_sleep_s(world, postman)):
                await world.changed.wait()
        except TimeoutError:
            pass


def _sleep_s(world: World, postman: Postman) -> float:
    moments = [at for at in (postman.idle_until(), happenings.next_due(world)) if at is not None]
    wait_s = min(moments) - world.clock.now() if moments else LONGEST_SLEEP_S
    return min(max(wait_s, 0.005), LONGEST_SLEEP_S)


async def watch_parent(leave: Callable[[], None]) -> None:
    """End with whoever started us, so that nothing is left running that would have to be found and ended."""
    parent = os.getppid()
    while os.getppid() == parent:  # noqa: ASYNC110 - the kernel has no event for it that would be portable
        await asyncio.sleep(WATCH_S)
    leave()
