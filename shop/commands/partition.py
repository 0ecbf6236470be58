"""Divide a table that grows for ever by time, while the shop works; exit code 1 when it cannot be now."""

from argparse import Namespace

from shop import partitioning, settings

add_arguments = partitioning.add_arguments


def run(arguments: Namespace) -> None:
    raise SystemExit(partitioning.run(settings.read().database_owner_url, arguments))
