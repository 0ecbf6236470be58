"""What staff call: who may get shares."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta
from sqlalchemy import select

from kit import audit, idempotency
from kit.clock import Clock
from kit.database import Database
from kit.fields import PLAIN, Word, as_id
from kit.idempotency import KeyReused, StillRunning
from kit.paging import Page, decode_cursor, page
from kit.web.actor import actor_of, requires
from kit.web.declared import BODY, STAFF, declared
from kit.web.idempotent import IdempotencyKey
from kit.web.parameters import PathId, QueryCursor, QueryLimit
from payments.models import IllegalMove
from payments.payouts import receivers
from payments.payouts.receivers import ReceiverNotFound, ReceiverThere
from payments.payouts.sharing_models import ReceiverKind, ReceiverState, Relation, ShareReceiver
from payments.wechatpay import sealing
from payments.wechatpay.gateway import Gateway
from payments.wechatpay.sealing import CannotSeal

Req = Request[Any, Any, Any]
Account = Annotated[str, Meta(pattern=r"^[0-9A-Za-z_-]{1,64}$(?!\n)", description="A merchant's number, or an openid")]


class ReceiverWish(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """`name` (a merchant's, or a person's real one) goes to WeChat only, which compares it."""

    kind: ReceiverKind
    account: Account
    relation: Relation
    custom_relation: Annotated[str, Meta(min_length=1, max_length=10, pattern=PLAIN)] | None = None
    name: Word | None = None


class ReceiverRow(msgspec.Struct, rename="camel"):
    id: str
    kind: ReceiverKind
    account: str
    relation: Relation
    custom_relation: str | None
    state: ReceiverState
    last_error: str | None
    changed_by: str
    changed_at: datetime


def _view(receiver: ShareReceiver) -> ReceiverRow:
    return ReceiverRow(
        id=str(receiver.id),
        kind=ReceiverKind(receiver.kind),
        account=receiver.account,
        relation=Relation(receiver.relation),
        custom_relation=receiver.custom_relation,
        state=ReceiverState(receiver.state),
        last_error=receiver.last_error,
        changed_by=receiver.changed_by,
        changed_at=receiver.changed_at,
    )


@get(
    "/share-receivers",
    operation_id="listShareReceivers",
    summary="Who may get shares, newest first",
    guards=[requires("payments.read")],
    responses=declared(*STAFF),
)
async def list_receivers(
    db: NamedDependency[Database], cursor: QueryCursor = None, limit: QueryLimit = 20
) -> Page[ReceiverRow]:
    statement = select(ShareReceiver).order_by(ShareReceiver.id.desc()).limit(limit + 1)
    if cursor:
        statement = statement.where(ShareReceiver.id < decode_cursor(cursor, (int,))[0])
    async with db.begin() as session:
        found = page(list(await session.scalars(statement)), limit, lambda row: (row.id,))
    return Page([_view(row) for row in found.items], found.next_cursor)


@post(
    "/share-receivers",
    operation_id="addShareReceiver",
    summary="Let somebody get shares",
    guards=[requires("payouts.receivers")],
    responses=declared(*STAFF, *BODY, ReceiverThere, CannotSeal, KeyReused, StillRunning),
)
async def add_receiver(
    request: Req,
    data: JSONBody[ReceiverWish],
    idempotency_key: IdempotencyKey,
    db: NamedDependency[Database],
    gateway: NamedDependency[Gateway],
    clock: NamedDependency[Clock],
) -> ReceiverRow:
    by, now = actor_of(request).label, clock.now()
    # Without the name: not even its hash is kept, for a few characters could be found by trying.
    hashed = msgspec.structs.replace(data, name=data.name and "*")
    key = idempotency.intent(by, "addShareReceiver", idempotency_key, hashed)
    wish = receivers.Wish(
        kind=data.kind,
        account=data.account,
        relation=data.relation,
        custom_relation=data.custom_relation,
        name=None if data.name is None else sealing.seal(gateway.keyring, data.name),
    )
    async with db.begin() as session:

        async def work() -> ReceiverRow:
            receiver = await receivers.add(session, wish, by=by, at=now)
            await audit.record(
                session, at=now, actor=by, action="share_receiver.add", subject=("share_receiver", receiver.id)
            )
            return _view(receiver)

        return await idempotency.once(session, key, now, work, ReceiverRow)


@post(
    "/share-receivers/{receiver_id:str}/remove",
    operation_id="removeShareReceiver",
    summary="No more shares for somebody",
    guards=[requires("payouts.receivers")],
    responses=declared(*STAFF, ReceiverNotFound, IllegalMove),
    status_code=200,
)
async def remove_receiver(
    request: Req, receiver_id: PathId, db: NamedDependency[Database], clock: NamedDependency[Clock]
) -> ReceiverRow:
    by, now, which = actor_of(request).label, clock.now(), as_id(receiver_id)
    async with db.begin() as session:
        receiver = await receivers.remove(session, which, by=by, at=now)
        await audit.record(session, at=now, actor=by, action="share_receiver.remove", subject=("share_receiver", which))
    return _view(receiver)


ROUTES: list[Any] = [list_receivers, add_receiver, remove_receiver]
