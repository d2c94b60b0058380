"""Storage sources that a superuser vouches for: folders of the server, stores in private networks.

Of those that are there nobody knows who said where they lie: none is trusted, until a superuser says so again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "storage_sources",
        sa.Column("trusted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("storage_sources", "trusted")
