"""A refund's movements in the ledger, each in the transaction that makes it true.

promised    sales or unapplied → refunds payable
done        refunds payable → our money at WeChat
ended       refunds payable → back where it came from (closed, refused, rejected)
"""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from payments import ledger
from payments.ledger import Account
from payments.models import Payment, Refund


def _home(payment: Payment) -> Account:
    """Where the money is while nobody asks for it back."""
    return Account.SALES if payment.applied else Account.UNAPPLIED


def _promise(refund: Refund) -> str:
    """A number that was refused and set going again is promised once more."""
    return refund.out_refund_no if refund.promises == 1 else f"{refund.out_refund_no}:{refund.promises}"


async def promised(session: AsyncSession, payment: Payment, refund: Refund, at: datetime) -> None:
    cause = f"refund:{_promise(refund)}"
    await _post(session, cause, _home(payment), Account.REFUNDS_PAYABLE, payment, refund, at)


async def done(session: AsyncSession, payment: Payment, refund: Refund, at: datetime) -> None:
    cause = f"refunded:{refund.out_refund_no}"
    await _post(session, cause, Account.REFUNDS_PAYABLE, Account.WECHAT, payment, refund, at)


async def ended(session: AsyncSession, payment: Payment, refund: Refund, at: datetime) -> None:
    cause = f"refund_ended:{_promise(refund)}"
    await _post(session, cause, Account.REFUNDS_PAYABLE, _home(payment), payment, refund, at)


async def _post(
    session: AsyncSession,
    cause: str,
    debit: Account,
    credit: Account,
    payment: Payment,
    refund: Refund,
    at: datetime,
) -> None:
    await ledger.post(
        session,
        cause,
        debit,
        credit,
        refund.amount_fen,
        payable=refund.payable,
        at=at,
        currency=payment.currency,
    )
