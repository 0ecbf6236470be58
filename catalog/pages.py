"""The catalog's public answers, kept as bytes; the stock in them is looked after twice a second while somebody asks.

Context: lists and products are asked a hundred times as often as they change, but what they say of stock must be of
now. Decision: an answer is encoded once with places for its stock; those of which something has moved are filled again
with what the look that saw it brought along (`catalog.flow`). A change of a product ends its answers in every process
(`kit.news`): its page and the lists that show it; every list where it may have come, gone or moved. Consequence: the
second request touches neither routing nor a table. Alternative: an outer cache, which would know neither.
"""

import re
import time
from collections.abc import Sequence
from typing import Final

from catalog import categories, detail, listing
from catalog.detail import Found, ProductNotFound
from catalog.flow import Flow
from catalog.levels import Levels
from catalog.listing import Wish
from catalog.packing import Packed, Packing
from catalog.printing import Page, printed
from kit.database import Database
from kit.gathering import Gathering
from kit.memory import Memory
from kit.news import News
from kit.web.shelf import Answer, Asked, Find, key_of

STOCK_LIVES_S: Final = 0.9
"""Stock that is shown is younger than a second; what is ordered is decided by the stock of now."""
_LIVE_S: Final = 300.0
"""Then a product or a list is read anew although nobody changed it: how often something was sold is told to nobody."""
_DETAILS_BYTES: Final = 24 * 1024 * 1024
_LISTS_BYTES: Final = 8 * 1024 * 1024
"""Apart, so that made-up searches push no product out."""
_PRODUCT: Final = "getProduct"
_BURST_S: Final = 0.1
_MOST_IN_A_BURST: Final = 20
"""So many changed products are looked for in all lists, which takes a millisecond each; then all lists are forgotten."""
_LONGEST_KEY: Final = 512
"""What is asked in more words is remembered by nobody: words are not weighed, and anybody may make them up."""
# Asked again each time, and answered 304 while nothing changed: stock and prices are never stale.
_ASK_AGAIN: Final = b"public, no-cache"
_A_MINUTE: Final = b"public, max-age=60"


class Pages:
    """`key` is what was asked (`kit.web.shelf.key_of`); `under` is where the catalog's routes are mounted."""

    def __init__(self, db: Database, news: News, *, under: str = "/api/v1") -> None:
        self._db = db
        self._news = news
        self._levels = Levels(db)
        self._flow = Flow(db)
        self._changed_at = float("-inf")
        self._burst_at, self._burst = float("-inf"), 0
        self._detail_path = f"{under}/products/".encode()
        self._detail_key = re.compile(self._detail_path + rb"([1-9][0-9]{0,15})\?")
        self.finds: dict[str, Find] = {f"{under}/products": self.find, f"{under}/categories": self.find}
        """For `kit.web.shelf`."""
        self._packing = Packing(_PRODUCT, _ASK_AGAIN)
        self._details: Memory[bytes, Packed] = Memory(news, size=_DETAILS_BYTES, lives_s=_LIVE_S, weigh=Packed.weight)
        self._lists: Memory[bytes, Page] = Memory(news, size=_LISTS_BYTES, lives_s=_LIVE_S, weigh=Page.weight)
        self._reads: Gathering[int, Found] = Gathering(self._read_details, most=64)
        news.on("product", self._product_changed)
        news.on("listing", self._lists_changed)
        news.on("category", self._lists_changed)

    async def find(self, scope: Asked) -> Answer | None:
        """An answer that was given before and still holds, its stock of now; or any product.

        Raises `ProductNotFound` (404), `DatabaseUnavailable`.
        """
        key = key_of(scope)
        if not key.startswith(self._detail_path):
            page = self._lists.find(key)
            return None if page is None else await self._stocked(page)
        packed = self._details.find(key)
        if packed is not None:
            page = await self._stocked(self._packing.unpack(packed))
            self._packing.renew(packed, page)
            return page
        plain = self._detail_key.fullmatch(key)
        if plain is None:
            return None
        scope["operation"] = _PRODUCT  # also of a refusal
        return await self.product(key, int(plain[1]))

    async def product(self, key: bytes, product_id: int) -> Answer:
        """Raises `ProductNotFound` (404)."""
        reading, turn = self._details.reading(), self._flow.turn
        found = await self._reads.get(product_id)
        if found is None:
            raise ProductNotFound
        page = printed(_PRODUCT, _ASK_AGAIN, found.shown, skus=tuple(found.skus), stock_at=reading[0], turn=turn)
        if key == self._key(product_id):  # the one by which a change of it is found
            self._details.keep(key, self._packing.pack(page), reading)
        return page

    async def products(self, key: bytes, wish: Wish) -> Answer:
        """Raises `InvalidInput` (400) for a cursor of another list."""
        as_of = self._as_of()
        reading = (as_of, self._lists.reading()[1])  # it may know no more than that
        found = await self._db.reading(lambda connection: listing.read(connection, wish), as_of=as_of)
        page = printed("listProducts", _ASK_AGAIN, found.page, places=found.skus, turn=self._flow.turn)
        page.by_price = wish.by_price
        page.fill(await self._levels.of(page.skus))
        if not wish.in_stock:  # whether a product is in such a list changes with each sale
            self._keep_list(key, page, reading)
        return page

    async def categories(self, key: bytes) -> Answer:
        """The whole tree."""
        reading = self._lists.reading()
        async with self._db.bare() as connection:
            tree = await categories.tree(connection)
        page = printed("listCategories", _A_MINUTE, tree, places=())
        self._keep_list(key, page, reading)
        return page

    def _keep_list(self, key: bytes, page: Page, reading: tuple[float, int]) -> None:
        if len(key) <= _LONGEST_KEY:
            self._lists.keep(key, page, reading)

    async def _stocked(self, page: Page) -> Page:
        if not page.skus:
            return page
        flow, now = self._flow, time.monotonic()
        if now - flow.at > STOCK_LIVES_S:
            await flow.look()
        elif now - flow.at > STOCK_LIVES_S / 2 and not flow.expected:
            flow.soon()  # whoever asks next need not wait
        turn = flow.turn
        if page.turn != turn and now - page.stock_at > STOCK_LIVES_S:
            moved = flow.moved(page.skus, page.turn)
            if moved is None or (moved and not page.follow(moved, flow.pieces, flow.at)):
                page.fill(await self._levels.of(page.skus))
            page.turn = turn
        return page

    async def _read_details(self, product_ids: Sequence[int]) -> dict[int, Found]:
        async with self._db.bare() as connection:
            return await detail.read(connection, product_ids)

    def _as_of(self) -> float:
        """What a list must know: every change that was heard of, and the stock of a moment ago; without news, all."""
        now = time.monotonic()
        return max(self._changed_at, now - STOCK_LIVES_S) if self._news.holds(float("-inf")) else now

    def _key(self, product_id: int) -> bytes:
        return b"%b%d?" % (self._detail_path, product_id)

    def _product_changed(self, product_id: str | None) -> None:
        self._changed_at = time.monotonic()
        if product_id is None:
            self._lists.forget_all()
            self._details.forget_all()
            return
        self._details.forget(self._key(int(product_id)))
        if self._changed_at - self._burst_at > _BURST_S:
            self._burst_at, self._burst = self._changed_at, 0
        self._burst += 1
        if self._burst > _MOST_IN_A_BURST:
            self._lists.forget_all()
            return
        shown = b'{"id":"%d",' % int(product_id)  # quotes in a title are written otherwise: nothing else looks like it
        self._lists.forget_where(lambda page: page.by_price or shown in page.body)

    def _lists_changed(self, _id: str | None) -> None:
        """Which products are in a list, or in which order, is another: so it may be in any."""
        self._changed_at = time.monotonic()
        self._lists.forget_all()
