"""Levers on money: what waits to be paid, paying and cancelling, the outcome of refunds, and the totals."""

import sqlite3
from typing import Annotated, Any, Literal

import msgspec
from litestar import Request, get, post
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler

from sandbox.clock import on_the_wire
from sandbox.control.combinations import list_combinations
from sandbox.control.levers import NotHere, NotNow
from sandbox.pay import codepay, payers, refund_objects, refunds
from sandbox.pay.book import CouponKind
from sandbox.pay.combined import combinations, paying
from sandbox.pay.refusals import Refusal
from sandbox.world import World

PAGE = 200
Limit = Annotated[int, QueryParameter(name="limit", ge=1, le=100_000)]
"""How many of the latest to list."""


class Payer(msgspec.Struct, forbid_unknown_fields=True):
    """Who pays; needed only where the order names nobody. A coupon makes the payer pay less,
    and the merchant receive less when it is NOCASH.

    ``raced``: confirmed just before the merchant closed the order, landing after it.
    """

    openid: str | None = None
    coupon_fen: int = 0
    coupon_kind: CouponKind = "CASH"
    raced: bool = False


class Outcome(msgspec.Struct, forbid_unknown_fields=True):
    """What becomes of a refund; PROCESSING again only after ABNORMAL."""

    status: Literal["SUCCESS", "ABNORMAL", "CLOSED", "PROCESSING"]


class ByHand(msgspec.Struct, forbid_unknown_fields=True):
    """A refund made in the merchant's portal; with ``notify_url`` the merchant hears of it, else not.

    (WeChat tells of such refunds in the XML of API v2, where an address for it is set in the portal.)
    """

    out_trade_no: str
    amount_fen: Annotated[int, msgspec.Meta(ge=1)]
    reason: Annotated[str, msgspec.Meta(max_length=80)] | None = None
    notify_url: Annotated[str, msgspec.Meta(max_length=256)] | None = None


def handlers(world: World) -> list[ControllerRouterHandler]:
    """The routes."""
    return [*_payments(world), *_refunds(world)]


def _payments(world: World) -> list[ControllerRouterHandler]:
    @get("/_sandbox/payments", summary="Orders, the latest first; ?state=NOTPAY waits to be paid")
    async def payments(
        only: Annotated[str | None, QueryParameter(name="state")] = None, limit: Limit = PAGE
    ) -> dict[str, Any]:
        return {"items": list_payments(world, only, limit)}

    @post("/_sandbox/payments/{out_trade_no:str}/pay", status_code=200, summary="The buyer pays")
    async def pay(request: Request[Any, Any, Any], out_trade_no: FromPath[str]) -> dict[str, Any]:
        return _pay(world, out_trade_no, None, await _payer(request))

    @post("/_sandbox/prepay/{prepay_id:str}/pay", status_code=200, summary="The buyer pays what a prepay_id opens")
    async def pay_prepay(request: Request[Any, Any, Any], prepay_id: FromPath[str]) -> dict[str, Any]:
        try:
            out_trade_no = paying.combination_of_prepay(world, prepay_id) or payers.order_of_prepay(world, prepay_id)
        except payers.NoSuchPayment as why:
            raise NotHere(str(why)) from None
        return _pay(world, out_trade_no, prepay_id, await _payer(request))

    @post("/_sandbox/payments/{out_trade_no:str}/cancel", status_code=200, summary="The buyer closes the sheet")
    async def cancel(out_trade_no: FromPath[str]) -> dict[str, Any]:
        try:
            if codepay.is_one(world, out_trade_no):
                codepay.tap_away(world, out_trade_no)
                return {"out_trade_no": out_trade_no, "state": "PAYERROR", "cancelled": True}
            tap_away = paying.cancel if combinations.find(world, out_trade_no) else payers.cancel
            tap_away(world, out_trade_no)
        except payers.NoSuchPayment as why:
            raise NotHere(str(why)) from None
        except payers.CannotPay as why:
            raise NotNow(str(why)) from None
        return {"out_trade_no": out_trade_no, "state": "NOTPAY", "cancelled": True}

    return [payments, pay, pay_prepay, cancel]


def _refunds(world: World) -> list[ControllerRouterHandler]:
    @get("/_sandbox/refunds", summary="Refunds, the latest first")
    async def latest_refunds(limit: Limit = PAGE) -> dict[str, Any]:
        return {"items": list_refunds(world, limit)}

    @post("/_sandbox/refunds", status_code=201, summary="A refund made by hand in the merchant's portal")
    async def refund_by_hand(data: JSONBody[ByHand]) -> dict[str, Any]:
        try:
            asked = {"reason": data.reason, "notify_url": data.notify_url}
            return refunds.by_hand(world, data.out_trade_no, data.amount_fen, **asked)
        except Refusal as why:
            raise (NotHere if why.status == 404 else NotNow)(why.message) from None

    @post("/_sandbox/refunds/{out_refund_no:str}/state", status_code=200, summary="Decide a refund's outcome")
    async def decide(data: JSONBody[Outcome], out_refund_no: FromPath[str]) -> dict[str, Any]:
        try:
            return refunds.move(world, out_refund_no, data.status)
        except Refusal:
            raise NotHere(f"No refund {out_refund_no}.") from None
        except refunds.IllegalMove as why:
            raise NotNow(str(why)) from None

    @get("/_sandbox/totals", summary="What has been paid and given back, in fen")
    async def all_totals() -> dict[str, int]:
        return totals(world)

    return [latest_refunds, refund_by_hand, decide, all_totals]


def list_payments(world: World, state: str | None, limit: int = PAGE) -> list[dict[str, Any]]:
    """Orders as the levers show them, the latest first."""
    sql = """SELECT o.*, p.prepay_id, coalesce(p.valid_until, o.expires_at) AS valid_until
             FROM orders o LEFT JOIN prepays p USING (out_trade_no)
             WHERE (p.rowid = (SELECT max(rowid) FROM prepays latest WHERE latest.out_trade_no = o.out_trade_no)
                    OR o.trade_type = 'MICROPAY') AND (? IS NULL OR state = ?) AND NOT (? IS 'NOTPAY' AND closes_at <= ?)
             ORDER BY o.created_at DESC LIMIT ?"""
    single = [_payment(world, row) for row in world.db.rows(sql, state, state, state, world.clock.now(), limit)]
    combined = list_combinations(world, state, limit)
    return sorted([*single, *combined], key=lambda payment: payment["created_at"], reverse=True)[:limit]


def list_refunds(world: World, limit: int = PAGE) -> list[dict[str, Any]]:
    """Refund objects, the latest first."""
    sql = "SELECT * FROM refunds ORDER BY created_at DESC LIMIT ?"
    return [refund_objects.view(world, row) for row in world.db.rows(sql, limit)]


def totals(world: World) -> dict[str, int]:
    """Facts for an audit: refunds count as refunded when they succeeded, as pending while they may still."""
    paid = "FROM orders WHERE paid_at IS NOT NULL"
    done = "FROM refunds WHERE status = 'SUCCESS'"
    pending = "FROM refunds WHERE status IN ('PROCESSING', 'ABNORMAL')"
    return {
        "paid_count": world.db.number(f"SELECT count(*) {paid}"),
        "paid_fen": world.db.number(f"SELECT sum(total) {paid}"),
        "refunded_count": world.db.number(f"SELECT count(*) {done}"),
        "refunded_fen": world.db.number(f"SELECT sum(amount) {done}"),
        "refunds_pending_count": world.db.number(f"SELECT count(*) {pending}"),
        "refunds_pending_fen": world.db.number(f"SELECT sum(amount) {pending}"),
    }


def _payment(world: World, row: sqlite3.Row) -> dict[str, Any]:
    return {
        "out_trade_no": row["out_trade_no"],
        "prepay_id": row["prepay_id"],
        "trade_type": row["trade_type"],
        "description": row["description"],
        "amount": row["total"],
        "openid": row["openid"],
        "state": row["state"],
        "shop": world.knobs.shop_name,
        "mchid": world.keys.identity.mch_id,
        "transaction_id": row["transaction_id"],
        "payer": row["payer"],
        "cancelled": row["cancelled_at"] is not None,
        "created_at": on_the_wire(row["created_at"]),
        "expires_at": on_the_wire(row["expires_at"]),
        "seconds_left": round(min(row["expires_at"], row["valid_until"]) - world.clock.now(), 1),
        "paid_at": on_the_wire(row["paid_at"]) if row["paid_at"] else None,
    }


async def _payer(request: Request[Any, Any, Any]) -> Payer:
    """The body is optional here."""
    raw = await request.body()
    try:
        return msgspec.json.decode(raw, type=Payer) if raw.strip() else Payer()
    except (msgspec.ValidationError, msgspec.DecodeError) as why:
        raise NotNow(str(why)) from None


def _pay(world: World, out_trade_no: str, prepay_id: str | None, payer: Payer) -> dict[str, Any]:
    try:
        if codepay.is_one(world, out_trade_no):
            coupon: Any = {"coupon_fen": payer.coupon_fen, "coupon_kind": payer.coupon_kind}
            return codepay.enter_password(world, out_trade_no, **coupon)
        pay = paying.pay if combinations.find(world, out_trade_no) else payers.pay
        return pay(
            world,
            out_trade_no,
            openid=payer.openid,
            prepay_id=prepay_id,
            coupon_fen=payer.coupon_fen,
            coupon_kind=payer.coupon_kind,
            raced=payer.raced,
        )
    except payers.NoSuchPayment as why:
        raise NotHere(str(why)) from None
    except payers.CannotPay as why:
        raise NotNow(str(why)) from None
