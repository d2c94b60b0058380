"""Jobs as the API says them: fields, their order and their formats (contract 1.4, 1.5, 2.4)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

import orjson
from typing_extensions import TypedDict

from api.auth import permissions
from api.crud.values import LocalTime, Permissions, Time
from api.crud.view import View
from api.related import (
    CaptureSetLink,
    JobType,
    PipelineLink,
    ProjectLink,
    StationLink,
    capture_url,
    job_type,
    pipeline_link,
    project_link,
    station_link,
)
from db.connections import Row
from db.stage_rows import snapshot
from jobs.stages import mean_progress
from jobs.status import FINAL


class Param(TypedDict):
    name: str
    key: str
    category: str
    value: Any


class Stage(TypedDict):
    status: str
    progress: float
    key: str
    name: str
    params: list[Param]


class ProgressSummary(TypedDict):
    status: str
    progress: float


class Progress(TypedDict):
    summary: ProgressSummary
    stages: list[Stage]
    errors: list[str]
    logs: list[str]


class Logs(TypedDict):
    """Newest first; `stderr` has the errors alone."""

    stdout: list[str]
    stderr: list[str]


class CaptureOfJob(TypedDict):
    id: int
    details: str
    url: str | None
    width: int | None
    height: int | None
    timestamp: LocalTime | None
    event_id: int | None
    user_permissions: Permissions


class ExportOfJob(TypedDict):
    id: int
    user: int
    project: int
    format: str
    filters: dict[str, Any]
    file_url: str | None


class _Common(TypedDict):
    id: int
    details: str
    name: str
    delay: int
    limit: int | None
    shuffle: bool
    project: ProjectLink
    deployment: StationLink | None
    source_image_collection: CaptureSetLink | None
    source_image_single: CaptureOfJob | None
    pipeline: PipelineLink | None
    status: str
    created_at: Time
    updated_at: Time
    started_at: Time | None
    finished_at: Time | None
    duration: str | None
    progress: Progress
    logs: Logs
    job_type: JobType
    data_export: ExportOfJob | None
    dispatch_mode: str


class JobInList(_Common):
    """A job as one of many: without log and result."""

    user_permissions: Permissions
    paused_at: Time | None


class JobStarted(TypedDict):
    """What an action answers that starts a job."""

    job_id: int
    project_id: int


class Job(_Common):
    """A job with its log."""

    result: dict[str, Any] | None
    user_permissions: Permissions
    paused_at: Time | None
    """Since when nothing new is begun for it; null unless it is paused."""


class BriefJob(TypedDict):
    """What a worker's poll gets of a job."""

    id: int
    pipeline_slug: str | None
    user_permissions: Permissions


PAUSED_SINCE = "Paused since"
"""Figure of the stage that a paused job is held in: what any client shows."""
_EMPTY = orjson.Fragment(b"[]")


def detail(job: Row, view: View) -> Job:
    common = _common(job, view, _fragment(job["stdout"]), _fragment(job["stderr"]))
    return {
        **common,
        "result": job["result"],
        "user_permissions": permissions.of_job(view.user, job),
        "paused_at": job["paused_at"],
    }


def in_list(job: Row, view: View) -> JobInList:
    return {
        **_common(job, view, _EMPTY, _EMPTY),
        "user_permissions": permissions.of_job(view.user, job),
        "paused_at": job["paused_at"],
    }


def briefly(job: Row, view: View) -> BriefJob:
    return {
        "id": job["id"],
        "pipeline_slug": job["pipeline_slug"],
        "user_permissions": permissions.of_job(view.user, job),
    }


def _fragment(text: str | None) -> orjson.Fragment:
    return _EMPTY if text is None else orjson.Fragment(text)


def _common(job: Row, view: View, stdout: orjson.Fragment, stderr: orjson.Fragment) -> _Common:
    # JSON already, made by the database: not read and written once more
    out, err = cast(list[str], stdout), cast(list[str], stderr)
    return {
        "id": job["id"],
        "details": view.links.to("jobs", job["id"]),
        "name": job["name"],
        "delay": job["delay"],
        "limit": job["limit"],
        "shuffle": job["shuffle"],
        "project": project_link(job["project_id"], job["project_name"], view),
        "deployment": _station(job, view),
        "source_image_collection": _capture_set(job, view),
        "source_image_single": _capture(job, view),
        "pipeline": _pipeline(job, view),
        "status": job["status"],
        "created_at": job["created_at"],
        "updated_at": job["updated_at"],
        "started_at": job["started_at"],
        "finished_at": job["finished_at"],
        "duration": job["duration"],
        "progress": progress(job["status"], job["stages"], out, err, job["paused_at"]),
        "logs": {"stdout": out, "stderr": err},
        "job_type": job_type(job["job_type_key"]),
        "data_export": _export(job),
        "dispatch_mode": job["dispatch_mode"],
    }


def progress(
    status: str,
    stages: list[Mapping[str, Any]] | None,
    logs: list[str],
    errors: list[str],
    paused_at: datetime | None = None,
) -> Progress:
    """How far a job is (contract 2.4). In one that is paused the stage that is next says so."""
    snapshots = [snapshot(stage) for stage in stages or []]
    if paused_at is not None:
        held = next((stage for stage in snapshots if stage.status not in FINAL), None)
        if held is not None:
            held.param(PAUSED_SINCE).value = paused_at.strftime("%Y-%m-%d %H:%M:%S")
    return {
        "summary": {"status": status, "progress": mean_progress(snapshots)},
        "stages": [
            {
                "status": stage.status,
                "progress": stage.progress,
                "key": stage.key,
                "name": stage.name,
                "params": [
                    {"name": param.name, "key": param.key, "category": param.category, "value": param.value}
                    for param in stage.params
                ],
            }
            for stage in snapshots
        ],
        "errors": errors,
        "logs": logs,
    }


def _station(job: Row, view: View) -> StationLink | None:
    if job["deployment_id"] is None:
        return None
    return station_link(job, view)


def _capture_set(job: Row, view: View) -> CaptureSetLink | None:
    if job["source_image_collection_id"] is None:
        return None
    return {
        "id": job["source_image_collection_id"],
        "name": job["collection_name"],
        "details": view.links.to("captures/collections", job["source_image_collection_id"]),
        "method": job["collection_method"],
        "user_permissions": permissions.of_capture_set(view.user, job["project_id"]),
    }


def _capture(job: Row, view: View) -> CaptureOfJob | None:
    if job["source_image_single_id"] is None:
        return None
    stored = {
        "id": job["source_image_single_id"],
        "path": job["image_path"],
        "public_base_url": job["image_base_url"],
        "source": job["image_source"],
    }
    return {
        "id": job["source_image_single_id"],
        "details": view.links.to("captures", job["source_image_single_id"]),
        "url": capture_url(stored, view),
        "width": job["image_width"],
        "height": job["image_height"],
        "timestamp": job["image_timestamp"],
        "event_id": job["image_event_id"],
        "user_permissions": permissions.of_capture(view.user, job["project_id"]),
    }


def _pipeline(job: Row, view: View) -> PipelineLink | None:
    if job["pipeline_id"] is None:
        return None
    names = ("name", "slug", "description", "version", "version_name", "created_at", "updated_at")
    return pipeline_link(
        {"id": job["pipeline_id"], **{name: job[f"pipeline_{name}"] for name in names}}, view
    )


def _export(job: Row) -> ExportOfJob | None:
    if job["data_export_id"] is None:
        return None
    return {
        "id": job["data_export_id"],
        "user": job["export_user_id"],
        "project": job["export_project_id"],
        "format": job["export_format"],
        "filters": job["export_filters"],
        "file_url": job["export_file_url"],
    }
