"""Capture sets as the API says them (contract 1.11)."""

from typing import Any

from typing_extensions import TypedDict

from api.auth import permissions
from api.crud.values import Permissions, Time
from api.crud.view import View
from api.related import JobLink, job_links
from db.connections import Row


class CaptureSet(TypedDict):
    """A capture set, with the newest jobs that it was populated by."""

    id: int
    details: str
    name: str
    project: int
    method: str
    kwargs: dict[str, Any]
    source_images: str
    source_images_count: int
    source_images_with_detections_count: int
    source_images_processed_count: int
    occurrences_count: int
    taxa_count: int
    description: str
    jobs: list[JobLink]
    created_at: Time
    updated_at: Time
    user_permissions: Permissions


def capture_set(row: Row, view: View) -> CaptureSet:
    return {
        "id": row["id"],
        "details": view.links.to("captures/collections", row["id"]),
        "name": row["name"],
        "project": row["project_id"],
        "method": row["method"],
        "kwargs": {name: value for name, value in row["kwargs"].items() if value is not None},
        "source_images": view.links.listing("captures", collections=row["id"]),
        "source_images_count": row["images"],
        "source_images_with_detections_count": row["with_detections"],
        "source_images_processed_count": row["processed"],
        "occurrences_count": 0,
        "taxa_count": 0,
        "description": row["description"],
        "jobs": job_links(row["jobs"], view),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "user_permissions": permissions.of_capture_set(view.user, row["project_id"]),
    }


class CapturesInSet(TypedDict):
    """A capture set, and how many captures are in it now."""

    collection: int
    total_images: int
