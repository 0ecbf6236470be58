"""Where WeChat Pay's notifications arrive: those that come at the same moment are stored together, then handled together.

A notice is verified before it may wait, so that a stranger's costs nobody anything. It is answered when it is stored and
handled, and only then. What is plain is settled with the others (`bulk`); everything else by itself (`notices`).
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

import asyncpg
import msgspec
import structlog
from sqlalchemy import ARRAY, LargeBinary, Text

from kit.batching import Batching, Waiting
from kit.clock import Clock
from kit.database import Database, DatabaseUnavailable, Instant
from kit.held_up import is_held_up
from kit.statement import Statement
from payments import bulk, combined, notices
from payments.bulk import Paid
from payments.dispatch import PAYMENT
from payments.ports import Payee
from payments.trades import Trade
from payments.wechatpay import notification
from payments.wechatpay.keyring import CannotOpen, Keyring
from payments.wechatpay.notification import Envelope

log = structlog.get_logger()

_BESIDE = 4
"""When one of them was held up, so many are looked at beside each other: WeChat waits for five seconds only, and two of
them (`lock_timeout`) are over."""
_MANY = 2
"""When so many are held up, all may be: the others are refused at once. They are stored, and WeChat comes again."""
_STORE = Statement(
    """
    INSERT INTO notice (id, event_type, original_type, body, received_at, retry_at)
    SELECT * FROM unnest(:ids, :event_types, :original_types, :bodies, :ats, :retry_ats)
    ORDER BY 1 ON CONFLICT DO NOTHING
    """,
    ids=ARRAY(Text),
    event_types=ARRAY(Text),
    original_types=ARRAY(Text),
    bodies=ARRAY(LargeBinary),
    ats=ARRAY(Instant),
    retry_ats=ARRAY(Instant),
)


class Letter(msgspec.Struct, frozen=True):
    """A genuine notice, as it came."""

    envelope: Envelope
    raw: bytes
    at: datetime


class Inbox:
    """One for each process."""

    def __init__(self, db: Database, keyring: Keyring, payee: Payee, clock: Clock) -> None:
        self._db = db
        self._keyring = keyring
        self._payee = payee
        self._clock = clock
        self._batching: Batching[Letter, None] = Batching(self._deal, owner=lambda letter: letter.envelope.id)

    async def receive(self, headers: Mapping[str, str], raw: bytes, wall_clock_s: float) -> None:
        """Take one notification. Returns only when it is stored and handled; then, and only then, answer 2xx.

        Raises `NotGenuine` (401), `NotReadable` (400), `ApiV3KeyWrong` (500): it is stored, but cannot be handled yet.
        """
        envelope = notification.verify(headers, raw, self._keyring, wall_clock_s)
        await self._batching.do(Letter(envelope, raw, self._clock.now()))

    async def _deal(self, batch: Sequence[Waiting[Letter, None]]) -> None:
        stored = await self._stored(batch)
        done, beside = await self._settle_plain([one.ask for one in stored])
        for one in stored:
            if one.ask.envelope.id in done:
                one.tell(None)
        turn = asyncio.Semaphore(beside)
        in_the_way: list[DatabaseUnavailable] = []
        await asyncio.gather(*(self._alone(one, turn, in_the_way) for one in stored if not one.told))

    async def _alone(
        self, one: Waiting[Letter, None], turn: asyncio.Semaphore, in_the_way: list[DatabaseUnavailable]
    ) -> None:
        async with turn:
            if len(in_the_way) >= _MANY:
                one.refuse(in_the_way[0])
                return
            try:
                await notices.take(self._db, self._keyring, self._payee, one.ask.envelope, one.ask.at)
            except Exception as error:  # noqa: BLE001  (it is told to whoever handed it over)
                if isinstance(error, DatabaseUnavailable) and is_held_up(error):
                    in_the_way.append(error)
                one.refuse(error)
            else:
                one.tell(None)

    async def _stored(self, batch: Sequence[Waiting[Letter, None]]) -> Sequence[Waiting[Letter, None]]:
        """Write all of them down; where that fails, each by itself, and whoever's cannot be is told so."""
        try:
            await self._store([one.ask for one in batch])
        except asyncpg.PostgresError:
            for one in batch:
                try:
                    await self._store([one.ask])
                except asyncpg.PostgresError as error:
                    one.refuse(error)
            return [one for one in batch if not one.told]
        return batch

    async def _store(self, letters: Sequence[Letter]) -> None:
        async with self._db.bare() as connection:
            await _STORE.fetch(
                connection,
                ids=[letter.envelope.id for letter in letters],
                event_types=[letter.envelope.event_type for letter in letters],
                original_types=[letter.envelope.resource.original_type for letter in letters],
                bodies=[letter.raw for letter in letters],
                ats=[letter.at for letter in letters],
                retry_ats=[letter.at + notices.REST for letter in letters],
            )

    async def _settle_plain(self, letters: Sequence[Letter]) -> tuple[set[str], int]:
        """The notices that are handled. None, when anything about them together went wrong: each is looked at alone, and
        so many beside each other."""
        plain = [paid for letter in letters if (paid := self._paid(letter)) is not None]
        if not plain:
            return set(), 1
        try:
            done = await bulk.settle(self._db, self._payee, plain)
        except DatabaseUnavailable as error:
            if not is_held_up(error):
                raise
            log.warning("notices one by one", batch=len(plain), error="held up")
            return set(), _BESIDE
        except (asyncpg.PostgresError, LookupError) as error:
            log.warning("notices one by one", batch=len(plain), error=type(error).__name__)
            return set(), 1
        for letter in letters:
            if letter.envelope.id in done:
                log.info("notice", notice=letter.envelope.id, event_type=letter.envelope.event_type, outcome="applied")
        return done, 1

    def _paid(self, letter: Letter) -> Paid | None:
        """What says, as far as can be seen here, that one payment was paid."""
        if notices.kind_of(letter.envelope) != PAYMENT:
            return None
        try:
            plain = self._keyring.open(letter.envelope.resource)
            if combined.parts(plain):
                return None
            trade = msgspec.json.decode(plain, type=Trade)
        except (CannotOpen, ValueError):
            return None
        whole = trade.paid and trade.amount is not None and trade.transaction_id
        return Paid(letter.envelope.id, trade, letter.at) if whole else None
