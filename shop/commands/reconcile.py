"""Match days with WeChat Pay's bills, three ways; exit code 0 only when all agrees."""

import asyncio
from argparse import Namespace

from shop import reconciling, settings

add_arguments = reconciling.add_arguments


def run(arguments: Namespace) -> None:
    raise SystemExit(asyncio.run(reconciling.run(settings.read(), arguments)))
