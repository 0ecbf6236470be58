"""Every text that the shop keeps is sorted: personal, and then a member's to export and erase, or not personal."""

from sqlalchemy import LargeBinary, Text
from sqlalchemy.dialects.postgresql import JSONB

from kit.database import Table
from shop import schema
from shop.privacy.registry import HELD, KEPT

IMPERSONAL = {
    "access_token": "appid token",
    "after_sale": "no requested_by state",
    "audit_entry": "action actor facts request_id subject subject_kind",
    "bill": "kind last_error state",
    "bill_day": "figures last_error state",
    "bill_difference": "answer facts kind out_refund_no out_trade_no reference",
    "bill_file": "broken kind sha1 summary",
    "bill_flow": "business_id flow_id name type voucher",
    "bill_trade": "appid currency mchid out_refund_no out_trade_no refund_id refund_status trade_state trade_type"
    " transaction_id",
    "category": "image name",
    "customs_declaration": "call customs explanation last_error merchant_customs_no requested_by state sub_order_no"
    " verify_department verify_department_trade_id",
    "freight_template": "name regions",
    "location": "name",
    "notice": "event_type id last_error original_type outcome",
    "order_event": "by facts from_state to_state what",
    "order_line": "image options title",
    "orders": "channel no shown_lines state",
    "parcel": "carrier shipped_by",
    "payment": "appid channel combine_no currency description h5_type last_error mchid out_trade_no payable state"
    " sub_mchid token transaction_id",
    "payment_exception": "facts kind reference resolved_by",
    "payment_policy": "late_payment updated_by wrong_amount",
    "payout_policy": "updated_by",
    "posting": "cause credit currency debit payable",
    "product": "description detail_images images specs status subtitle tags title",
    "refund": "cause decided_by origin out_refund_no payable refund_id requested_by state waiting_for",
    "share": "cause description last_error order_id out_order_no requested_by state",
    "share_part": "description detail_id fail_reason state",
    "share_receiver": "changed_by custom_relation kind last_error relation sealed_for state",
    "share_return": "description fail_reason last_error out_return_no requested_by return_id state",
    "sign_in_attempts": "subject",
    "sku": "code image options",
    "staff": "login name password_hash role",
    "staff_session": "token_hash",
    "stock_move": "actor reason ref",
    "transfer": "appid approved_by cancel_wanted_by cause fail_reason last_error mchid out_bill_no package_info payee"
    " requested_by scene_id sealed_for state transfer_bill_no",
    "transfer_day": "appid",
}
"""About goods, money, staff and machines; or references, codes and states."""


def _texts() -> set[tuple[str, str]]:
    schema.load_models()
    return {
        (table.name, column.name)
        for table in Table.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, Text | JSONB | LargeBinary)
    }


def test_every_text_is_sorted() -> None:
    """A new column is put into the registry when it may say something about a member, else into the list above."""
    removed = {held.table for held in HELD if held.removed}
    personal = {(held.table, column) for held in HELD for column in held.becomes} | set(KEPT)
    impersonal = {(table, column) for table, columns in IMPERSONAL.items() for column in columns.split()}
    texts = {text for text in _texts() if text[0] not in removed}
    assert texts - impersonal == personal & texts
    assert impersonal <= texts
    assert not impersonal & personal


def test_the_registry_names_what_is_there() -> None:
    for held in HELD:
        columns = set(Table.metadata.tables[held.table].columns.keys())
        assert {*held.becomes, *held.columns} <= columns, held.table


def test_what_becomes_of_a_value_is_shown_to_its_member_before() -> None:
    for held in HELD:
        assert set(held.becomes) <= set(held.columns), held.table
