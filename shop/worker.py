"""`python -m shop work`: jobs, and the sweeps that look at deadlines. As many of these as one likes, on one database."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, TypeVar

import msgspec
import structlog
from pgqueuer import PgQueuer
from sqlalchemy.ext.asyncio import AsyncSession

import shop.admin.sessions
import shop.admin.throttle
import shop.members.sessions
import shop.orders.closing
import shop.orders.parcels
from catalog import popularity
from kit import idempotency, jobs, working
from kit.clock import Clock
from kit.database import Database, DatabaseUnavailable
from kit.held_up import is_held_up
from payments import asking, notices, refund_repair, refunds
from payments.payouts import pursuing
from payments.ports import Payee
from payments.reconciliation import days
from payments.settlement import CLOSE_JOB
from payments.wechatpay.gateway import Gateway
from payments.wechatpay.notification import Envelope
from shop import partitioning
from shop.app import ShopPayee, clock_of, database_of, gateway_of, keep_keys_fresh
from shop.privacy import erasure
from shop.settings import Settings

log = structlog.get_logger()

T = TypeVar("T")
Sweep = Callable[[], Awaitable[object]]
_OFTEN_S = 1.0
_MINUTE_S = 60.0
_SELDOM_S = 600.0
_FINISH_S = 20.0
"""What is under way at SIGTERM may take so long; then it is left for another worker, or for the next start."""

_SERVED: Final[dict[str, Callable[[AsyncSession, datetime], Awaitable[bool | None]]]] = {
    "idempotency keys": idempotency.sweep,
    "the queue's log": lambda session, _now: jobs.forget(session),
    "notices": notices.expire,
    "payouts": pursuing.clean,
    "member sessions": shop.members.sessions.sweep,
    "staff sessions": shop.admin.sessions.sweep,
    "sign-in attempts": shop.admin.throttle.sweep,
}
"""What drops what has served its time; each says whether there is more of it."""


class Worker:
    """Everything the worker does, each part callable by itself (tests do)."""

    def __init__(self, db: Database, gateway: Gateway, payee: Payee, clock: Clock) -> None:
        self.db = db
        self.gateway = gateway
        self.payee = payee
        self.clock = clock

    def handlers(self) -> dict[str, working.Handler]:
        """Jobs by name; the reference is the number of the row that says what to do."""
        return {
            refunds.JOB: self.submit_refund,
            refunds.FOLLOW_JOB: self.follow_refund,
            CLOSE_JOB: self.close_payment,
            erasure.JOB: self.erase_again,
            **pursuing.handlers(self.db, self.gateway, self.clock),
        }

    async def submit_refund(self, out_refund_no: str) -> None:
        await refunds.submit(self.db, self.gateway, self.payee, self.clock, out_refund_no)

    async def follow_refund(self, out_refund_no: str) -> None:
        await refund_repair.follow(self.db, self.gateway, self.payee, self.clock, out_refund_no)

    async def close_payment(self, out_trade_no: str) -> None:
        await asking.close(self.db, self.gateway, self.payee, self.clock, out_trade_no)

    async def erase_again(self, member_id: str) -> None:
        async with self.db.begin() as session:
            await erasure.erase_again(session, int(member_id), self.clock.now())

    async def close_orders(self) -> None:
        """Orders whose time to pay is over."""
        async with self.db.begin() as session:
            due = await shop.orders.closing.due(session, self.clock.now())
        await _each(due, lambda no: shop.orders.closing.time_out(self.db, self.gateway, self.payee, self.clock, no))

    async def ask_payments(self) -> None:
        """Attempts whose news is late."""
        async with self.db.begin() as session:
            due = await asking.sweep(session, self.clock.now())
        await _each(due, lambda number: asking.ask(self.db, self.gateway, self.payee, self.clock, number))

    async def ask_refunds(self) -> None:
        """Refunds that have been silent too long."""
        async with self.db.begin() as session:
            due = await refunds.sweep(session, self.clock.now())
        silent = [out_refund_no for out_refund_no, state in due if state != "requested"]
        await _each(silent, lambda number: refunds.ask(self.db, self.gateway, self.payee, self.clock, number))

    async def pursue_payouts(self) -> None:
        """Transfers, shares and declarations whose time has come."""
        await pursuing.sweep(self.db, self.gateway, self.clock)

    async def retry_notices(self) -> None:
        """Notices that were stored but not handled."""
        async with self.db.begin() as session:
            due = await notices.due(session, self.clock.now())
        await _each(
            due,
            lambda body: notices.retry(self.db, self.gateway.keyring, self.payee, self.clock, body),
            about=_notice_id,
        )

    async def receive_orders(self) -> None:
        """Shipped orders that nobody confirmed."""
        async with self.db.begin() as session:
            await shop.orders.parcels.receive_due(session, self.clock.now())

    async def count_sold(self) -> None:
        """What the lists sort by, brought in step with the stock."""
        async with self.db.begin() as session:
            await popularity.refresh(session)

    async def reconcile(self) -> None:
        """Bills of the days that are over, and how they fit."""
        await days.turn(self.db, self.gateway, self.payee, self.clock)

    async def clean(self) -> None:
        """What has served its time. Part by part: what is too slow, or fails, holds up no other."""
        now = self.clock.now()
        for kind in _SERVED:
            try:
                await self._drop(kind, now)
            except DatabaseUnavailable:  # also a statement that took too long, or a lock
                log.warning("housekeeping waits for the database", about=kind)
            except Exception:
                log.exception("left for its next turn", about=kind)

    async def _drop(self, kind: str, now: datetime) -> None:
        """So much at a time, each in a transaction of its own, while there is more that was due at `now`."""
        more: bool | None = True
        while more:
            async with self.db.begin() as session:
                more = await _SERVED[kind](session, now)

    async def make_partitions(self) -> None:
        """Room ahead in tables that are divided by time."""
        async with self.db.begin() as session:
            await partitioning.make_ahead(session)

    def sweeps(self) -> list[tuple[Sweep, float]]:
        """Each with its rhythm in seconds."""
        often = [self.close_orders, self.ask_payments, self.ask_refunds, self.retry_notices, self.receive_orders]
        often.append(self.pursue_payouts)
        return [
            *((sweep, _OFTEN_S) for sweep in often),
            (self.count_sold, _MINUTE_S),
            (self.reconcile, _MINUTE_S),
            (self.clean, _SELDOM_S),
            (self.make_partitions, _SELDOM_S),
        ]


async def _each(
    items: Sequence[T], deal_with: Callable[[T], Awaitable[object]], *, about: Callable[[T], str] = str
) -> None:
    """One after the other; what fails is looked at again in its next turn and holds up nobody else.

    `about` names it in the log.
    """
    for item in items:
        try:
            await deal_with(item)
        except asking.WeChatPayUnknown:
            log.warning("WeChat Pay does not say", about=about(item))
        except DatabaseUnavailable as error:
            if not is_held_up(error):
                raise
            log.warning("left for its next turn", about=about(item), error="held up")
        except Exception:
            log.exception("left for its next turn", about=about(item))


def _notice_id(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=Envelope).id
    except msgspec.MsgspecError:  # it was read when it was stored, by another version perhaps
        return "?"


async def _repeat(sweep: Sweep, every_s: float, stop: asyncio.Event) -> None:
    """Until `stop`: a sweep that is under way then is finished."""
    while not stop.is_set():
        try:
            await sweep()
        except DatabaseUnavailable:
            log.warning("sweep waits for the database", sweep=getattr(sweep, "__name__", ""))
        except Exception:
            log.exception("sweep failed", sweep=getattr(sweep, "__name__", ""))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every_s)


async def _work_on_jobs(settings: Settings, worker: Worker, started: Callable[[PgQueuer], None]) -> None:
    """Jobs until the end; when the connection breaks, again."""
    while True:
        try:
            await working.work(settings.database_direct_url, worker.handlers(), started=started)
        except Exception:
            log.exception("job queue broke off")
            await asyncio.sleep(timedelta(seconds=2).total_seconds())
        else:
            return


async def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT."""
    db = database_of(settings, pool_size=6, name="shop-worker")
    gateway = gateway_of(settings)
    worker = Worker(db, gateway, ShopPayee(), clock_of(settings))
    stop = asyncio.Event()
    queuers: list[PgQueuer] = []
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    sweeps = [asyncio.create_task(_repeat(sweep, every_s, stop)) for sweep, every_s in worker.sweeps()]
    keys = asyncio.create_task(keep_keys_fresh(settings, gateway))
    queue = asyncio.create_task(_work_on_jobs(settings, worker, queuers.append))
    log.info("worker started")
    await stop.wait()
    for queuer in queuers:
        queuer.shutdown.set()
    keys.cancel()
    _, late = await asyncio.wait([*sweeps, queue, keys], timeout=_FINISH_S)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=2)
    await gateway.close_connections()
    await db.close()
    log.info("worker stopped")
