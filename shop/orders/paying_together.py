"""Paying for several orders by one tap: one combination at WeChat, one attempt for each order."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from kit.clock import Clock
from kit.database import Database
from kit.errors import Unprocessable
from kit.numbers import new_no
from payments import asking, charges, combined, underway
from payments.charges import Bill
from payments.models import Payment, PaymentState
from payments.ports import Payee
from payments.wechatpay.gateway import Gateway, Refused, Unknown
from shop.members.sessions import SignedIn
from shop.orders import paying
from shop.orders.paying import TRIES, Way


class SameOrderTwice(Unprocessable):
    """Each order once, please."""

    zh = "订单号重复"


async def open_sheet(
    db: Database,
    gateway: Gateway,
    payee: Payee,
    clock: Clock,
    member: SignedIn,
    nos: Sequence[str],
    expected_fen: int | None,
) -> tuple[list[Payment], str]:
    """Attempts for all of these orders of a member, open at WeChat as one combination, and its `prepay_id`.

    The same combination is opened again while nothing changed. Whatever else is live for one of the orders is closed
    first, and with it the whole combination that it belongs to. Raises as `paying.open_sheet`, and `SameOrderTwice` (422).
    """
    wanted = sorted(set(nos))
    if len(wanted) != len(nos):
        raise SameOrderTwice
    for _ in range(TRIES):
        parts, stale = await _begin(db, gateway, clock, member, wanted, expected_fen)
        for number in stale:
            if await asking.close(db, gateway, payee, clock, number) == PaymentState.RECEIVED:
                raise charges.NotPayable
        if parts:
            token = await _token(db, gateway, payee, clock, parts)
            if token is not None:
                return parts, token
    raise charges.PaymentRefused


async def _begin(
    db: Database, gateway: Gateway, clock: Clock, member: SignedIn, nos: list[str], expected_fen: int | None
) -> tuple[list[Payment], list[str]]:
    """The parts, old or new, or the numbers that must be closed before. Locks the orders, by their number."""
    now = clock.now()
    async with db.begin() as session:
        orders = [await paying.payable(session, no, member, now) for no in nos]
        paying.check_total(sum(order.total_fen for order in orders), expected_fen)
        pay_by = min(order.pay_by for order in orders)
        bills = [_until(paying.bill_of(order, member, Way()), pay_by) for order in orders]
        live = await underway.attempts(session, nos)
        if not live:
            return await charges.add(session, gateway, bills, now, combine_no=new_no("C")), []
        if await combined.is_whole(session, live, nos):
            by_payable = {bill.payable: bill for bill in bills}
            if all(charges.fits(part, by_payable[part.payable], gateway, now, combined=True) for part in live):
                return live, []
    return [], list({part.combine_no or part.out_trade_no: part.out_trade_no for part in live}.values())


def _until(bill: Bill, pay_by: datetime) -> Bill:
    """One sheet has one time: that of the order that ends first."""
    return msgspec.structs.replace(bill, expires_at=pay_by)


async def _token(db: Database, gateway: Gateway, payee: Payee, clock: Clock, parts: list[Payment]) -> str | None:
    """What opens the sheet. `None`: its number is used up. Raises `WeChatPayUnknown`, `PaymentRefused` (503), `NotPayable`."""
    first = parts[0]
    if first.token is not None and all(part.state == PaymentState.OPEN for part in parts):
        return first.token
    assert first.combine_no is not None
    asks = [charges.asked(part) for part in parts]
    try:
        token = await gateway.create_combined(first.combine_no, asks, openid=first.openid, expires_at=first.expires_at)
    except Unknown as error:
        raise asking.WeChatPayUnknown from error
    except Refused as error:
        await charges.refused(db, gateway, payee, clock, first, error)
        return None
    if not await charges.opened(db, clock, [part.id for part in parts], token):
        raise charges.NotPayable
    return token
