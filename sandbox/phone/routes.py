"""The buyer's telephone as a web page; it uses the levers like anybody else."""

from litestar.types import ControllerRouterHandler

from sandbox.world import World


def handlers(world: World) -> list[ControllerRouterHandler]:
    """The page, its style and script, and the one answer it polls."""
    return []
