"""`python -m shop serve | work | migrate | seed | demo | doctor | audit | reconcile | partition | openapi`."""

import argparse
import asyncio
import gc
import os
import sys

import msgspec
from granian import Granian
from granian.constants import Interfaces, Loops
from litestar import Litestar

import shop.partitioning
import shop.reconciling
import shop.seeding
import shop.worker
from kit import hosts, log
from kit.parent import end_with_parent
from kit.web import counting
from kit.web.leaving import leave_slowly
from shop import schema, settings
from shop.app import clock_of, create_app
from shop.demo import play
from shop.doctor import audit as books
from shop.doctor import visit

_FINISH_S = 10
"""A request under way when the door closes may take so long."""


def application() -> Litestar:
    """What each server process runs. Granian's processes go on after a SIGKILL of their main one: ours do not."""
    end_with_parent()
    found = settings.read()
    log.configure(readable=False)
    counting.join()
    gc.disable()
    app = create_app(found)
    gc.freeze()  # what is there now stays: no later collection looks at it again
    gc.enable()
    leave_slowly(app, found.drain_s)
    return app


def serve(arguments: argparse.Namespace) -> None:
    """Serve HTTP until SIGTERM or SIGINT."""
    found = settings.read()
    workers = arguments.workers or (len(os.sched_getaffinity(0)) if found.production else 1)
    server = Granian(
        "shop.__main__:application",
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


def work(_arguments: argparse.Namespace) -> None:
    """Work on jobs and deadlines until SIGTERM or SIGINT."""
    asyncio.run(shop.worker.run(settings.read()))


def migrate(_arguments: argparse.Namespace) -> None:
    """Bring the schema to the newest revision, and the application's role to its rights."""
    found = settings.read()
    asyncio.run(schema.migrate(found.database_owner_url, hosts.role(found.database_url)))


def seed(arguments: argparse.Namespace) -> None:
    """Fill an empty shop: categories, products, freight, an operator."""
    asyncio.run(shop.seeding.run(settings.read(), products=arguments.products))


def demo(_arguments: argparse.Namespace) -> None:
    """Watch a purchase, from sign-in to refund, by HTTP only; then an audit in SQL."""
    raise SystemExit(play.run())


def doctor(arguments: argparse.Namespace) -> None:
    """Look at settings, keys, WeChat, database and worker without changing anything; exit code 1 when one is wrong."""
    raise SystemExit(visit.run(as_json=arguments.json, wait_s=arguments.wait_s))


def audit(arguments: argparse.Namespace) -> None:
    """Check every invariant of the books in one read-only snapshot; exit code 1 when one is broken."""
    found = settings.read()
    moment = clock_of(found).now() if arguments.record else None
    url = found.database_direct_url
    raise SystemExit(books.run(url, as_json=arguments.json, timeout_s=arguments.timeout_s, record_at=moment))


def reconcile(arguments: argparse.Namespace) -> None:
    """Match days with WeChat Pay's bills, three ways; exit code 0 only when all agrees."""
    raise SystemExit(asyncio.run(shop.reconciling.run(settings.read(), arguments)))


def partition(arguments: argparse.Namespace) -> None:
    """Divide a table that grows for ever by time, while the shop works; exit code 1 when it cannot be now."""
    raise SystemExit(shop.partitioning.run(settings.read().database_owner_url, arguments))


def openapi(_arguments: argparse.Namespace) -> None:
    """Print the OpenAPI document."""
    app = create_app(settings.placeholder())
    document = app.openapi_schema.to_schema()
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shop", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for command in (serve, work, migrate, seed, demo, doctor, audit, reconcile, partition, openapi):
        added = commands.add_parser(command.__name__, help=(command.__doc__ or "").splitlines()[0])
        added.set_defaults(run=command)
        if command is serve:
            added.add_argument("--workers", type=int, help="processes; default: one in dev, one per core in production")
        if command is seed:
            added.add_argument("--products", type=int, help="how many products in all, up to 100000")
        if command in (doctor, audit):
            added.add_argument("--json", action="store_true", help="the report as JSON")
        if command is doctor:
            added.add_argument("--wait-s", type=float, default=15.0, help="how long an echo may take (%(default)s)")
        if command is reconcile:
            shop.reconciling.add_arguments(added)
        if command is partition:
            shop.partitioning.add_arguments(added)
        if command is audit:
            added.add_argument("--timeout-s", type=int, default=books.TIMEOUT_S, help="for each question (%(default)s)")
            added.add_argument("--record", action="store_true", help="write down what was found, for the metrics")
    return parser


def main() -> None:
    arguments = _parser().parse_args()
    if os.environ.get("SHOP_WITH_PARENT") == "1":
        end_with_parent()
    log.configure(readable=sys.stderr.isatty())
    arguments.run(arguments)


if __name__ == "__main__":
    main()
