"""The tables. Queries live in the `*_rows` modules; what a table means is in docs/architecture.md."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    DateTime,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB,
        list[dict[str, Any]]: JSONB,
        float: Double,
    }


def _id() -> Mapped[int]:
    return mapped_column(BigInteger, Identity(always=False), primary_key=True)


def _now() -> Mapped[datetime]:
    return mapped_column(server_default=func.now())


def _reference(target: str, on_delete: str, *, nullable: bool = True, index: bool = True) -> Any:
    return mapped_column(BigInteger, ForeignKey(target, ondelete=on_delete), nullable=nullable, index=index)


# people -------------------------------------------------------------------------------------------------------


class UserRow(Base):
    """Someone, or some program, that may call the API."""

    __tablename__ = "users"

    id: Mapped[int] = _id()
    email: Mapped[str] = mapped_column(String(254), unique=True)
    """Lower case; the login name."""
    name: Mapped[str] = mapped_column(String(255), server_default="")
    image: Mapped[str | None] = mapped_column(Text)
    password_hash: Mapped[str | None] = mapped_column(Text)
    """argon2; null for an account that cannot log in by password."""
    is_staff: Mapped[bool] = mapped_column(server_default=text("false"))
    is_superuser: Mapped[bool] = mapped_column(server_default=text("false"))
    is_active: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()

    __table_args__ = (CheckConstraint("email = lower(email)", name="email_lower"),)


class TokenRow(Base):
    """A token of a user: only its hash is kept."""

    __tablename__ = "auth_tokens"

    id: Mapped[int] = _id()
    user_id: Mapped[int] = _reference("users.id", "CASCADE", nullable=False)
    name: Mapped[str] = mapped_column(String(255), server_default="login")
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    """SHA-256 in hex: the key is 160 random bits, so no salt and no slow hash is needed."""
    created_at: Mapped[datetime] = _now()


class LoginFailureRow(Base):
    """How often a login failed lately: for an e-mail address, or from a network address."""

    __tablename__ = "login_failures"

    subject: Mapped[str] = mapped_column(String(300), primary_key=True)
    since: Mapped[datetime] = _now()
    """Begin of the window that is counted."""
    failures: Mapped[int] = mapped_column(Integer, server_default=text("1"))


class IdempotencyKeyRow(Base):
    """The answer to a request that carried an Idempotency-Key, kept with what the request did."""

    __tablename__ = "idempotency_keys"

    user_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    """SHA-256 of method, address and body."""
    status: Mapped[int] = mapped_column(SmallInteger)
    headers: Mapped[dict[str, Any]]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)


# the field ----------------------------------------------------------------------------------------------------


class ProjectRow(Base):
    __tablename__ = "projects"

    id: Mapped[int] = _id()
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text, server_default="")
    owner_id: Mapped[int | None] = _reference("users.id", "SET NULL")
    draft: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    """Visible to its members only."""
    active: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    image: Mapped[str | None] = mapped_column(Text)
    priority: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    """Projects of a higher one are listed first."""
    default_processing_pipeline_id: Mapped[int | None] = _reference("pipelines.id", "SET NULL", index=False)
    session_time_gap_seconds: Mapped[int] = mapped_column(Integer, server_default=text("7200"))
    default_filters_score_threshold: Mapped[float] = mapped_column(Double, server_default=text("0.5"))
    feature_flags: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    """What differs from the defaults (monitoring.projects)."""
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()


class ProjectMemberRow(Base):
    """That a user belongs to a project, and as what."""

    __tablename__ = "project_members"

    project_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    role: Mapped[str | None] = mapped_column(String(40))
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=False), unique=True)
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()


class SiteRow(Base):
    __tablename__ = "sites"

    id: Mapped[int] = _id()
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text, server_default="")
    project_id: Mapped[int | None] = _reference("projects.id", "CASCADE")
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()


class DeviceRow(Base):
    """A kind of camera trap."""

    __tablename__ = "devices"

    id: Mapped[int] = _id()
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text, server_default="")
    project_id: Mapped[int | None] = _reference("projects.id", "CASCADE")
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()


class StorageSourceRow(Base):
    """Where captures lie: a bucket, and the keys to it."""

    __tablename__ = "storage_sources"

    id: Mapped[int] = _id()
    name: Mapped[str] = mapped_column(String(255))
    bucket: Mapped[str] = mapped_column(String(255))
    region: Mapped[str | None] = mapped_column(String(255))
    prefix: Mapped[str] = mapped_column(String(255), server_default="")
    access_key: Mapped[str] = mapped_column(Text, server_default="")
    secret_key: Mapped[str] = mapped_column(Text, server_default="")
    """Never in an answer, a log or a history."""
    endpoint_url: Mapped[str | None] = mapped_column(String(255))
    public_base_url: Mapped[str | None] = mapped_column(String(255))
    trusted: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether a superuser vouches for where it lies, which may be a folder or a private network then."""
    total_files: Mapped[int | None] = mapped_column(BigInteger)
    total_size: Mapped[int | None] = mapped_column(BigInteger)
    last_checked: Mapped[datetime | None]
    project_id: Mapped[int | None] = _reference("projects.id", "CASCADE")
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()


class DeploymentRow(Base):
    """A station. Its counts are cached: see `db.station_rows.refresh`."""

    __tablename__ = "deployments"

    id: Mapped[int] = _id()
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text, server_default="")
    project_id: Mapped[int | None] = _reference("projects.id", "SET NULL")
    research_site_id: Mapped[int | None] = _reference("sites.id", "SET NULL")
    device_id: Mapped[int | None] = _reference("devices.id", "SET NULL")
    data_source_id: Mapped[int | None] = _reference("storage_sources.id", "SET NULL")
    data_source_subdir: Mapped[str | None] = mapped_column(String(255))
    data_source_regex: Mapped[str | None] = mapped_column(String(255))
    data_source_last_checked: Mapped[datetime | None]
    data_source_total_files: Mapped[int | None] = mapped_column(BigInteger)
    data_source_total_size: Mapped[int | None] = mapped_column(BigInteger)
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    image: Mapped[str | None] = mapped_column(Text)
    events_count: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    captures_count: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    first_capture_timestamp: Mapped[datetime | None] = mapped_column(DateTime(timezone=False))
    last_capture_timestamp: Mapped[datetime | None] = mapped_column(DateTime(timezone=False))
    grouped_at: Mapped[datetime | None]
    """When its captures were grouped into sessions last."""
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()


class EventRow(Base):
    """A session: one night of one station."""

    __tablename__ = "events"

    id: Mapped[int] = _id()
    project_id: Mapped[int | None] = _reference("projects.id", "SET NULL", index=False)
    deployment_id: Mapped[int | None] = _reference("deployments.id", "SET NULL", index=False)
    group_by: Mapped[str] = mapped_column(String(255))
    start: Mapped[datetime] = mapped_column(DateTime(timezone=False))
    end: Mapped[datetime | None] = mapped_column(DateTime(timezone=False))
    captures_count: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """Cached: see `db.session_rows.refresh`."""
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()

    __table_args__ = (
        UniqueConstraint("deployment_id", "group_by"),
        Index("ix_events_project_start", "project_id", "start", "id"),
    )


class SourceImageRow(Base):
    """A capture."""

    __tablename__ = "source_images"

    id: Mapped[int] = _id()
    project_id: Mapped[int | None] = _reference("projects.id", "SET NULL", index=False)
    deployment_id: Mapped[int | None] = _reference("deployments.id", "SET NULL", index=False)
    event_id: Mapped[int | None] = _reference("events.id", "SET NULL", index=False)
    path: Mapped[str] = mapped_column(String(1024))
    public_base_url: Mapped[str | None] = mapped_column(String(255))
    timestamp: Mapped[datetime | None] = mapped_column(DateTime(timezone=False))
    """Wall clock of the station."""
    width: Mapped[int | None]
    height: Mapped[int | None]
    size: Mapped[int | None] = mapped_column(BigInteger)
    last_modified: Mapped[datetime | None]
    checksum: Mapped[str | None] = mapped_column(String(255))
    checksum_algorithm: Mapped[str | None] = mapped_column(String(255))
    uploaded_by_id: Mapped[int | None] = _reference("users.id", "SET NULL", index=False)
    test_image: Mapped[bool] = mapped_column(server_default=text("false"))
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()

    __table_args__ = (
        UniqueConstraint("deployment_id", "path"),
        Index("ix_source_images_deployment_timestamp", "deployment_id", "timestamp", "id"),
        Index("ix_source_images_event_timestamp", "event_id", "timestamp", "id"),
        # the list of captures in either order; without a time they come last in both
        Index("ix_source_images_project_timestamp", "project_id", "timestamp", "id"),
        Index(
            "ix_source_images_project_latest",
            "project_id",
            text("timestamp DESC NULLS LAST"),
            text("id DESC"),
        ),
    )


class OccurrenceRow(Base):
    """One insect, seen on one capture or on several after another."""

    __tablename__ = "occurrences"

    id: Mapped[int] = _id()
    project_id: Mapped[int | None] = _reference("projects.id", "SET NULL")
    deployment_id: Mapped[int | None] = _reference("deployments.id", "SET NULL")
    event_id: Mapped[int | None] = _reference("events.id", "SET NULL")
    """That of the capture of its first detection (monitoring.grouping)."""
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()


class DetectionRow(Base):
    """Something found on a capture, or, with `bbox` NULL, the mark that a detector found nothing."""

    __tablename__ = "detections"

    id: Mapped[int] = _id()
    source_image_id: Mapped[int] = _reference("source_images.id", "CASCADE", nullable=False)
    occurrence_id: Mapped[int | None] = _reference("occurrences.id", "SET NULL")
    bbox: Mapped[list[dict[str, Any]] | None] = mapped_column(JSONB(none_as_null=True))
    timestamp: Mapped[datetime | None] = mapped_column(DateTime(timezone=False))
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()


class SourceImageCollectionRow(Base):
    """A capture set: a method of sampling and the captures it gave last."""

    __tablename__ = "source_image_collections"

    id: Mapped[int] = _id()
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text, server_default="")
    project_id: Mapped[int] = _reference("projects.id", "CASCADE", nullable=False)
    method: Mapped[str] = mapped_column(String(255), server_default="full")
    kwargs: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    images_count: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    """How many captures are in it: kept by whoever adds or removes some, in the same transaction."""
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()


class CollectionImageRow(Base):
    """That a capture is in a capture set.

    No foreign keys: checked row by row they take four fifths of the time of filling a large set. Statement
    triggers keep the same promise (see the first migration): deleting a capture or a set deletes its rows
    here, and waits for whoever is adding some.
    """

    __tablename__ = "source_image_collection_images"

    collection_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    source_image_id: Mapped[int] = mapped_column(
        BigInteger, primary_key=True, autoincrement=False, index=True
    )


class SyncSightingRow(Base):
    """Captures that a running sync has seen in the store: hundreds or thousands in a row. Gone with its end."""

    __tablename__ = "sync_sightings"

    id: Mapped[int] = _id()
    job_id: Mapped[int] = _reference("jobs.id", "CASCADE", nullable=False)
    capture_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))


# models -------------------------------------------------------------------------------------------------------


class PipelineRow(Base):
    """Models in the order in which a capture goes through them."""

    __tablename__ = "pipelines"

    id: Mapped[int] = _id()
    name: Mapped[str] = mapped_column(String(255))
    slug: Mapped[str] = mapped_column(String(255), unique=True)
    description: Mapped[str] = mapped_column(Text, server_default="")
    version: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    version_name: Mapped[str] = mapped_column(String(255), server_default="")
    stages: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    """For display only."""
    default_config: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()


class CategoryMapRow(Base):
    """The labels of a classifier, in the order of its outputs."""

    __tablename__ = "category_maps"

    id: Mapped[int] = _id()
    data: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    labels: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default=text("'{}'"))
    version: Mapped[str | None] = mapped_column(String(255))
    description: Mapped[str | None] = mapped_column(Text)
    uri: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()


class AlgorithmRow(Base):
    """One model: a detector, a classifier, or another step."""

    __tablename__ = "algorithms"

    id: Mapped[int] = _id()
    name: Mapped[str] = mapped_column(String(255))
    key: Mapped[str] = mapped_column(String(255), unique=True)
    task_type: Mapped[str | None] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text, server_default="")
    version: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    version_name: Mapped[str | None] = mapped_column(String(255))
    uri: Mapped[str | None] = mapped_column(String(255))
    category_map_id: Mapped[int | None] = _reference("category_maps.id", "SET NULL")
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()

    __table_args__ = (UniqueConstraint("name", "version"),)


class PipelineAlgorithmRow(Base):
    """That a pipeline uses a model, and where in its order."""

    __tablename__ = "pipeline_algorithms"

    pipeline_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("pipelines.id", ondelete="CASCADE"), primary_key=True
    )
    algorithm_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("algorithms.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    position: Mapped[int] = mapped_column(SmallInteger, server_default=text("0"))


class ProjectPipelineConfigRow(Base):
    """That a project may use a pipeline, and with which settings."""

    __tablename__ = "project_pipeline_configs"

    id: Mapped[int] = _id()
    project_id: Mapped[int] = _reference("projects.id", "CASCADE", nullable=False)
    pipeline_id: Mapped[int] = _reference("pipelines.id", "CASCADE", nullable=False, index=False)
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    config: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()

    __table_args__ = (UniqueConstraint("pipeline_id", "project_id"),)


class ProcessingServiceRow(Base):
    """Who runs pipelines: a service that is called, or, without an address, workers that ask for tasks."""

    __tablename__ = "processing_services"

    id: Mapped[int] = _id()
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text, server_default="")
    endpoint_url: Mapped[str | None] = mapped_column(String(1024))
    last_seen: Mapped[datetime | None]
    last_seen_live: Mapped[bool | None]
    last_seen_latency: Mapped[float | None]
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()


class ProcessingServiceProjectRow(Base):
    """That a processing service works for a project."""

    __tablename__ = "processing_service_projects"

    processing_service_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("processing_services.id", ondelete="CASCADE"), primary_key=True
    )
    project_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class ProcessingServicePipelineRow(Base):
    """That a processing service offers a pipeline."""

    __tablename__ = "processing_service_pipelines"

    processing_service_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("processing_services.id", ondelete="CASCADE"), primary_key=True
    )
    pipeline_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("pipelines.id", ondelete="CASCADE"), primary_key=True, index=True
    )


# jobs ---------------------------------------------------------------------------------------------------------


class DataExportRow(Base):
    """A file of results that somebody asked for."""

    __tablename__ = "data_exports"

    id: Mapped[int] = _id()
    user_id: Mapped[int] = _reference("users.id", "CASCADE", nullable=False)
    project_id: Mapped[int] = _reference("projects.id", "CASCADE", nullable=False)
    format: Mapped[str] = mapped_column(String(255))
    filters: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    filters_display: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default=text("'{}'::jsonb"))
    file_url: Mapped[str | None] = mapped_column(Text)
    record_count: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    file_size: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()


class JobRow(Base):
    """What a user asked for. Touched only when it is edited or its status changes."""

    __tablename__ = "jobs"

    id: Mapped[int] = _id()
    name: Mapped[str] = mapped_column(String(255))
    project_id: Mapped[int] = _reference("projects.id", "CASCADE", nullable=False, index=False)
    deployment_id: Mapped[int | None] = _reference("deployments.id", "CASCADE")
    source_image_collection_id: Mapped[int | None] = _reference("source_image_collections.id", "SET NULL")
    source_image_single_id: Mapped[int | None] = _reference("source_images.id", "SET NULL")
    pipeline_id: Mapped[int | None] = _reference("pipelines.id", "SET NULL")
    data_export_id: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey("data_exports.id", ondelete="CASCADE"), unique=True
    )
    job_type_key: Mapped[str] = mapped_column(String(255))
    dispatch_mode: Mapped[str] = mapped_column(String(32), server_default="internal")
    delay: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    limit: Mapped[int | None] = mapped_column(Integer)
    shuffle: Mapped[bool] = mapped_column(Boolean, server_default=text("true"))
    params: Mapped[dict[str, Any] | None]
    result: Mapped[dict[str, Any] | None]

    status: Mapped[str] = mapped_column(String(32), server_default="CREATED")
    run: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """Number of the newest run, 0 before the first. Every write of a run is fenced by it."""
    workflow_id: Mapped[str | None] = mapped_column(Text)
    workflow_run_id: Mapped[str | None] = mapped_column(Text, unique=True)
    """The execution that claimed the newest run."""
    asked_at: Mapped[datetime | None]
    """When the newest request to run or to cancel was made."""
    request_id: Mapped[str | None] = mapped_column(String(128))
    """X-Request-ID of that request."""
    launched_at: Mapped[datetime | None]
    """When the outbox relay, not the request itself, started the workflow of the newest run."""
    paused_at: Mapped[datetime | None]
    """Since when no new work is begun for the newest run; null unless it is paused."""
    pause_asked_at: Mapped[datetime | None]
    """When the newest pause, or its end, was asked for of which the workflow has not been told yet."""

    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_jobs_project_created", "project_id", "created_at", "id"),
        Index("ix_jobs_created", "created_at", "id"),
        # what workers poll for, and the page's filter for what goes on
        Index(
            "ix_jobs_open",
            "project_id",
            "id",
            postgresql_where=text("status NOT IN ('SUCCESS', 'FAILURE', 'REVOKED')"),
        ),
        Index(
            "ix_jobs_asked",
            "asked_at",
            postgresql_where=text("status IN ('PENDING', 'CANCELING')"),
        ),
        Index("ix_jobs_pause_asked", "pause_asked_at", postgresql_where=text("pause_asked_at IS NOT NULL")),
        # what the sweep walks through
        Index(
            "ix_jobs_active",
            "id",
            postgresql_where=text("status IN ('PENDING', 'STARTED', 'CANCELING')"),
        ),
    )


class JobStageRow(Base):
    """One visible step of a job, as the newest run has it."""

    __tablename__ = "job_stages"

    job_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    position: Mapped[int] = mapped_column(SmallInteger)
    name: Mapped[str] = mapped_column(String(255))
    status: Mapped[str] = mapped_column(String(32), server_default="CREATED")
    progress: Mapped[float] = mapped_column(Double, server_default=text("0"))
    params: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'::jsonb"))
    cursor: Mapped[dict[str, Any] | None]
    """Where the next attempt goes on; written in the transaction of the effect that it stands for."""
    attempt: Mapped[str | None] = mapped_column(Text)
    """The attempt that began last: no other may write."""
    turn_kind: Mapped[str | None] = mapped_column(String(64))
    turn_id: Mapped[int | None] = mapped_column(BigInteger)
    """What this stage alone does to which thing (see turn_rows): holds as long as the stage is under way."""
    waits_for: Mapped[int | None] = mapped_column(BigInteger)
    """The job that had that turn when the stage asked for it last."""
    waited: Mapped[int] = mapped_column(Integer, server_default=text("0"))
    """Temporal's number of the newest attempt that only waited for its turn."""
    updated_at: Mapped[datetime] = _now()

    __table_args__ = (
        # of stages that have ended nobody asks: the index stays as small as what is under way
        Index("ix_job_stages_turn", "turn_kind", "turn_id", postgresql_where=text("status = 'STARTED'")),
    )


class JobLogRow(Base):
    """One line of a job's log. Appended, never changed; the newest has the highest id."""

    __tablename__ = "job_logs"

    id: Mapped[int] = _id()
    job_id: Mapped[int] = _reference("jobs.id", "CASCADE", nullable=False, index=False)
    run: Mapped[int] = mapped_column(Integer)
    level: Mapped[str] = mapped_column(String(10))
    message: Mapped[str] = mapped_column(Text)
    context: Mapped[dict[str, Any] | None]
    """What else is known, such as the `request_id` of the HTTP request behind the line."""
    created_at: Mapped[datetime] = _now()

    __table_args__ = (Index("ix_job_logs_job", "job_id", "id"),)
