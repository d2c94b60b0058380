"""A stage's turn to work on a thing, and the job that it waits for, have columns of their own.

Before, they lay in the cursor of the stage that syncs; those of runs under way are moved.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_MOVE = """
UPDATE job_stages s
SET turn_kind = CASE WHEN (s.cursor ->> 'turn')::boolean THEN 'sync of station' END,
    turn_id = CASE WHEN (s.cursor ->> 'turn')::boolean THEN j.deployment_id END,
    waits_for = (s.cursor ->> 'waits_for')::bigint,
    cursor = s.cursor - 'turn' - 'waits_for'
FROM jobs j
WHERE j.id = s.job_id AND s.key = 'data_storage_sync' AND s.status = 'STARTED' AND s.cursor ? 'turn'
"""
_MOVE_BACK = """
UPDATE job_stages
SET cursor = coalesce(cursor, '{}') || jsonb_build_object('turn', turn_kind IS NOT NULL, 'waits_for', waits_for)
WHERE key = 'data_storage_sync' AND status = 'STARTED' AND (turn_kind IS NOT NULL OR waits_for IS NOT NULL)
"""


def upgrade() -> None:
    op.add_column("job_stages", sa.Column("turn_kind", sa.String(64), nullable=True))
    op.add_column("job_stages", sa.Column("turn_id", sa.BigInteger(), nullable=True))
    op.add_column("job_stages", sa.Column("waits_for", sa.BigInteger(), nullable=True))
    op.add_column(
        "job_stages", sa.Column("waited", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.execute(_MOVE)
    op.create_index(
        "ix_job_stages_turn",
        "job_stages",
        ["turn_kind", "turn_id"],
        postgresql_where=sa.text("status = 'STARTED'"),
    )


def downgrade() -> None:
    op.execute(_MOVE_BACK)
    op.drop_index("ix_job_stages_turn", table_name="job_stages")
    for column in ("waited", "waits_for", "turn_id", "turn_kind"):
        op.drop_column("job_stages", column)
