"""A member's order is placed before routing: in a rush, routing, injection and validation cost more than the order.

What is not plainly said goes the long way and is answered or refused there; refusals here are in the same words.
"""

from collections.abc import Mapping

import msgspec
import structlog

from kit import idempotency
from kit.clock import Clock
from kit.database import Database
from kit.errors import invalid
from kit.fields import as_id
from kit.web.headers import values
from kit.web.idempotent import key_said
from kit.web.limits import Limiter
from kit.web.problems import language_said
from kit.web.request import Incoming, is_json, posted
from kit.web.shelf import Answer, Asked, Take
from shop.members.edge import member_of
from shop.members.sessions import Sessions, SignedIn
from shop.orders import views
from shop.orders.checkout import PriceChanged, Wish
from shop.orders.drafts import OPERATION, Ask
from shop.orders.own_pages import PATH
from shop.orders.placing import Placing
from shop.orders.schemas import PlaceWish, PreviewWish


class OwnPlacing:
    """For `kit.web.shelf`; the route uses `place`."""

    def __init__(self, db: Database, sessions: Sessions, limiter: Limiter, clock: Clock) -> None:
        self._placing = Placing(db)
        self._sessions = sessions
        self._limiter = limiter
        self._clock = clock

    @property
    def takes(self) -> Mapping[str, Take]:
        return {PATH: self.take}

    async def place(self, member: SignedIn, data: PlaceWish, key: str, language: str) -> bytes:
        """An `OrderDetail`. Raises as `Placing.place`, and `InvalidInput` (400), `TooManyRequests` (429)."""
        self._limiter.may_order(member.member_id)
        ask = Ask(
            member=member,
            wish=wish_of(data),
            expected_fen=data.expected_pay_fen,
            intent=idempotency.intent(member.label, OPERATION, key, data),
            at=self._clock.now(),
            language=language,
        )
        try:
            placed = await self._placing.place(ask)
        except PriceChanged as changed:
            changed.facts["preview"] = views.preview(changed.facts.pop("considered"), language)
            raise
        self._limiter.ordered(member.member_id)
        structlog.contextvars.bind_contextvars(order=placed.no)
        return placed.body

    async def take(self, scope: Asked, incoming: Incoming) -> Answer | None:
        """Place what is plainly wished. Raises what the route raises."""
        key = key_said(scope)
        if key is None or not is_json(values(scope, b"content-type")):
            return None
        scope["operation"] = OPERATION
        member = await member_of(scope, self._sessions, self._limiter)
        data = await posted(scope, incoming, PlaceWish)
        language = language_said(*values(scope, b"accept-language"))
        return Answer(OPERATION, await self.place(member, data, key, language), status=201)


def wish_of(data: PreviewWish) -> Wish:
    """Raises `InvalidInput` (400)."""
    if data.from_cart and data.lines:
        raise invalid("lines", "give either lines or fromCart, not both")
    return Wish(
        lines=[(as_id(line.sku_id), line.quantity) for line in data.lines],
        from_cart=data.from_cart,
        address_id=as_id(data.address_id) if data.address_id else None,
        note=data.note if isinstance(data, PlaceWish) else "",
        source=msgspec.to_builtins(data.source) if isinstance(data, PlaceWish) else {},
    )
