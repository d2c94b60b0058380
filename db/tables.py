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
    MetaData,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
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
    created_at: Mapped[datetime] = _now()


class SiteRow(Base):
    __tablename__ = "sites"

    id: Mapped[int] = _id()
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text, server_default="")
    project_id: Mapped[int | None] = _reference("projects.id", "CASCADE")
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()


class DeploymentRow(Base):
    """A station."""

    __tablename__ = "deployments"

    id: Mapped[int] = _id()
    name: Mapped[str] = mapped_column(String(255))
    description: Mapped[str] = mapped_column(Text, server_default="")
    project_id: Mapped[int | None] = _reference("projects.id", "SET NULL")
    research_site_id: Mapped[int | None] = _reference("sites.id", "SET NULL")
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()


class EventRow(Base):
    """A session: one night of one station."""

    __tablename__ = "events"

    id: Mapped[int] = _id()
    project_id: Mapped[int | None] = _reference("projects.id", "SET NULL")
    deployment_id: Mapped[int | None] = _reference("deployments.id", "SET NULL", index=False)
    group_by: Mapped[str] = mapped_column(String(255))
    start: Mapped[datetime] = mapped_column(DateTime(timezone=False))
    end: Mapped[datetime | None] = mapped_column(DateTime(timezone=False))
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()

    __table_args__ = (UniqueConstraint("deployment_id", "group_by"),)


class SourceImageRow(Base):
    """A capture."""

    __tablename__ = "source_images"

    id: Mapped[int] = _id()
    project_id: Mapped[int | None] = _reference("projects.id", "SET NULL", index=False)
    deployment_id: Mapped[int | None] = _reference("deployments.id", "SET NULL", index=False)
    event_id: Mapped[int | None] = _reference("events.id", "SET NULL", index=False)
    path: Mapped[str] = mapped_column(String(255))
    public_base_url: Mapped[str | None] = mapped_column(String(255))
    timestamp: Mapped[datetime | None] = mapped_column(DateTime(timezone=False))
    """Wall clock of the station."""
    width: Mapped[int | None]
    height: Mapped[int | None]
    size: Mapped[int | None] = mapped_column(BigInteger)
    last_modified: Mapped[datetime | None]
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()

    __table_args__ = (
        UniqueConstraint("deployment_id", "path"),
        Index("ix_source_images_deployment_timestamp", "deployment_id", "timestamp", "id"),
        Index("ix_source_images_event_timestamp", "event_id", "timestamp", "id"),
        Index("ix_source_images_project_id", "project_id", "id"),
    )


class DetectionRow(Base):
    """Something found on a capture, or, with `bbox` NULL, the mark that a detector found nothing."""

    __tablename__ = "detections"

    id: Mapped[int] = _id()
    source_image_id: Mapped[int] = _reference("source_images.id", "CASCADE", nullable=False)
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


class PipelineRow(Base):
    __tablename__ = "pipelines"

    id: Mapped[int] = _id()
    name: Mapped[str] = mapped_column(String(255))
    slug: Mapped[str] = mapped_column(String(255), unique=True)
    description: Mapped[str] = mapped_column(Text, server_default="")
    version: Mapped[int] = mapped_column(Integer, server_default=text("1"))
    version_name: Mapped[str] = mapped_column(String(255), server_default="")
    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()


# jobs ---------------------------------------------------------------------------------------------------------


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
    launched_at: Mapped[datetime | None]
    """When the courier, not the request itself, started the workflow of the newest run."""

    created_at: Mapped[datetime] = _now()
    updated_at: Mapped[datetime] = _now()
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_jobs_project_created", "project_id", "created_at", "id"),
        Index("ix_jobs_created", "created_at", "id"),
        Index(
            "ix_jobs_asked",
            "asked_at",
            postgresql_where=text("status IN ('PENDING', 'CANCELING')"),
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
    updated_at: Mapped[datetime] = _now()


class JobLogRow(Base):
    """One line of a job's log. Appended, never changed; the newest has the highest id."""

    __tablename__ = "job_logs"

    id: Mapped[int] = _id()
    job_id: Mapped[int] = _reference("jobs.id", "CASCADE", nullable=False, index=False)
    run: Mapped[int] = mapped_column(Integer)
    level: Mapped[str] = mapped_column(String(10))
    message: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = _now()

    __table_args__ = (Index("ix_job_logs_job", "job_id", "id"),)
