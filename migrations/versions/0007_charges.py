"""Every channel of a charge: tokens, combinations, payment codes, reprices."""

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    pass
