"""Dependencies are handed over one after the other.

Litestar opens a task group for each request whose handler has two dependencies that do not need each other, which costs
more than all of them: ours are at hand, or (the session's look-up) the only one that waits. There is no switch for it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from litestar import Litestar
from litestar.di import Provide
from litestar.routes import HTTPRoute


def given(world: Mapping[str, Any]) -> dict[str, Provide]:
    """Each thing under its name, the same one for every request."""
    return {name: Provide(_give(thing), sync_to_thread=False) for name, thing in world.items()}


def _give(thing: Any) -> Callable[[], Any]:
    def provide() -> Any:
        return thing

    return provide


def one_after_the_other(app: Litestar) -> None:
    """Resolve the dependencies of every route in turn, in the order that they need each other."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for _, model in route.route_handler_map.values():
                model.dependency_batches = [{one} for batch in model.dependency_batches for one in batch]
