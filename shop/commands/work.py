"""Work on jobs and deadlines until SIGTERM."""

import asyncio
from argparse import Namespace

from shop import settings, worker


def run(_arguments: Namespace) -> None:
    asyncio.run(worker.run(settings.read()))
