"""Captures come from stores: longer paths, what a sync has seen, and when a station was grouped."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # as long as a key of a store may be; a longer limit rewrites nothing
    op.alter_column("source_images", "path", type_=sa.String(1024), existing_type=sa.String(255))
    op.add_column("deployments", sa.Column("grouped_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "sync_sightings",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("job_id", sa.BigInteger(), nullable=False),
        sa.Column("capture_ids", sa.ARRAY(sa.BigInteger()), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sync_sightings"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_sync_sightings_job_id", ondelete="CASCADE"),
    )
    op.create_index("ix_sync_sightings_job_id", "sync_sightings", ["job_id"])
    # ids of a batch are gone again soon: to compress them would take longer than to write them
    op.execute("ALTER TABLE sync_sightings ALTER COLUMN capture_ids SET STORAGE EXTERNAL")


def downgrade() -> None:
    op.drop_table("sync_sightings")
    op.drop_column("deployments", "grouped_at")
    # fails where a path is longer: nothing is cut off or removed
    op.alter_column("source_images", "path", type_=sa.String(255), existing_type=sa.String(1024))
