"""Bring the schema to the newest revision, and the application's role to its rights."""

import asyncio
from argparse import Namespace

from kit import hosts
from shop import schema, settings


def run(_arguments: Namespace) -> None:
    found = settings.read()
    asyncio.run(schema.migrate(found.database_owner_url, hosts.role(found.database_url)))
