"""Attempts fence each other, and a run can be paused."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("pause_asked_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_jobs_pause_asked",
        "jobs",
        ["pause_asked_at"],
        postgresql_where=sa.text("pause_asked_at IS NOT NULL"),
    )
    op.create_index(
        "ix_jobs_active",
        "jobs",
        ["id"],
        postgresql_where=sa.text("status IN ('PENDING', 'STARTED', 'CANCELING')"),
    )
    op.add_column("job_stages", sa.Column("attempt", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("job_stages", "attempt")
    op.drop_index("ix_jobs_active", "jobs")
    op.drop_index("ix_jobs_pause_asked", "jobs")
    op.drop_column("jobs", "pause_asked_at")
    op.drop_column("jobs", "paused_at")
