"""A request's headers before there is a request."""

from collections.abc import Mapping
from typing import Any


def values(scope: Mapping[str, Any], name: bytes) -> list[str]:
    """All that was said under a name (in lower case), in order."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]
