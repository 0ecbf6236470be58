"""Where personal values stand, whose they are, what becomes of them at an erasure, and what an export shows.

The order is that of the locks: keys, payment, order, refund, after-sale, then what is the member's alone. `:member` is the id.
"""

from typing import Final

import msgspec

_ORDERS = "SELECT id FROM orders WHERE member_id = :member"
_NOS = "SELECT no FROM orders WHERE member_id = :member"
_MINE = "member_id = :member"
_PSEUDONYM = """(SELECT 'erased-' || i.id FROM identity i
    WHERE i.member_id = :member AND i.appid = {0}.appid AND i.openid = {0}.openid)"""
"""Points to nobody once the identity is gone, and still tells one payee from another: the books add up by it."""
_BY_OPENID = "(appid, openid) IN (SELECT i.appid, i.openid FROM identity i WHERE i.member_id = :member)"

_NUMBERS = f"""{_NOS} UNION ALL SELECT no FROM after_sale WHERE order_id IN ({_ORDERS})
    UNION ALL SELECT out_refund_no FROM refund WHERE payable IN ({_NOS})
    UNION ALL SELECT out_bill_no FROM transfer WHERE {_BY_OPENID}"""  # noqa: S608  (only our own constants)


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of one table that are about a member."""

    table: str
    whose: str
    """Which rows."""
    becomes: dict[str, str] = {}
    """Personal columns, each with what it is after an erasure."""
    removed: bool = False
    """The rows go as a whole."""
    shown: str = ""
    """The columns of an export, the first of which orders it; none: a copy of what stands elsewhere."""

    @property
    def columns(self) -> list[str]:
        return self.shown.split()


HELD: Final = (
    Held(
        table="idempotency_key",
        # Staff's answers name the order or the transfer; those of three days are few enough to be looked through.
        whose=f"""actor = 'member:' || :member OR actor IN (SELECT 'staff:' || s.id FROM staff s) AND EXISTS (
            SELECT 1 FROM ({_NUMBERS}) n WHERE strpos(answer::text, n.no) > 0)""",  # noqa: S608
        removed=True,
    ),
    Held(
        table="payment",
        whose=f"payable IN ({_NOS})",
        becomes={"openid": "NULL", "client_ip": "NULL"},
        shown="created_at out_trade_no payable channel appid openid client_ip currency amount_fen state"
        " transaction_id received_fen received_at refunded_fen closed_at",
    ),
    Held(
        table="orders",
        whose=_MINE,
        becomes={
            "address": """address || '{"name": "", "phone": "", "detail": "", "tag": "", "id": null}'""",
            "note": "''",
            "source": "'{}'",
            "close_reason": "CASE WHEN close_reason IS NULL THEN NULL ELSE '' END",
            # Why staff gave it another price.
            "trace": """coalesce((SELECT jsonb_agg(s.step - 'reason' ORDER BY s.n)
                FROM jsonb_array_elements(trace) WITH ORDINALITY s(step, n)), '[]')""",
        },
        shown="id no channel source state goods_fen discount_fen freight_fen total_fen refunded_fen trace"
        " address note close_reason created_at paid_at shipped_at completed_at cancelled_at",
    ),
    Held(
        table="order_line",
        whose=f"order_id IN ({_ORDERS})",
        shown="id order_id sku_id product_id title options unit_fen quantity paid_fen refunded_quantity refunded_fen",
    ),
    Held(
        table="parcel",
        whose=f"order_id IN ({_ORDERS})",
        shown="id order_id carrier tracking_no shipped_at",
    ),
    Held(
        table="refund",
        whose=f"payable IN ({_NOS})",
        becomes={
            "reason": "''",
            "user_received_account": "NULL",
            # Why a person rejected it, also when WeChat had it after all.
            "last_error": "CASE WHEN decided_by IS NULL THEN last_error END",
        },
        shown="requested_at out_refund_no payable amount_fen reason state payer_refund_fen user_received_account"
        " succeeded_at last_error",
    ),
    Held(
        table="after_sale",
        whose=f"order_id IN ({_ORDERS})",
        becomes={"reason": "''"},
        shown="id no order_id state amount_fen freight_fen reason requested_at ended_at",
    ),
    Held(
        table="payment_exception",
        whose=f"""payment_id IN (SELECT id FROM payment WHERE payable IN ({_NOS}))
            OR reference IN ({_NUMBERS})""",  # noqa: S608  (only our own constants)
        becomes={"resolution": "CASE WHEN resolved_by LIKE 'staff:%' THEN '' ELSE resolution END"},
        shown="created_at kind reference resolution resolved_at",
    ),
    Held(
        table="transfer",
        whose=_BY_OPENID,
        becomes={"openid": _PSEUDONYM.format("transfer"), "remark": "''"},
        shown="requested_at out_bill_no appid openid amount_fen remark state ended_at",
    ),
    Held(
        table="transfer_day",
        whose=_BY_OPENID,
        becomes={"openid": _PSEUDONYM.format("transfer_day")},
        shown="day appid openid promised_fen",
    ),
    Held(
        table="cart_line",
        whose=_MINE,
        removed=True,
        shown="added_at sku_id quantity selected",
    ),
    Held(
        table="address",
        whose=_MINE,
        removed=True,
        shown="id name phone province city district province_code city_code district_code detail tag is_default"
        " created_at",
    ),
    Held(
        table="member_session",
        whose=_MINE,
        removed=True,
        shown="created_at expires_at revoked_at",
    ),
    Held(
        table="identity",
        whose=_MINE,
        removed=True,
        shown="id appid openid unionid joined_by created_at",
    ),
    Held(
        table="member",
        whose="id = :member",
        becomes={"nickname": "''", "avatar_url": "''", "phone": "NULL", "status": "'erased'"},
        shown="id nickname avatar_url phone status created_at",
    ),
)

KEPT: Final = {
    ("parcel", "tracking_no"): "the proof of delivery of what was sold, three years (E-commerce law 31)",
    ("notice", "body"): "WeChat's news as it came, sealed with the APIv3 key, for ninety days after it was handled",
    ("bill_chunk", "data"): "WeChat's bills as they came: vouchers of the accounts, which must stay whole",
    ("share_receiver", "account"): "who shares in payments by contract: a partner of the shop, in or out by staff",
    ("share_receiver", "sealed_name"): "the same, sealed to WeChat's key",
    ("transfer", "sealed_name"): "sealed to WeChat's key, and gone as soon as the transfer ends",
    ("transfer", "report"): "what WeChat's rules for the scene of a transfer want to be told",
}
"""Personal, or sealed around something personal, and not touched by an erasure."""
