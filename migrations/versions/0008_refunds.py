"""Refunds that wait for a second person, and what WeChat says of them."""

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    pass
