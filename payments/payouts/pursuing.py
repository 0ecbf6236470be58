"""All that is pursued of money out, as the worker needs it: jobs by name, and the sweep for what is silent."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from kit.clock import Clock
from kit.database import Database, DatabaseUnavailable
from kit.held_up import is_held_up
from kit.working import Handler
from payments.payouts import (
    customs,
    customs_pursuit,
    receivers,
    return_pursuit,
    returning,
    sharing,
    sharing_pursuit,
    transferring,
    transfers,
)
from payments.wechatpay.gateway import Gateway, Refused, Unknown

log = structlog.get_logger()

Pursue = Callable[[Database, Gateway, Clock, str], Awaitable[None]]
NOUNS: tuple[tuple[str, Callable[..., Awaitable[list[str]]], Pursue], ...] = (
    (transfers.JOB, transfers.due, transferring.pursue),
    (receivers.JOB, receivers.due, receivers.pursue),
    (sharing.JOB, sharing.due, sharing_pursuit.pursue),
    (returning.JOB, returning.due, return_pursuit.pursue),
    (customs.JOB, customs.due, customs_pursuit.pursue),
)


def handlers(db: Database, gateway: Gateway, clock: Clock) -> dict[str, Handler]:
    """Jobs by name; the reference is the number of the row."""
    return {job: partial(pursue, db, gateway, clock) for job, _, pursue in NOUNS}


async def sweep(db: Database, gateway: Gateway, clock: Clock) -> None:
    """Everything under way whose time has come; what fails waits for its next turn and holds up nobody else."""
    for job, due, pursue in NOUNS:
        async with db.begin() as session:
            found = await due(session, clock.now())
        for number in found:
            try:
                await pursue(db, gateway, clock, number)
            except (Refused, Unknown) as error:
                log.warning("WeChat Pay does not say", job=job, about=number, answer=str(error))
            except DatabaseUnavailable as error:
                if not is_held_up(error):
                    raise
                log.warning("left for its next turn", job=job, about=number, error="held up")
            except Exception:
                log.exception("left for its next turn", job=job, about=number)


async def clean(session: AsyncSession, now: datetime) -> None:
    """What has served its time."""
    await transfers.forget_days(session, now)
