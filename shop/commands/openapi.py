"""Print the OpenAPI document."""

import sys
from argparse import Namespace

import msgspec

from shop import settings
from shop.app import create_app


def run(_arguments: Namespace) -> None:
    app = create_app(settings.placeholder())
    document = app.openapi_schema.to_schema()
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n")
