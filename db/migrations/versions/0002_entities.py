"""People's requests, the entities around jobs, and counts that are kept instead of counted."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


COUNT_WHAT_IS_FORGOTTEN = """
CREATE OR REPLACE FUNCTION forget_captures() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    WITH removed AS (
        DELETE FROM source_image_collection_images m USING gone WHERE m.source_image_id = gone.id
        RETURNING m.collection_id
    ), lost AS (
        SELECT collection_id, count(*) AS captures FROM removed GROUP BY collection_id
    )
    UPDATE source_image_collections c SET images_count = c.images_count - lost.captures
    FROM lost WHERE c.id = lost.collection_id;
    RETURN NULL;
END $$;
"""
FORGET_ONLY = """
CREATE OR REPLACE FUNCTION forget_captures() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM source_image_collection_images m USING gone WHERE m.source_image_id = gone.id;
    RETURN NULL;
END $$;
"""

COUNT_WHAT_IS_THERE = """
UPDATE source_image_collections c SET images_count = counted.captures
FROM (SELECT collection_id, count(*) AS captures FROM source_image_collection_images GROUP BY collection_id) counted
WHERE counted.collection_id = c.id;

UPDATE deployments d
SET captures_count = counted.captures, data_source_total_files = counted.captures,
    data_source_total_size = counted.size, first_capture_timestamp = counted.first,
    last_capture_timestamp = counted.last
FROM (
    SELECT deployment_id, count(*) AS captures, sum(size) AS size, min(timestamp) AS first, max(timestamp) AS last
    FROM source_images GROUP BY deployment_id
) counted WHERE counted.deployment_id = d.id;

UPDATE deployments d SET events_count = counted.events
FROM (SELECT deployment_id, count(*) AS events FROM events GROUP BY deployment_id) counted
WHERE counted.deployment_id = d.id;

UPDATE events e SET captures_count = counted.captures
FROM (SELECT event_id, count(*) AS captures FROM source_images GROUP BY event_id) counted
WHERE counted.event_id = e.id;
"""


def upgrade() -> None:
    op.create_table(
        "category_maps",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column(
            "data",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column("labels", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("version", sa.String(length=255), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("uri", sa.String(length=255), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_category_maps")),
    )
    op.create_table(
        "login_failures",
        sa.Column("subject", sa.String(length=300), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("failures", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_login_failures")),
    )
    op.create_table(
        "processing_services",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("endpoint_url", sa.String(length=1024), nullable=True),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_seen_live", sa.Boolean(), nullable=True),
        sa.Column("last_seen_latency", sa.Double(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_processing_services")),
    )
    op.create_table(
        "algorithms",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("task_type", sa.String(length=255), nullable=True),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("version", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("version_name", sa.String(length=255), nullable=True),
        sa.Column("uri", sa.String(length=255), nullable=True),
        sa.Column("category_map_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["category_map_id"],
            ["category_maps.id"],
            name=op.f("fk_algorithms_category_map_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_algorithms")),
        sa.UniqueConstraint("key", name=op.f("uq_algorithms_key")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_algorithms_name_version")),
    )
    op.create_index(op.f("ix_algorithms_category_map_id"), "algorithms", ["category_map_id"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_idempotency_keys_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "processing_service_pipelines",
        sa.Column("processing_service_id", sa.BigInteger(), nullable=False),
        sa.Column("pipeline_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["pipeline_id"],
            ["pipelines.id"],
            name=op.f("fk_processing_service_pipelines_pipeline_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["processing_service_id"],
            ["processing_services.id"],
            name=op.f("fk_processing_service_pipelines_processing_service_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "processing_service_id", "pipeline_id", name=op.f("pk_processing_service_pipelines")
        ),
    )
    op.create_index(
        op.f("ix_processing_service_pipelines_pipeline_id"),
        "processing_service_pipelines",
        ["pipeline_id"],
        unique=False,
    )
    op.create_table(
        "data_exports",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("format", sa.String(length=255), nullable=False),
        sa.Column(
            "filters",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "filters_display",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("file_url", sa.Text(), nullable=True),
        sa.Column("record_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("file_size", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_data_exports_project_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_data_exports_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_exports")),
    )
    op.create_index(op.f("ix_data_exports_project_id"), "data_exports", ["project_id"], unique=False)
    op.create_index(op.f("ix_data_exports_user_id"), "data_exports", ["user_id"], unique=False)
    op.create_table(
        "devices",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_devices_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_devices")),
    )
    op.create_index(op.f("ix_devices_project_id"), "devices", ["project_id"], unique=False)
    op.create_table(
        "pipeline_algorithms",
        sa.Column("pipeline_id", sa.BigInteger(), nullable=False),
        sa.Column("algorithm_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.SmallInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["algorithm_id"],
            ["algorithms.id"],
            name=op.f("fk_pipeline_algorithms_algorithm_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["pipeline_id"],
            ["pipelines.id"],
            name=op.f("fk_pipeline_algorithms_pipeline_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("pipeline_id", "algorithm_id", name=op.f("pk_pipeline_algorithms")),
    )
    op.create_index(
        op.f("ix_pipeline_algorithms_algorithm_id"), "pipeline_algorithms", ["algorithm_id"], unique=False
    )
    op.create_table(
        "processing_service_projects",
        sa.Column("processing_service_id", sa.BigInteger(), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["processing_service_id"],
            ["processing_services.id"],
            name=op.f("fk_processing_service_projects_processing_service_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_processing_service_projects_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "processing_service_id", "project_id", name=op.f("pk_processing_service_projects")
        ),
    )
    op.create_index(
        op.f("ix_processing_service_projects_project_id"),
        "processing_service_projects",
        ["project_id"],
        unique=False,
    )
    op.create_table(
        "project_pipeline_configs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("project_id", sa.BigInteger(), nullable=False),
        sa.Column("pipeline_id", sa.BigInteger(), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "config",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["pipeline_id"],
            ["pipelines.id"],
            name=op.f("fk_project_pipeline_configs_pipeline_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["project_id"],
            ["projects.id"],
            name=op.f("fk_project_pipeline_configs_project_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_project_pipeline_configs")),
        sa.UniqueConstraint(
            "pipeline_id", "project_id", name=op.f("uq_project_pipeline_configs_pipeline_id_project_id")
        ),
    )
    op.create_index(
        op.f("ix_project_pipeline_configs_project_id"),
        "project_pipeline_configs",
        ["project_id"],
        unique=False,
    )
    op.create_table(
        "storage_sources",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("bucket", sa.String(length=255), nullable=False),
        sa.Column("region", sa.String(length=255), nullable=True),
        sa.Column("prefix", sa.String(length=255), server_default="", nullable=False),
        sa.Column("access_key", sa.Text(), server_default="", nullable=False),
        sa.Column("secret_key", sa.Text(), server_default="", nullable=False),
        sa.Column("endpoint_url", sa.String(length=255), nullable=True),
        sa.Column("public_base_url", sa.String(length=255), nullable=True),
        sa.Column("total_files", sa.BigInteger(), nullable=True),
        sa.Column("total_size", sa.BigInteger(), nullable=True),
        sa.Column("last_checked", sa.DateTime(timezone=True), nullable=True),
        sa.Column("project_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_storage_sources_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_storage_sources")),
    )
    op.create_index(op.f("ix_storage_sources_project_id"), "storage_sources", ["project_id"], unique=False)
    op.add_column("deployments", sa.Column("device_id", sa.BigInteger(), nullable=True))
    op.add_column("deployments", sa.Column("data_source_id", sa.BigInteger(), nullable=True))
    op.add_column("deployments", sa.Column("data_source_subdir", sa.String(length=255), nullable=True))
    op.add_column("deployments", sa.Column("data_source_regex", sa.String(length=255), nullable=True))
    op.add_column(
        "deployments", sa.Column("data_source_last_checked", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column("deployments", sa.Column("data_source_total_files", sa.BigInteger(), nullable=True))
    op.add_column("deployments", sa.Column("data_source_total_size", sa.BigInteger(), nullable=True))
    op.add_column("deployments", sa.Column("image", sa.Text(), nullable=True))
    op.add_column(
        "deployments", sa.Column("events_count", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column(
        "deployments",
        sa.Column("captures_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column("deployments", sa.Column("first_capture_timestamp", sa.DateTime(), nullable=True))
    op.add_column("deployments", sa.Column("last_capture_timestamp", sa.DateTime(), nullable=True))
    op.create_index(op.f("ix_deployments_data_source_id"), "deployments", ["data_source_id"], unique=False)
    op.create_index(op.f("ix_deployments_device_id"), "deployments", ["device_id"], unique=False)
    op.create_foreign_key(
        op.f("fk_deployments_data_source_id"),
        "deployments",
        "storage_sources",
        ["data_source_id"],
        ["id"],
        ondelete="SET NULL",
    )
    op.create_foreign_key(
        op.f("fk_deployments_device_id"), "deployments", "devices", ["device_id"], ["id"], ondelete="SET NULL"
    )
    op.add_column(
        "events", sa.Column("captures_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.drop_index(op.f("ix_events_project_id"), table_name="events")
    op.create_index("ix_events_project_start", "events", ["project_id", "start", "id"], unique=False)
    op.add_column("job_logs", sa.Column("context", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column("jobs", sa.Column("data_export_id", sa.BigInteger(), nullable=True))
    op.add_column("jobs", sa.Column("request_id", sa.String(length=128), nullable=True))
    op.create_index(
        "ix_jobs_open",
        "jobs",
        ["project_id", "id"],
        unique=False,
        postgresql_where=sa.text("status NOT IN ('SUCCESS', 'FAILURE', 'REVOKED')"),
    )
    op.create_unique_constraint(op.f("uq_jobs_data_export_id"), "jobs", ["data_export_id"])
    op.create_foreign_key(
        op.f("fk_jobs_data_export_id"), "jobs", "data_exports", ["data_export_id"], ["id"], ondelete="CASCADE"
    )
    op.add_column(
        "pipelines",
        sa.Column(
            "stages",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
    )
    op.add_column(
        "pipelines",
        sa.Column(
            "default_config",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
    )
    op.add_column(
        "project_members", sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False)
    )
    op.add_column(
        "project_members",
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.create_unique_constraint(op.f("uq_project_members_id"), "project_members", ["id"])
    op.add_column("projects", sa.Column("image", sa.Text(), nullable=True))
    op.add_column(
        "projects", sa.Column("priority", sa.Integer(), server_default=sa.text("1"), nullable=False)
    )
    op.add_column("projects", sa.Column("default_processing_pipeline_id", sa.BigInteger(), nullable=True))
    op.add_column(
        "projects",
        sa.Column("session_time_gap_seconds", sa.Integer(), server_default=sa.text("7200"), nullable=False),
    )
    op.add_column(
        "projects",
        sa.Column(
            "default_filters_score_threshold", sa.Double(), server_default=sa.text("0.5"), nullable=False
        ),
    )
    op.add_column(
        "projects",
        sa.Column(
            "feature_flags",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
    )
    op.create_foreign_key(
        op.f("fk_projects_default_processing_pipeline_id"),
        "projects",
        "pipelines",
        ["default_processing_pipeline_id"],
        ["id"],
        ondelete="SET NULL",
    )
    op.add_column(
        "source_image_collections",
        sa.Column("images_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    )
    op.add_column("source_images", sa.Column("checksum", sa.String(length=255), nullable=True))
    op.add_column("source_images", sa.Column("checksum_algorithm", sa.String(length=255), nullable=True))
    op.add_column("source_images", sa.Column("uploaded_by_id", sa.BigInteger(), nullable=True))
    op.add_column(
        "source_images",
        sa.Column("test_image", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    op.create_foreign_key(
        op.f("fk_source_images_uploaded_by_id"),
        "source_images",
        "users",
        ["uploaded_by_id"],
        ["id"],
        ondelete="SET NULL",
    )
    op.add_column("users", sa.Column("image", sa.Text(), nullable=True))
    op.drop_index("ix_source_images_project_id", table_name="source_images")
    op.create_index("ix_source_images_project_timestamp", "source_images", ["project_id", "timestamp", "id"])
    op.create_index(
        "ix_source_images_project_latest",
        "source_images",
        ["project_id", sa.text("timestamp DESC NULLS LAST"), sa.text("id DESC")],
    )
    op.execute(COUNT_WHAT_IS_FORGOTTEN)
    op.execute(COUNT_WHAT_IS_THERE)


def downgrade() -> None:
    op.execute(FORGET_ONLY)
    op.drop_index("ix_source_images_project_latest", table_name="source_images")
    op.drop_index("ix_source_images_project_timestamp", table_name="source_images")
    op.create_index("ix_source_images_project_id", "source_images", ["project_id", "id"])
    op.drop_column("users", "image")
    op.drop_constraint(op.f("fk_source_images_uploaded_by_id"), "source_images", type_="foreignkey")
    op.drop_column("source_images", "test_image")
    op.drop_column("source_images", "uploaded_by_id")
    op.drop_column("source_images", "checksum_algorithm")
    op.drop_column("source_images", "checksum")
    op.drop_column("source_image_collections", "images_count")
    op.drop_constraint(op.f("fk_projects_default_processing_pipeline_id"), "projects", type_="foreignkey")
    op.drop_column("projects", "feature_flags")
    op.drop_column("projects", "default_filters_score_threshold")
    op.drop_column("projects", "session_time_gap_seconds")
    op.drop_column("projects", "default_processing_pipeline_id")
    op.drop_column("projects", "priority")
    op.drop_column("projects", "image")
    op.drop_constraint(op.f("uq_project_members_id"), "project_members", type_="unique")
    op.drop_column("project_members", "updated_at")
    op.drop_column("project_members", "id")
    op.drop_column("pipelines", "default_config")
    op.drop_column("pipelines", "stages")
    op.drop_constraint(op.f("fk_jobs_data_export_id"), "jobs", type_="foreignkey")
    op.drop_constraint(op.f("uq_jobs_data_export_id"), "jobs", type_="unique")
    op.drop_index(
        "ix_jobs_open",
        table_name="jobs",
        postgresql_where=sa.text("status NOT IN ('SUCCESS', 'FAILURE', 'REVOKED')"),
    )
    op.drop_column("jobs", "request_id")
    op.drop_column("jobs", "data_export_id")
    op.drop_column("job_logs", "context")
    op.drop_index("ix_events_project_start", table_name="events")
    op.create_index(op.f("ix_events_project_id"), "events", ["project_id"], unique=False)
    op.drop_column("events", "captures_count")
    op.drop_constraint(op.f("fk_deployments_device_id"), "deployments", type_="foreignkey")
    op.drop_constraint(op.f("fk_deployments_data_source_id"), "deployments", type_="foreignkey")
    op.drop_index(op.f("ix_deployments_device_id"), table_name="deployments")
    op.drop_index(op.f("ix_deployments_data_source_id"), table_name="deployments")
    op.drop_column("deployments", "last_capture_timestamp")
    op.drop_column("deployments", "first_capture_timestamp")
    op.drop_column("deployments", "captures_count")
    op.drop_column("deployments", "events_count")
    op.drop_column("deployments", "image")
    op.drop_column("deployments", "data_source_total_size")
    op.drop_column("deployments", "data_source_total_files")
    op.drop_column("deployments", "data_source_last_checked")
    op.drop_column("deployments", "data_source_regex")
    op.drop_column("deployments", "data_source_subdir")
    op.drop_column("deployments", "data_source_id")
    op.drop_column("deployments", "device_id")
    op.drop_index(op.f("ix_storage_sources_project_id"), table_name="storage_sources")
    op.drop_table("storage_sources")
    op.drop_index(op.f("ix_project_pipeline_configs_project_id"), table_name="project_pipeline_configs")
    op.drop_table("project_pipeline_configs")
    op.drop_index(op.f("ix_processing_service_projects_project_id"), table_name="processing_service_projects")
    op.drop_table("processing_service_projects")
    op.drop_index(op.f("ix_pipeline_algorithms_algorithm_id"), table_name="pipeline_algorithms")
    op.drop_table("pipeline_algorithms")
    op.drop_index(op.f("ix_devices_project_id"), table_name="devices")
    op.drop_table("devices")
    op.drop_index(op.f("ix_data_exports_user_id"), table_name="data_exports")
    op.drop_index(op.f("ix_data_exports_project_id"), table_name="data_exports")
    op.drop_table("data_exports")
    op.drop_index(
        op.f("ix_processing_service_pipelines_pipeline_id"), table_name="processing_service_pipelines"
    )
    op.drop_table("processing_service_pipelines")
    op.drop_index(op.f("ix_idempotency_keys_created_at"), table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_index(op.f("ix_algorithms_category_map_id"), table_name="algorithms")
    op.drop_table("algorithms")
    op.drop_table("processing_services")
    op.drop_table("login_failures")
    op.drop_table("category_maps")
