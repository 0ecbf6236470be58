"""A member's cart as bytes, looked at and added to before routing: of what is asked for so often, routing, injection and
validation cost more than the cart.

Refusals are in the words of the routes.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from kit.clock import Clock
from kit.database import Database
from kit.fields import as_id
from kit.web.headers import values
from kit.web.limits import Limiter
from kit.web.request import Incoming, is_json, posted
from kit.web.shelf import Answer, Asked, Find, Take
from shop.cart import schemas
from shop.cart.carts import Carts
from shop.cart.schemas import CartItemBody
from shop.cart.view import More
from shop.members.edge import member_of
from shop.members.sessions import Sessions

PATH: Final = "/api/v1/cart"
ITEMS: Final = f"{PATH}/items"


class OwnCart:
    """For `kit.web.shelf`; the routes use `whole` and `add`."""

    def __init__(self, db: Database, sessions: Sessions, limiter: Limiter, clock: Clock) -> None:
        self._carts = Carts(db)
        self._sessions = sessions
        self._limiter = limiter
        self._clock = clock

    @property
    def finds(self) -> Mapping[str, Find]:
        return {PATH: self.find}

    @property
    def takes(self) -> Mapping[str, Take]:
        return {ITEMS: self.take}

    async def whole(self, member_id: int) -> bytes:
        """A `CartView`. Raises `DatabaseUnavailable`."""
        return msgspec.json.encode(schemas.cart_view(await self._carts.whole(member_id)))

    async def add(self, member_id: int, item: CartItemBody) -> bytes:
        """The `CartView` with so many pieces more. Raises as `Carts.add`."""
        more = More(member_id, as_id(item.sku_id), item.quantity, self._clock.now())
        return msgspec.json.encode(schemas.cart_view(await self._carts.add(more)))

    async def find(self, scope: Asked) -> Answer | None:
        """The whole cart, where that is asked. Raises what the route raises."""
        if scope["path"] != PATH:
            return None
        scope["operation"] = "getCart"
        member = await member_of(scope, self._sessions, self._limiter)
        return Answer("getCart", await self.whole(member.member_id))

    async def take(self, scope: Asked, incoming: Incoming) -> Answer | None:
        """Put pieces of a SKU in, where that is plainly said. Raises what the route raises."""
        if not is_json(values(scope, b"content-type")):
            return None
        scope["operation"] = "addToCart"
        member = await member_of(scope, self._sessions, self._limiter)
        item = await posted(scope, incoming, CartItemBody)
        return Answer("addToCart", await self.add(member.member_id, item))
