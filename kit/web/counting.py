"""What is counted of requests, by all processes of one server together: whoever asks for the metrics meets any of them.

Each process writes its counts into files of its own in a folder that they share (prometheus_client's multiprocess mode);
what is read from the database when somebody asks is the same in all of them.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest, values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

PREFIX: Final = "http_"
"""Of what is counted; everything else is read."""
_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
_OF_ONE_PROCESS: Final = ("process_", "python_")
"""The client's own, which make no sense of several."""


@contextmanager
def together() -> Iterator[None]:
    """Around the making of processes: those made inside may count together. Nothing is left afterwards."""
    with tempfile.TemporaryDirectory(prefix="shop-metrics-") as folder:
        os.environ[_FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[_FOLDER]


def join() -> None:
    """In a process that was made so, before it has counted anything."""
    if _FOLDER in os.environ:
        pid = os.getpid()  # asked once: by itself the client asks the system at each count
        values.ValueClass = values.MultiProcessValue(lambda: pid)  # type: ignore[no-untyped-call]


def text() -> bytes:
    """All of it, in Prometheus' format."""
    return generate_latest(_Shown())


class _Shown(CollectorRegistry):
    def collect(self) -> Iterator[Metric]:
        if _FOLDER not in os.environ:
            yield from REGISTRY.collect()
            return
        yield from (one for one in REGISTRY.collect() if not one.name.startswith((PREFIX, *_OF_ONE_PROCESS)))
        counted = MultiProcessCollector(None).collect()  # type: ignore[no-untyped-call]
        yield from (one for one in counted if one.name.startswith(PREFIX))
