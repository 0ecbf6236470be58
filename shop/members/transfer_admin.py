"""What staff call: promise a member money (WeChat Pay, 商家转账). Who that is to WeChat stays in here."""

from typing import Annotated, Any

import msgspec
from litestar import Request, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta
from sqlalchemy import select

from kit import audit, idempotency
from kit.clock import Clock
from kit.database import Database
from kit.errors import Conflict
from kit.fields import Word, as_id
from kit.idempotency import KeyReused, StillRunning
from kit.web.actor import actor_of, requires
from kit.web.declared import BODY, STAFF, declared
from kit.web.idempotent import IdempotencyKey
from kit.web.parameters import PathId
from payments.payouts import transfer_admin, transfers
from payments.payouts.transfer_admin import TransferRow
from payments.payouts.transfers import CauseUsed, DailyCapReached, Wish
from payments.wechatpay import sealing
from payments.wechatpay.gateway import Gateway
from payments.wechatpay.sealing import CannotSeal
from shop.members import people
from shop.members.models import MemberIdentity
from shop.members.people import MemberNotFound

Cause = Annotated[str, Meta(pattern=r"^[0-9A-Za-z:_-]{1,64}$(?!\n)", description="Why, and which: never paid twice")]
Amount = Annotated[int, Meta(ge=1, le=1_000_000_000, description="Money in fen (1/100 yuan)")]
Scene = Annotated[str, Meta(pattern=r"^[0-9]{4}$(?!\n)", description="One of WeChat's transfer scenes")]


class NoIdentityHere(Conflict):
    """This member has never come by the Mini Program that pays."""

    zh = "该会员未在本小程序登录过，无法转账"


class TransferWish(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """`report`: the facts that WeChat wants in this scene, by its own names. `realName` goes to WeChat only."""

    cause: Cause
    amount_fen: Amount
    remark: Word
    scene_id: Scene
    report: Annotated[dict[Word, Word], Meta(max_length=4)]
    real_name: Word | None = None


@post(
    "/members/{member_id:str}/transfers",
    operation_id="createTransfer",
    summary="Promise a member money, who confirms it in WeChat",
    guards=[requires("payouts.create")],
    responses=declared(
        *STAFF, *BODY, MemberNotFound, NoIdentityHere, CauseUsed, DailyCapReached, CannotSeal, KeyReused, StillRunning
    ),
)
async def create_transfer(
    request: Request[Any, Any, Any],
    member_id: PathId,
    data: JSONBody[TransferWish],
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    gateway: NamedDependency[Gateway],
    clock: NamedDependency[Clock],
) -> TransferRow:
    by, now, which = actor_of(request).label, clock.now(), as_id(member_id)
    # Without the name: not even its hash is kept, for a few characters could be found by trying.
    hashed = msgspec.structs.replace(data, real_name=data.real_name and "*")
    key = idempotency.intent(by, f"createTransfer:{member_id}", idempotency_key, hashed)
    name = None if data.real_name is None else sealing.seal(gateway.keyring, data.real_name)
    async with db.begin() as session:

        async def work() -> TransferRow:
            member = await people.get(session, which)
            mine = (MemberIdentity.member_id == member.id) & (MemberIdentity.appid == gateway.appid)
            # Held until the end, so that its member is not erased meanwhile: the money would go to nobody.
            held = select(MemberIdentity.openid).where(mine).with_for_update(read=True, key_share=True)
            openid = await session.scalar(held.order_by(MemberIdentity.id))
            if openid is None:
                raise NoIdentityHere
            wish = Wish(
                cause=data.cause,
                payee=f"member:{member.id}",
                appid=gateway.appid,
                openid=openid,
                amount_fen=data.amount_fen,
                remark=data.remark,
                scene_id=data.scene_id,
                report=data.report,
                name=name,
            )
            transfer = await transfers.request(session, gateway.mchid, wish, by=by, at=now)
            facts = {"out_bill_no": transfer.out_bill_no, "amount_fen": data.amount_fen}
            await audit.record(
                session, at=now, actor=by, action="transfer.create", subject=("member", which), facts=facts
            )
            return transfer_admin.view(transfer)

        return await idempotency.once(session, key, now, work, TransferRow)


ROUTES: list[Any] = [create_transfer]
