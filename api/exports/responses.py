"""Exports as the API says them (domain 8)."""

from typing import Any

from typing_extensions import TypedDict

from api.auth import permissions
from api.crud.values import Permissions, Time, file_size
from api.crud.view import View
from api.jobs.responses import Progress, progress
from api.related import ProjectLink, UserLink, project_link, user_link
from db.connections import Row


class JobOfExport(TypedDict):
    id: int
    name: str
    project: ProjectLink
    progress: Progress
    result: dict[str, Any] | None
    user_permissions: Permissions


class Export(TypedDict):
    id: int
    user: UserLink
    format: str
    filters: dict[str, Any]
    filters_display: dict[str, Any]
    job: JobOfExport | None
    file_url: str | None
    record_count: int
    file_size: int
    file_size_display: str | None
    created_at: Time
    updated_at: Time
    user_permissions: Permissions


def export(row: Row, view: View) -> Export:
    job: JobOfExport | None = None
    if row["job_id"] is not None:
        job = {
            "id": row["job_id"],
            "name": row["job_name"],
            "project": project_link(row["project_id"], row["project_name"], view),
            "progress": progress(row["job_status"], row["stages"], [], []),
            "result": row["job_result"],
            "user_permissions": permissions.of_job(view.user, row),
        }
    return {
        "id": row["id"],
        "user": user_link(row["user_id"], row["user_name"], row["user_image"], view),
        "format": row["format"],
        "filters": row["filters"],
        "filters_display": row["filters_display"],
        "job": job,
        "file_url": row["file_url"],
        "record_count": row["record_count"],
        "file_size": row["file_size"],
        "file_size_display": file_size(row["file_size"]) if row["file_url"] else None,
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "user_permissions": permissions.of(view.user, "dataexport", row["project_id"]),
    }
