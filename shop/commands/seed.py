"""Fill an empty shop: categories, products, freight, an operator."""

import asyncio
from argparse import ArgumentParser, Namespace

from shop import seeding, settings


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--products", type=int, help="how many products in all, up to 100000")


def run(arguments: Namespace) -> None:
    asyncio.run(seeding.run(settings.read(), products=arguments.products))
