"""Money out: transfers, profit sharing, customs declarations."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"

# What is shared may grow only while it fits, with what is promised back, into what was received. It need not fit at
# any time: a refund may be promised while shares are still to come back, and it waits for them.
_REFUSE_OVERSHARING = """
CREATE FUNCTION refuse_oversharing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.shared_fen > OLD.shared_fen AND NEW.shared_fen + NEW.refunded_fen > coalesce(NEW.received_fen, 0) THEN
        RAISE EXCEPTION 'shares and refunds exceed what was received'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payment_oversharing';
    END IF;
    RETURN NEW;
END
$$
"""


def upgrade() -> None:
    _payment()
    _transfers()
    _sharing()
    _customs()


def _payment() -> None:
    op.add_column("payment", sa.Column("profit_sharing", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("payment", sa.Column("shared_fen", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.create_check_constraint(
        "ck_payment_shared",
        "payment",
        "shared_fen >= 0 AND shared_fen <= CASE WHEN profit_sharing THEN coalesce(received_fen, 0) ELSE 0 END",
    )
    op.execute(_REFUSE_OVERSHARING)
    op.execute(
        "CREATE TRIGGER refuse_oversharing BEFORE UPDATE OF shared_fen ON payment"
        " FOR EACH ROW EXECUTE FUNCTION refuse_oversharing()"
    )


def _transfers() -> None:
    op.create_table(
        "payout_policy",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("daily_cap_fen", sa.BigInteger(), nullable=False),
        sa.Column("share_orders", sa.Boolean(), nullable=False),
        sa.Column("share_at_most_bp", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.CheckConstraint("daily_cap_fen > 0", name="ck_payout_policy_daily_cap"),
        sa.CheckConstraint("id = 1", name="ck_payout_policy_one_row"),
        sa.CheckConstraint("share_at_most_bp BETWEEN 0 AND 10000", name="ck_payout_policy_share_at_most"),
        sa.PrimaryKeyConstraint("id", name="pk_payout_policy"),
    )
    op.create_table(
        "transfer",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("out_bill_no", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("payee", sa.Text(), nullable=False),
        sa.Column("mchid", sa.Text(), nullable=False),
        sa.Column("appid", sa.Text(), nullable=False),
        sa.Column("openid", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("remark", sa.Text(), nullable=False),
        sa.Column("scene_id", sa.Text(), nullable=False),
        sa.Column("report", postgresql.JSONB(), nullable=False),
        sa.Column("named", sa.Boolean(), nullable=False),
        sa.Column("sealed_name", sa.Text(), nullable=True),
        sa.Column("sealed_for", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("transfer_bill_no", sa.Text(), nullable=True),
        sa.Column("package_info", sa.Text(), nullable=True),
        sa.Column("confirm_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fail_reason", sa.Text(), nullable=True),
        sa.Column("cancel_wanted_by", sa.Text(), nullable=True),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("checks", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("check_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(sealed_name IS NULL) = (sealed_for IS NULL) AND (sealed_name IS NULL OR state IN ('to_approve', 'requested', 'accepted', 'processing', 'wait_user_confirm'))",
            name="ck_transfer_sealed_name",
        ),
        sa.CheckConstraint(
            "state IN ('to_approve', 'requested', 'accepted', 'processing', 'wait_user_confirm', 'transfering', 'canceling', 'success', 'fail', 'cancelled', 'refused')",
            name="ck_transfer_state",
        ),
        sa.CheckConstraint("NOT named OR amount_fen >= 30", name="ck_transfer_name_not_allowed"),
        sa.CheckConstraint("amount_fen > 0", name="ck_transfer_amount"),
        sa.CheckConstraint("approved_by <> requested_by", name="ck_transfer_second_person"),
        sa.CheckConstraint("named OR amount_fen < 200000", name="ck_transfer_name_required"),
        sa.PrimaryKeyConstraint("id", name="pk_transfer"),
        sa.UniqueConstraint("out_bill_no", name="uq_transfer_out_bill_no"),
        sa.UniqueConstraint("transfer_bill_no", name="uq_transfer_transfer_bill_no"),
    )
    op.create_index("ix_transfer_appid_openid_id", "transfer", ["appid", "openid", "id"], unique=False)
    op.create_index(
        "ix_transfer_check_at",
        "transfer",
        ["check_at"],
        unique=False,
        postgresql_where=sa.text("state NOT IN ('to_approve', 'success', 'fail', 'cancelled', 'refused')"),
    )
    op.create_index(
        "uq_transfer_cause",
        "transfer",
        ["cause"],
        unique=True,
        postgresql_where=sa.text("state NOT IN ('fail', 'cancelled', 'refused')"),
    )
    op.create_table(
        "transfer_day",
        sa.Column("appid", sa.Text(), nullable=False),
        sa.Column("openid", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("promised_fen", sa.BigInteger(), nullable=False),
        sa.Column("cap_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("promised_fen BETWEEN 0 AND cap_fen", name="ck_transfer_day_cap"),
        sa.PrimaryKeyConstraint("appid", "openid", "day", name="pk_transfer_day"),
    )


def _sharing() -> None:
    op.create_table(
        "share_receiver",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("relation", sa.Text(), nullable=False),
        sa.Column("custom_relation", sa.Text(), nullable=True),
        sa.Column("named", sa.Boolean(), nullable=False),
        sa.Column("sealed_name", sa.Text(), nullable=True),
        sa.Column("sealed_for", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("checks", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("check_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(relation = 'CUSTOM') = (custom_relation IS NOT NULL)", name="ck_share_receiver_custom_relation"
        ),
        sa.CheckConstraint(
            "(sealed_name IS NULL) = (sealed_for IS NULL) AND (sealed_name IS NULL OR state = 'adding')",
            name="ck_share_receiver_sealed_name",
        ),
        sa.CheckConstraint("kind <> 'MERCHANT_ID' OR named", name="ck_share_receiver_merchant_named"),
        sa.CheckConstraint(
            "kind IN ('MERCHANT_ID', 'PERSONAL_OPENID', 'PERSONAL_SUB_OPENID')", name="ck_share_receiver_kind"
        ),
        sa.CheckConstraint(
            "relation IN ('SERVICE_PROVIDER', 'STORE', 'STAFF', 'STORE_OWNER', 'PARTNER', 'HEADQUARTER', 'BRAND', 'DISTRIBUTOR', 'USER', 'SUPPLIER', 'CUSTOM')",
            name="ck_share_receiver_relation",
        ),
        sa.CheckConstraint(
            "state IN ('adding', 'active', 'removing', 'removed', 'refused')", name="ck_share_receiver_state"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_share_receiver"),
        sa.UniqueConstraint("kind", "account", name="uq_share_receiver_kind_account"),
    )
    op.create_index(
        "ix_share_receiver_check_at",
        "share_receiver",
        ["check_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('adding', 'removing')"),
    )
    op.create_table(
        "share",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("out_order_no", sa.Text(), nullable=False),
        sa.Column("payment_id", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("unfreeze", sa.Boolean(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("checks", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("check_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.CheckConstraint("state IN ('requested', 'processing', 'finished', 'refused')", name="ck_share_state"),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name="fk_share_payment_id"),
        sa.PrimaryKeyConstraint("id", name="pk_share"),
        sa.UniqueConstraint("out_order_no", name="uq_share_out_order_no"),
    )
    op.create_index(
        "ix_share_check_at",
        "share",
        ["check_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('requested', 'processing')"),
    )
    op.create_index("ix_share_payment_id", "share", ["payment_id"], unique=False)
    op.create_index("uq_share_cause", "share", ["cause"], unique=True, postgresql_where=sa.text("state <> 'refused'"))
    op.create_index(
        "uq_share_unfreeze",
        "share",
        ["payment_id"],
        unique=True,
        postgresql_where=sa.text("unfreeze AND state <> 'refused'"),
    )
    op.create_table(
        "share_part",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("share_id", sa.BigInteger(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("receiver_id", sa.BigInteger(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("fail_reason", sa.Text(), nullable=True),
        sa.Column("detail_id", sa.Text(), nullable=True),
        sa.Column("returned_fen", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state = 'success' OR returned_fen = 0", name="ck_share_part_returned_of_nothing"),
        sa.CheckConstraint("state IN ('pending', 'success', 'closed')", name="ck_share_part_state"),
        sa.CheckConstraint("amount_fen > 0", name="ck_share_part_amount"),
        sa.CheckConstraint("returned_fen BETWEEN 0 AND amount_fen", name="ck_share_part_returned"),
        sa.ForeignKeyConstraint(["receiver_id"], ["share_receiver.id"], name="fk_share_part_receiver_id"),
        sa.ForeignKeyConstraint(["share_id"], ["share.id"], name="fk_share_part_share_id"),
        sa.PrimaryKeyConstraint("id", name="pk_share_part"),
        sa.UniqueConstraint("share_id", "n", name="uq_share_part_share_id_n"),
        sa.UniqueConstraint("share_id", "receiver_id", name="uq_share_part_share_id_receiver_id"),
    )
    op.create_table(
        "share_return",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("out_return_no", sa.Text(), nullable=False),
        sa.Column("part_id", sa.BigInteger(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("return_id", sa.Text(), nullable=True),
        sa.Column("fail_reason", sa.Text(), nullable=True),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("checks", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("check_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('requested', 'processing', 'succeeded', 'failed', 'refused')", name="ck_share_return_state"
        ),
        sa.CheckConstraint("amount_fen > 0", name="ck_share_return_amount"),
        sa.ForeignKeyConstraint(["part_id"], ["share_part.id"], name="fk_share_return_part_id"),
        sa.PrimaryKeyConstraint("id", name="pk_share_return"),
        sa.UniqueConstraint("out_return_no", name="uq_share_return_out_return_no"),
    )
    op.create_index(
        "ix_share_return_check_at",
        "share_return",
        ["check_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('requested', 'processing')"),
    )
    op.create_index("ix_share_return_part_id", "share_return", ["part_id"], unique=False)


def _customs() -> None:
    op.create_table(
        "customs_declaration",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("payment_id", sa.BigInteger(), nullable=False),
        sa.Column("customs", sa.Text(), nullable=False),
        sa.Column("merchant_customs_no", sa.Text(), nullable=False),
        sa.Column("duty_fen", sa.BigInteger(), nullable=True),
        sa.Column("sub_order_no", sa.Text(), nullable=False),
        sa.Column("order_fen", sa.BigInteger(), nullable=True),
        sa.Column("transport_fen", sa.BigInteger(), nullable=True),
        sa.Column("product_fen", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("modified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("verify_department", sa.Text(), nullable=True),
        sa.Column("verify_department_trade_id", sa.Text(), nullable=True),
        sa.Column("explanation", sa.Text(), nullable=True),
        sa.Column("turns", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("checks", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("check_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.CheckConstraint("(sub_order_no = '') = (order_fen IS NULL)", name="ck_customs_declaration_sub_order"),
        sa.CheckConstraint("call IN ('declare', 'amend', 'redeclare')", name="ck_customs_declaration_call"),
        sa.CheckConstraint(
            "customs IN ('GUANGZHOU_ZS', 'HANGZHOU_ZS', 'NINGBO', 'ZHENGZHOU_BS', 'CHONGQING', 'SHANGHAI_ZS', 'SHENZHEN', 'ZHENGZHOU_ZH_ZS', 'TIANJIN')",
            name="ck_customs_declaration_customs",
        ),
        sa.CheckConstraint(
            "state IN ('requested', 'undeclared', 'processing', 'submitted', 'success', 'fail', 'except', 'refused')",
            name="ck_customs_declaration_state",
        ),
        sa.CheckConstraint(
            "duty_fen >= 0 AND transport_fen >= 0 AND product_fen >= 0", name="ck_customs_declaration_amounts"
        ),
        sa.CheckConstraint("order_fen = transport_fen + product_fen", name="ck_customs_declaration_sub_order_sum"),
        sa.ForeignKeyConstraint(["payment_id"], ["payment.id"], name="fk_customs_declaration_payment_id"),
        sa.PrimaryKeyConstraint("id", name="pk_customs_declaration"),
        sa.UniqueConstraint(
            "payment_id", "customs", "sub_order_no", name="uq_customs_declaration_payment_id_customs_sub_order_no"
        ),
    )
    op.create_index(
        "ix_customs_declaration_check_at",
        "customs_declaration",
        ["check_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('requested', 'undeclared', 'processing', 'submitted')"),
    )
