"""Orders as their readers see them, one at a time."""

from datetime import datetime
from typing import Any

import msgspec

from kit.errors import Problem
from payments.models import Refund, RefundState
from shop.orders import mine, standing
from shop.orders.admin_reading import Filed
from shop.orders.checkout import Considered
from shop.orders.mine import Head, Mine, Own
from shop.orders.models import AWAITING, OrderState
from shop.orders.schemas import (
    AdminOrderView,
    OrderAddress,
    OrderDetail,
    ParcelView,
    PreviewLine,
    PreviewView,
    ProblemView,
    RefundView,
)

_REFUND_TEXTS = {
    RefundState.WAITING: ("待商家审核", "Awaiting the shop's approval"),
    RefundState.REQUESTED: ("退款已提交", "Asked for"),
    RefundState.PROCESSING: ("退款处理中", "On its way"),
    RefundState.SUCCEEDED: ("已退款", "Refunded"),
    RefundState.ABNORMAL: ("退款异常，商家处理中", "Held up; the shop is dealing with it"),
    RefundState.CLOSED: ("退款已关闭", "Closed"),
    RefundState.REFUSED: ("退款未成功", "Not possible as it was"),
    RefundState.REJECTED: ("商家未同意退款", "Declined by the shop"),
}


def preview(considered: Considered, language: str) -> PreviewView:
    """The answer of a preview, and part of a refusal because the price changed."""
    quote, address = considered.quote, considered.address
    return PreviewView(
        payable=considered.payable,
        problems=[_problem(problem, language) for problem in considered.problems],
        address=None
        if address is None
        else OrderAddress(
            id=str(address.id),
            name=address.name,
            phone=address.phone,
            province=address.province,
            city=address.city,
            district=address.district,
            detail=address.detail,
            tag=address.tag,
        ),
        lines=[
            PreviewLine(
                sku_id=str(line.sku_id),
                product_id=str(line.product_id),
                title=line.title,
                options=line.options,
                image=line.image,
                price_fen=line.unit_fen,
                quantity=line.quantity,
                amount_fen=line.goods_fen,
                stock=considered.stock[line.sku_id],
            )
            for line in quote.lines
        ],
        quantity=quote.quantity,
        goods_fen=quote.goods_fen,
        discount_fen=quote.discount_fen,
        freight_fen=quote.freight_fen,
        pay_fen=quote.total_fen,
    )


def _problem(problem: Problem, language: str) -> ProblemView:
    return ProblemView(code=problem.code(), message=problem.sentence(language), facts=problem.facts)


def refund_view(refund: Refund | mine.Refund, language: str) -> RefundView:
    """How far the money is, for the buyer."""
    return RefundView(
        no=refund.out_refund_no,
        amount_fen=refund.amount_fen,
        state=refund.state,
        state_text=_REFUND_TEXTS[RefundState(refund.state)][language == "en"],
        reason=refund.reason,
        payer_refund_fen=refund.payer_refund_fen,
        user_received_account=refund.user_received_account,
        requested_at=refund.requested_at,
        succeeded_at=refund.succeeded_at,
    )


def _shown(order: Head, lines: msgspec.Raw, now: datetime, language: str) -> dict[str, Any]:
    """The fields of an `OrderView`; of those in lists the database writes the same (`mine.ITEM`)."""
    state = OrderState(order.state)
    left_ms = max(int((order.pay_by - now).total_seconds() * 1000), 0) if state in AWAITING else None
    means = standing.of(state, language, payable=left_ms != 0)
    return {
        "no": order.no,
        "state": state.value,
        "state_text": means.state_text,
        "actions": means.actions,
        "goods_fen": order.goods_fen,
        "discount_fen": order.discount_fen,
        "freight_fen": order.freight_fen,
        "total_fen": order.total_fen,
        "refunded_fen": order.refunded_fen,
        "lines": lines,
        "created_at": order.created_at,
        "pay_by": order.pay_by,
        "pay_left_ms": left_ms,
        "paid_at": order.paid_at,
        "shipped_at": order.shipped_at,
        "completed_at": order.completed_at,
        "cancelled_at": order.cancelled_at,
    }


def detail(mine: Mine, now: datetime, language: str) -> OrderDetail:
    """All that its buyer may see."""
    return OrderDetail(**_detail(mine, now, language))


def _detail(mine: Mine, now: datetime, language: str) -> dict[str, Any]:
    """The fields of an `OrderDetail`."""
    return _shown(mine.order, mine.lines, now, language) | {
        "address": mine.address,
        "note": mine.note,
        "receive_by": mine.receive_by,
        "parcels": [ParcelView(p.carrier, p.tracking_no, p.shipped_at) for p in mine.parcels],
        "refunds": [refund_view(refund, language) for refund in mine.refunds],
    }


def own(order: Own, language: str) -> bytes:
    """An `OrderDetail` in JSON."""
    refunds = msgspec.json.encode([refund_view(refund, language) for refund in order.refunds])
    return b'%b,"refunds":%b}' % (order.shown, refunds)


def for_staff(filed: Filed, now: datetime, language: str) -> AdminOrderView:
    """With who, whence, and its log."""
    return AdminOrderView(
        **_detail(filed, now, language),
        member_id=str(filed.member_id),
        channel=filed.channel,
        source=filed.source,
        trace=filed.trace,
        close_reason=filed.close_reason,
        events=filed.events,
    )
