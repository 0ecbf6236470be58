"""Tables that grow for ever, divided by time while the shop works: `python -m shop partition <table>`.

Context: stock movements, the orders' log and the audit log only ever grow; one day their indexes outgrow memory, and
what is years old should lie on cheaper disks. Decision: RANGE of the identity `id`, which runs with time, so that a
partition is a span of time while primary key, keyset reads and every query stay as they are; the table as it stands
becomes the first partition, without a row moved; partitions live in the schema `partitions`, where neither the
application's role nor the comparison of models and migrations meets them. Consequence: a query that names no `id` asks
every partition's index. Alternative: by `at`, which would have to become a part of the primary key.

There is no default partition: it could not be taken apart without a lock (`DETACH … CONCURRENTLY` refuses), and with
three spans ahead there is time. Why ledger and notices are not divided: `docs/growing.md`.
"""

from shop.partitioning.command import add_arguments, run
from shop.partitioning.conversion import CannotPartition, Report, convert
from shop.partitioning.spans import ROWS, TABLES, Headroom, headroom, make_ahead

__all__ = [
    "ROWS",
    "TABLES",
    "CannotPartition",
    "Headroom",
    "Report",
    "add_arguments",
    "convert",
    "headroom",
    "make_ahead",
    "run",
]
