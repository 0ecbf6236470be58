"""Look at settings, keys, WeChat, database and worker without changing anything; exit code 1 when one is wrong."""

from argparse import ArgumentParser, Namespace

from shop.doctor import visit


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    parser.add_argument("--wait-s", type=float, default=15.0, help="how long an echo may take (%(default)s)")


def run(arguments: Namespace) -> None:
    raise SystemExit(visit.run(as_json=arguments.json, wait_s=arguments.wait_s))
