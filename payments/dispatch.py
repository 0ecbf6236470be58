"""Which notice is whose: by `original_type` and `event_type` together (WeChat Pay v3, §3 of its notification rules).

A profit-sharing notice may call itself `TRANSACTION.SUCCESS` too; only what is a `transaction` inside pays anything.
A new kind of notice is one line in `HANDLERS`.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from payments import combined, refunds, settlement
from payments.payouts import transferring
from payments.ports import Payee
from payments.trades import RefundTrade, Trade
from payments.wechatpay.transfers import TransferBill

Handler = Callable[[AsyncSession, Payee, bytes, datetime], Awaitable[str]]
"""`(session, payee, plain, at)`: applies the plain resource in the caller's transaction, any number of times with the
effect of once, and says in a word what came of it. Raises `Contradictory` or msgspec's errors for what cannot be so."""


class Contradictory(Exception):
    """The resource says something else than the notice that carries it."""


async def _payment(session: AsyncSession, payee: Payee, plain: bytes, at: datetime) -> str:
    if parts := combined.parts(plain):
        return " ".join([await settlement.settle(session, payee, trade, at) for trade in parts])
    trade = msgspec.json.decode(plain, type=Trade)
    if not trade.paid:
        raise Contradictory
    return await settlement.settle(session, payee, trade, at)


def _refund(state: str) -> Handler:
    async def learn(session: AsyncSession, payee: Payee, plain: bytes, at: datetime) -> str:
        refund = msgspec.json.decode(plain, type=RefundTrade)
        if refund.state != state:
            raise Contradictory
        return await refunds.learn(session, payee, refund, at)

    return learn


async def _transfer(session: AsyncSession, _payee: Payee, plain: bytes, at: datetime) -> str:
    bill = msgspec.json.decode(plain, type=TransferBill)
    if bill.state not in {"SUCCESS", "FAIL", "CANCELLED"}:
        raise Contradictory
    return await transferring.learn(session, bill, at)


async def _echo(_session: AsyncSession, _payee: Payee, _plain: bytes, _at: datetime) -> str:
    """The answer to `POST /v3/security/echo`: that it is stored is all there is to it; `doctor` looks for it."""
    return "echo"


PAYMENT = ("transaction", "TRANSACTION.SUCCESS")
HANDLERS: dict[tuple[str, str], Handler] = {
    PAYMENT: _payment,
    ("refund", "REFUND.SUCCESS"): _refund("SUCCESS"),
    ("refund", "REFUND.ABNORMAL"): _refund("ABNORMAL"),
    ("refund", "REFUND.CLOSED"): _refund("CLOSED"),
    ("mch_payment", "MCHTRANSFER.BILL.FINISHED"): _transfer,
    ("security", "SECURITY_ECHO.SUCCESS"): _echo,
}
