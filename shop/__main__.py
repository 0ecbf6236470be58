"""`python -m shop serve | work | migrate | seed | demo | doctor | audit | reconcile | partition | openapi`."""

import argparse
import gc
import os
import sys
from importlib import import_module

from kit.needless import leave_out, put_off

leave_out("rich", "httpx._main")  # of structlog's tracebacks for terminals, and of httpx's command line

from kit import log  # noqa: E402
from kit.parent import end_with_parent  # noqa: E402

_NEEDLESS = {"serve": ("annotated_types", "attr", "dotenv", "pydantic", "trio")}
"""What Litestar, Granian and httpcore look for: 12 MiB, and a twentieth of a start. (The worker's queue needs pydantic.)"""
_LATER = ("yaml",)
"""What Litestar imports for a page that nobody may ask for."""
COMMANDS = {
    "serve": "Serve HTTP until SIGTERM or SIGINT.",
    "work": "Work on jobs and deadlines until SIGTERM.",
    "migrate": "Bring the schema to the newest revision, and the application's role to its rights.",
    "seed": "Fill an empty shop: categories, products, freight, an operator.",
    "demo": "Watch a purchase, from sign-in to refund, by HTTP only; then an audit in SQL.",
    "doctor": "Look at settings, keys, WeChat, database and worker without changing anything; exit code 1 when one is wrong.",
    "audit": "Check every invariant of the books in one read-only snapshot; exit code 1 when one is broken.",
    "reconcile": "Match days with WeChat Pay's bills, three ways; exit code 0 only when all agrees.",
    "partition": "Divide a table that grows for ever by time, while the shop works; exit code 1 when it cannot be now.",
    "openapi": "Print the OpenAPI document.",
}
"""Said here too, so that the list of commands need not import them."""


def _arguments(given: list[str]) -> argparse.Namespace:
    """Of the command that is meant only that one is imported: `serve` must be there soon."""
    meant = next((word for word in given if word in COMMANDS), None)
    parser = argparse.ArgumentParser(prog="python -m shop", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in COMMANDS.items():
        added = commands.add_parser(name, help=text, description=text)
        if name == meant:
            leave_out(*_NEEDLESS.get(name, ()))
            put_off(*_LATER)
            command = import_module(f"shop.commands.{name}")
            added.set_defaults(run=command.run)
            if hasattr(command, "add_arguments"):
                command.add_arguments(added)
    return parser.parse_args(given)


def main() -> None:
    gc.disable()  # modules stay: to look them over again and again takes a tenth of a start
    arguments = _arguments(sys.argv[1:])
    gc.freeze()
    gc.enable()
    if os.environ.get("SHOP_WITH_PARENT") == "1":
        end_with_parent()
    log.configure(readable=sys.stderr.isatty())
    arguments.run(arguments)


if __name__ == "__main__":
    main()
