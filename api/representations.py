"""What the API says of things: fields, their order and their formats (contract 1.4)."""

from collections.abc import Mapping
from typing import Any

import orjson

from api import permissions
from api.links import Links
from db.job_pages import JobColumns
from db.stage_rows import snapshot
from db.user_rows import User
from jobs.stages import StageSnapshot, mean_progress
from workflows.registry import JOB_TYPES

_EMPTY = orjson.Fragment(b"[]")


def job_detail(job: JobColumns, user: User | None, links: Links) -> dict[str, Any]:
    """A job with its log."""
    body = _job(job, user, links, _fragment(job["stdout"]), _fragment(job["stderr"]))
    return {**body, "result": job["result"], "user_permissions": permissions.of_job(user, job)}


def job_in_list(job: JobColumns, user: User | None, links: Links) -> dict[str, Any]:
    """A job as one of many: without log and result."""
    body = _job(job, user, links, _EMPTY, _EMPTY)
    return {**body, "user_permissions": permissions.of_job(user, job)}


def _fragment(text: str | None) -> orjson.Fragment:
    return _EMPTY if text is None else orjson.Fragment(text)


def _job(
    job: JobColumns, user: User | None, links: Links, stdout: orjson.Fragment, stderr: orjson.Fragment
) -> dict[str, Any]:
    stages = [snapshot(stage) for stage in job["stages"] or []]
    return {
        "id": job["id"],
        "details": links.job(job["id"]),
        "name": job["name"],
        "delay": job["delay"],
        "limit": job["limit"],
        "shuffle": job["shuffle"],
        "project": {
            "id": job["project_id"],
            "name": job["project_name"],
            "details": links.project(job["project_id"]),
            "user_permissions": permissions.of_project(user, job["project_id"]),
        },
        "deployment": _station(job, user, links),
        "source_image_collection": _capture_set(job, user, links),
        "source_image_single": _capture(job, user, links),
        "pipeline": _pipeline(job, user, links),
        "status": job["status"],
        "created_at": job["created_at"],
        "updated_at": job["updated_at"],
        "started_at": job["started_at"],
        "finished_at": job["finished_at"],
        "duration": job["duration"],
        "progress": {
            "summary": {"status": job["status"], "progress": mean_progress(stages)},
            "stages": [_stage(stage) for stage in stages],
            "errors": stderr,
            "logs": stdout,
        },
        "logs": {"stdout": stdout, "stderr": stderr},
        "job_type": job_type(job["job_type_key"]),
        "data_export": None,
        "dispatch_mode": job["dispatch_mode"],
    }


def job_type(key: str) -> dict[str, str]:
    known = JOB_TYPES.get(key)
    return {"name": known.name if known else key, "key": key}


def _stage(stage: StageSnapshot) -> dict[str, Any]:
    params = [
        {"name": param.name, "key": param.key, "category": param.category, "value": param.value}
        for param in stage.params
    ]
    return {
        "status": stage.status,
        "progress": stage.progress,
        "key": stage.key,
        "name": stage.name,
        "params": params,
    }


def _station(job: JobColumns, user: User | None, links: Links) -> dict[str, Any] | None:
    if job["deployment_id"] is None:
        return None
    return {
        "id": job["deployment_id"],
        "name": job["deployment_name"],
        "details": links.station(job["deployment_id"]),
        "user_permissions": permissions.of_station(user, job["project_id"]),
    }


def _capture_set(job: JobColumns, user: User | None, links: Links) -> dict[str, Any] | None:
    if job["source_image_collection_id"] is None:
        return None
    return {
        "id": job["source_image_collection_id"],
        "name": job["collection_name"],
        "details": links.capture_set(job["source_image_collection_id"]),
        "method": job["collection_method"],
        "user_permissions": permissions.of_capture_set(user, job["project_id"]),
    }


def _capture(job: JobColumns, user: User | None, links: Links) -> dict[str, Any] | None:
    if job["source_image_single_id"] is None:
        return None
    base, path = job["image_base_url"], job["image_path"]
    return {
        "id": job["source_image_single_id"],
        "details": links.capture(job["source_image_single_id"]),
        "url": f"{base}{path}" if base else None,
        "width": job["image_width"],
        "height": job["image_height"],
        "timestamp": job["image_timestamp"],
        "event_id": job["image_event_id"],
        "user_permissions": permissions.of_capture(user, job["project_id"]),
    }


def _pipeline(job: JobColumns, user: User | None, links: Links) -> dict[str, Any] | None:
    if job["pipeline_id"] is None:
        return None
    return {
        "id": job["pipeline_id"],
        "details": links.pipeline(job["pipeline_id"]),
        "name": job["pipeline_name"],
        "slug": job["pipeline_slug"],
        "description": job["pipeline_description"],
        "version": job["pipeline_version"],
        "version_name": job["pipeline_version_name"],
        "created_at": job["pipeline_created_at"],
        "updated_at": job["pipeline_updated_at"],
        "user_permissions": permissions.of_pipeline(user),
    }


def capture_set(row: Mapping[str, Any], user: User | None, links: Links) -> dict[str, Any]:
    """A capture set, with the jobs that it was populated by, newest first."""
    jobs = [
        {
            "id": job["id"],
            "details": links.job(job["id"]),
            "status": job["status"],
            "job_type": job_type(job["job_type_key"]),
            "created_at": job["created_at"],
            "updated_at": job["updated_at"],
            "user_permissions": permissions.of_job(user, {**job, "project_id": row["project_id"]}),
        }
        for job in row["jobs"] or []
    ]
    return {
        "id": row["id"],
        "details": links.capture_set(row["id"]),
        "name": row["name"],
        "project": row["project_id"],
        "method": row["method"],
        "kwargs": {name: value for name, value in row["kwargs"].items() if value is not None},
        "source_images": links.captures_of_set(row["id"]),
        "source_images_count": row["images"],
        "source_images_with_detections_count": row["with_detections"],
        "source_images_processed_count": row["processed"],
        "occurrences_count": 0,
        "taxa_count": 0,
        "description": row["description"],
        "jobs": jobs,
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "user_permissions": permissions.of_capture_set(user, row["project_id"]),
    }
