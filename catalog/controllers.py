"""What the Mini Program calls."""

from typing import Any

ROUTES: list[Any] = []
