"""Occurrences, which belong to a session as their captures do."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

OWNERS = {"project_id": "projects", "deployment_id": "deployments", "event_id": "events"}


def upgrade() -> None:
    op.create_table(
        "occurrences",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        *(sa.Column(column, sa.BigInteger(), nullable=True) for column in OWNERS),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_occurrences"),
        *(
            sa.ForeignKeyConstraint(
                [column], [f"{table}.id"], name=f"fk_occurrences_{column}", ondelete="SET NULL"
            )
            for column, table in OWNERS.items()
        ),
    )
    for column in OWNERS:
        op.create_index(f"ix_occurrences_{column}", "occurrences", [column])
    op.add_column("detections", sa.Column("occurrence_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        "fk_detections_occurrence_id",
        "detections",
        "occurrences",
        ["occurrence_id"],
        ["id"],
        ondelete="SET NULL",
    )
    op.create_index("ix_detections_occurrence_id", "detections", ["occurrence_id"])


def downgrade() -> None:
    op.drop_column("detections", "occurrence_id")
    op.drop_table("occurrences")
