"""`python -m shop partition <table>`: what is asked for, and what is said about it."""

import asyncio
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace

from shop.partitioning.conversion import CannotPartition, Report, convert
from shop.partitioning.spans import MIN_ROWS, ROWS, TABLES


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--rows", type=_rows, default=ROWS, help="ids in one partition (%(default)s)")


def _rows(text: str) -> int:
    if not text.isdecimal() or int(text) < MIN_ROWS:
        message = f"{text!r} is not a number from {MIN_ROWS}"
        raise ArgumentTypeError(message)
    return int(text)


def run(owner_url: str, arguments: Namespace) -> int:
    """Divide the table and say what was done. 0: it is divided; 1: it stays as it was."""
    try:
        report = asyncio.run(convert(owner_url, arguments.table, arguments.rows))
    except CannotPartition as error:
        sys.stderr.write(f"Cannot partition: {error}\n")
        return 1
    sys.stdout.write("\n".join(lines(report)) + "\n")
    return 0


def lines(report: Report) -> list[str]:
    """The report for people."""
    if report.bound is None:
        return [f"{report.table} is divided already; partitions made ahead: {report.made}."]
    return [
        f"{report.table}: ids below {report.bound} are its first partition, as they were.",
        f"  every row checked in {report.checked_s:.1f} s, beside the running shop",
        f"  closed for {report.locked_ms:.0f} ms, at try {report.tries}",
        f"  partitions made ahead: {report.made}; from now on the worker makes them",
    ]
