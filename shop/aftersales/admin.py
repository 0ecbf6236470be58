"""What staff call."""

from typing import Any

ROUTES: list[Any] = []
