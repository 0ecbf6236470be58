"""The workloads, by the names the README uses. Each is given the ground and returns its rows of the table."""

from collections.abc import Callable

from bench.ground import Ground
from bench.measuring import Row
from bench.workloads import day, flash, growth, lasting, notices, orders, pages, peers

Workload = Callable[[Ground], list[Row]]

ALL: dict[str, Workload] = {
    "W1": pages.lists,
    "W2": pages.details,
    "W3": pages.searches,
    "W4": orders.cart,
    "W5": orders.place,
    "W6": orders.look,
    "W7": notices.pay,
    "W8": flash.sale,
    "W9": day.mixed,
    "W10": growth.slower,
    "W11": lasting.start,
}
ON_DEMAND: dict[str, Workload] = {"peers": peers.beside}
"""Only when named: it needs Node.js, and a quarter of an hour to fill the other shop."""
