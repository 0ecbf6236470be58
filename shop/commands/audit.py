"""Check every invariant of the books in one read-only snapshot; exit code 1 when one is broken."""

from argparse import ArgumentParser, Namespace

from shop import settings
from shop.app import clock_of
from shop.doctor import audit as books


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    parser.add_argument("--timeout-s", type=int, default=books.TIMEOUT_S, help="for each question (%(default)s)")
    parser.add_argument("--record", action="store_true", help="write down what was found, for the metrics")


def run(arguments: Namespace) -> None:
    found = settings.read()
    moment = clock_of(found).now() if arguments.record else None
    url = found.database_direct_url
    raise SystemExit(books.run(url, as_json=arguments.json, timeout_s=arguments.timeout_s, record_at=moment))
