"""What staff do about refunds that need a hand: set going again, sent to another account, asked about."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta

from kit import idempotency
from kit.clock import Clock
from kit.database import Database
from kit.errors import InvalidInput, invalid
from kit.fields import PLAIN
from kit.web.actor import actor_of, requires
from kit.web.declared import BODY, STAFF, declared
from kit.web.idempotent import IdempotencyKey
from payments import refund_repair, refund_views
from payments.asking import WeChatPayUnknown
from payments.ports import Payee
from payments.refund_admin import ONCE, PathRefund, record
from payments.refund_repair import (
    AbnormalRefused,
    BankCard,
    NotAbnormal,
    NothingToRetry,
    RefundAgain,
    RefundBegunAgain,
)
from payments.refund_views import RefundDetail
from payments.refunds import OwnRefund, RefundNotFound, RefundTooLate, RefundTooMuch, TooManyRefunds
from payments.wechatpay.gateway import Gateway
from payments.wechatpay.sealing import CannotSeal

Req = Request[Any, Any, Any]


class OtherAccount(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """`merchantBankCard` takes nothing more; `userBankCard` takes all three of the others.

    They are sealed to WeChat Pay and neither kept nor logged. `bankType` is one of WeChat's, like `ICBC_DEBIT`.
    """

    kind: Literal["merchantBankCard", "userBankCard"]
    bank_type: Annotated[str, Meta(max_length=16, pattern=r"^[A-Z]+_DEBIT$(?!\n)")] | None = None
    bank_account: Annotated[str, Meta(pattern=r"^[0-9]{8,32}$(?!\n)")] | None = None
    real_name: Annotated[str, Meta(min_length=1, max_length=50, pattern=PLAIN)] | None = None

    def card(self) -> BankCard | None:
        """Raises `InvalidInput` (400) naming the field that is missing, or too many."""
        given = {"bankType": self.bank_type, "bankAccount": self.bank_account, "realName": self.real_name}
        for field, value in given.items():
            if (value is None) != (self.kind == "merchantBankCard"):
                raise invalid(field, "is not for this kind" if value else "is needed for this kind")
        if self.kind == "merchantBankCard":
            return None
        assert self.bank_type is not None
        assert self.bank_account is not None
        assert self.real_name is not None
        return BankCard(bank_type=self.bank_type, account=self.bank_account, holder=self.real_name)


@post(
    "/refunds/{no:str}/retry",
    operation_id="retryRefund",
    summary="Set a refund going again whose hindrance is gone",
    guards=[requires("payments.decide")],
    status_code=200,
    responses=declared(
        *ONCE, NothingToRetry, RefundAgain, RefundBegunAgain, RefundTooLate, TooManyRefunds, RefundTooMuch, WeChatPayUnknown
    ),
)  # fmt: skip
async def retry_refund(
    request: Req,
    no: PathRefund,
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    gateway: NamedDependency[Gateway],
    payee: NamedDependency[Payee],
    clock: NamedDependency[Clock],
) -> RefundDetail:
    actor, now = actor_of(request), clock.now()
    wish = idempotency.intent(actor.label, f"retryRefund:{no}", idempotency_key, None)

    async def work(_again: bool) -> RefundDetail:
        goes_on = await refund_repair.retry(db, gateway, payee, clock, no, by=actor.label)
        async with db.begin() as session:
            await record(session, actor, "retry", no, now, goes_on=goes_on)
            return await refund_views.get(session, goes_on, actor.label)

    return await idempotency.through(db, wish, now, work, RefundDetail)


@post(
    "/refunds/{no:str}/apply-abnormal",
    operation_id="applyAbnormalRefund",
    summary="Send an abnormal refund to a bank card",
    guards=[requires("payments.decide")],
    status_code=200,
    responses=declared(*ONCE, *BODY, OwnRefund, NotAbnormal, AbnormalRefused, WeChatPayUnknown, CannotSeal),
)
async def apply_abnormal(
    request: Req,
    no: PathRefund,
    data: JSONBody[OtherAccount],
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    gateway: NamedDependency[Gateway],
    payee: NamedDependency[Payee],
    clock: NamedDependency[Clock],
) -> RefundDetail:
    actor, now, card = actor_of(request), clock.now(), data.card()
    # Not even a hash of the card is kept: its few digits could be found by trying.
    wish = idempotency.intent(actor.label, f"applyAbnormalRefund:{no}", idempotency_key, data.kind)

    async def work(again: bool) -> RefundDetail:
        await refund_repair.apply_abnormal(db, gateway, payee, clock, no, card, by=actor.label, again=again)
        async with db.begin() as session:
            await record(session, actor, "apply_abnormal", no, now, kind=data.kind)
            return await refund_views.get(session, no, actor.label)

    return await idempotency.through(db, wish, now, work, RefundDetail)


@post(
    "/refunds/{no:str}/refresh",
    operation_id="refreshRefund",
    summary="Ask WeChat Pay about a refund, also about one that was made in its merchant portal",
    guards=[requires("payments.decide")],
    status_code=200,
    responses=declared(*STAFF, InvalidInput, RefundNotFound, WeChatPayUnknown),
)
async def refresh_refund(
    request: Req,
    no: PathRefund,
    db: NamedDependency[Database],
    gateway: NamedDependency[Gateway],
    payee: NamedDependency[Payee],
    clock: NamedDependency[Clock],
) -> RefundDetail:
    actor = actor_of(request)
    await refund_repair.follow(db, gateway, payee, clock, no)
    async with db.begin() as session:
        shown = await refund_views.get(session, no, actor.label)
        await record(session, actor, "refresh", no, clock.now(), state=shown.state)
        return shown


ROUTES: list[Any] = [retry_refund, apply_abnormal, refresh_refund]
