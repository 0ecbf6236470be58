"""Who acts, as data. `shop.admin` supplies the actor, the composition root wires it; features only ask.

So `catalog/admin.py` and `payments/admin.py` know who acts without importing upwards.
"""

from typing import Any

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from kit.errors import Forbidden, SignInNeeded


class Actor(msgspec.Struct, frozen=True):
    """A person of the staff (`kind` `staff`) or the program itself."""

    kind: str
    id: int
    name: str
    permissions: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        """For logs and audit: `staff:7`."""
        return f"{self.kind}:{self.id}"


class NotPermitted(Forbidden):
    """This account lacks the permission {permission}."""

    zh = "当前账号没有该权限：{permission}"


def actor_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Actor:
    """The signed-in member of staff. Raises `SignInNeeded`."""
    actor = connection.scope.get("actor")
    if not isinstance(actor, Actor):
        raise SignInNeeded
    return actor


def requires(permission: str) -> Any:
    """A Litestar guard: the actor must hold `permission` (`orders.ship`, `stock.adjust`, …)."""

    def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        if permission not in actor_of(connection).permissions:
            raise NotPermitted(permission=permission)

    guard.permission = permission  # type: ignore[attr-defined]
    return guard
