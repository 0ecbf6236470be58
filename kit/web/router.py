"""A router of one application.

Litestar copies a router with everything beneath it when it is registered, in case it is registered elsewhere as well: for
two hundred routes that is a tenth of a start. Their handlers are copied one by one in any case.
"""

from typing import Any

from litestar import Router


class OnlyRouter(Router):
    """Registered at one application and nowhere else, so that it need not be copied."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "OnlyRouter":
        return self
