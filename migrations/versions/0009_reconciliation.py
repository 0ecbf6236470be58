"""Bills of WeChat Pay, and how they fit what we know."""

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    pass
