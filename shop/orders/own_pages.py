"""A member's own order pages as bytes, given before routing: of what members look at again and again, routing, injection
and validation cost more than the reading.

What is not plainly asked goes the long way and is answered or refused there; refusals here are in the same words.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, get_args
from urllib.parse import parse_qsl

import msgspec

from kit.clock import Clock
from kit.database import Database
from kit.fields import NO
from kit.paging import decode_cursor, encode_cursor
from kit.web.headers import values
from kit.web.limits import Limiter
from kit.web.problems import language_said
from kit.web.shelf import Answer, Asked, Find
from shop.members.edge import member_of
from shop.members.sessions import Sessions
from shop.orders import listing, views
from shop.orders.listing import Tab
from shop.orders.mine import MyOrders, PageWish

PATH: Final = "/api/v1/orders"
_NO = re.compile(NO)
_LIMIT = re.compile(r"[1-9][0-9]?|100")
_BESIDE: Final = frozenset({"counts"})
"""Routes of their own where a number might stand."""
LIMIT: Final = 20


class OwnPages:
    """For `kit.web.shelf`; the routes use `listed` and `one`."""

    def __init__(self, db: Database, sessions: Sessions, limiter: Limiter, clock: Clock) -> None:
        self._orders = MyOrders(db, clock)
        self._sessions = sessions
        self._limiter = limiter

    @property
    def finds(self) -> Mapping[str, Find]:
        return {PATH: self.find}

    async def listed(self, member_id: int, tab: Tab | None, cursor: str | None, limit: int, language: str) -> bytes:
        """A `Page[OrderView]`. Raises `InvalidInput` (400) for a cursor of something else."""
        states = None if tab is None else listing.TABS[tab]
        before = decode_cursor(cursor, (int,))[0] if cursor else None
        found = await self._orders.page(PageWish(member_id, states, before, limit, language))
        following = encode_cursor(found.last_id) if found.more and found.last_id is not None else None
        return b'{"items":[%b],"nextCursor":%b}' % (found.items, msgspec.json.encode(following))

    async def one(self, member_id: int, no: str, language: str) -> bytes:
        """An `OrderDetail`. Raises `OrderNotFound` (404)."""
        return views.own(await self._orders.get(member_id, no, language), language)

    async def find(self, scope: Asked) -> Answer | None:
        """What a member plainly asks for. Raises what the routes raise."""
        what = _asked(scope)
        if what is None:
            return None
        scope["operation"] = "getOrder" if isinstance(what, str) else "listOrders"  # also of a refusal
        member = await member_of(scope, self._sessions, self._limiter)
        language = language_said(*values(scope, b"accept-language"))
        if isinstance(what, str):
            body = await self.one(member.member_id, what, language)
        else:
            body = await self.listed(member.member_id, *what, language)
        return Answer(scope["operation"], body)


_ListAsked = tuple[Tab | None, str | None, int]


def _asked(scope: Asked) -> str | _ListAsked | None:
    """The number of an order, or which list; `None`: something else."""
    path: str = scope["path"]
    if path == PATH:
        return _list_asked(scope["query_string"])
    no = path[len(PATH) + 1 :]
    if no in _BESIDE or not _NO.match(no) or path[len(PATH)] != "/":
        return None
    scope["path_params"] = {"no": no}  # for the log line
    return no


def _list_asked(query: bytes) -> _ListAsked | None:
    if not query:
        return None, None, LIMIT
    pairs: Sequence[tuple[str, str]] = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    said = dict(pairs)
    tab, limit = said.pop("status", None), said.pop("limit", str(LIMIT))
    cursor = said.pop("cursor", None)
    if said or len(pairs) > 3 or cursor == "" or not _LIMIT.fullmatch(limit) or tab not in (None, *get_args(Tab)):
        return None
    return tab, cursor, int(limit)  # type: ignore[return-value]  # it is one of the tabs
