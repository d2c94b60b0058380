"""Captures, as lists and pages of them show them (domain 1.2, 8)."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import TypedDict

from api.auth import permissions
from api.crud.values import LocalTime, Permissions, Time, file_size
from api.crud.view import View
from api.related import (
    NO_THUMBNAILS,
    CaptureSetLink,
    JobLink,
    SessionLink,
    StationLink,
    Thumbnails,
    capture_url,
    job_links,
    station_link,
)
from db.connections import Row
from monitoring import sessions


class CaptureInList(TypedDict):
    id: int
    details: str
    deployment: StationLink | None
    event: SessionLink | None
    url: str | None
    path: str
    timestamp: LocalTime | None
    width: int | None
    height: int | None
    size: int | None
    size_display: str
    detections_count: int
    occurrences_count: int | None
    taxa_count: int | None
    last_processed: Time | None
    project: int
    thumbnails: Thumbnails | None
    user_permissions: Permissions


class OccurrenceOfDetection(TypedDict):
    """Not determined: nothing is, yet."""

    id: int
    details: str | None
    determination: None
    determination_score: float | None
    user_permissions: Permissions


class Detection(TypedDict):
    """Something found on a capture, in pixels; `bbox` is left, top, right and bottom.

    Addresses are null as long as nothing is served there.
    """

    id: int
    details: str | None
    url: str | None
    width: float | None
    height: float | None
    bbox: list[float]
    occurrence: OccurrenceOfDetection | None
    classifications: str | None
    occurrence_meets_criteria: bool
    user_permissions: Permissions


class Capture(TypedDict):
    id: int
    details: str
    deployment: StationLink | None
    event: SessionLink | None
    url: str | None
    path: str
    timestamp: LocalTime | None
    width: int | None
    height: int | None
    size: int | None
    size_display: str
    detections_count: int
    occurrences_count: int
    taxa_count: int
    last_processed: Time | None
    detections: list[Detection]
    project: int
    uploaded_by: int | None
    test_image: bool
    jobs: list[JobLink]
    collections: list[CaptureSetLink]
    event_next_capture_id: int | None
    event_prev_capture_id: int | None
    event_current_capture_index: int | None
    event_total_captures: int | None
    is_starred: bool
    checksum: str | None
    checksum_algorithm: str | None
    last_modified: Time | None
    created_at: Time
    updated_at: Time
    thumbnails: Thumbnails | None
    user_permissions: Permissions


def capture_in_list(row: Row, view: View) -> CaptureInList:
    return {
        **_capture(row, view),  # type: ignore[typeddict-item]
        "occurrences_count": None,
        "taxa_count": None,
        "last_processed": row["last_processed"],
        "project": row["project_id"],
        "thumbnails": NO_THUMBNAILS,
        "user_permissions": permissions.of_capture(view.user, row["project_id"]),
    }


def capture(row: Row, view: View) -> Capture:
    sets: list[CaptureSetLink] = [
        {
            "id": each["id"],
            "name": each["name"],
            "details": view.links.to("captures/collections", each["id"]),
            "method": each["method"],
            "user_permissions": permissions.of_capture_set(view.user, row["project_id"]),
        }
        for each in row["collections"] or []
    ]
    return {
        **_capture(row, view),  # type: ignore[typeddict-item]
        "occurrences_count": 0,
        "taxa_count": 0,
        "last_processed": row["last_processed"],
        "detections": [_detection(each) for each in row["boxes"] or []],
        "project": row["project_id"],
        "uploaded_by": row["uploaded_by_id"],
        "test_image": row["test_image"],
        "jobs": job_links(row["jobs"], view),
        "collections": sets,
        "event_next_capture_id": row["next_id"],
        "event_prev_capture_id": row["previous_id"],
        "event_current_capture_index": row["place"],
        "event_total_captures": row["session_captures"],
        "is_starred": row["starred"],
        "checksum": row["checksum"],
        "checksum_algorithm": row["checksum_algorithm"],
        "last_modified": row["last_modified"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "thumbnails": NO_THUMBNAILS,
        "user_permissions": permissions.of_capture(view.user, row["project_id"]),
    }


def _detection(box: Mapping[str, Any]) -> Detection:
    """A detection from a JSON aggregate."""
    occurrence: OccurrenceOfDetection | None = None
    if box["occurrence_id"] is not None:
        occurrence = {
            "id": box["occurrence_id"],
            "details": None,
            "determination": None,
            "determination_score": None,
            "user_permissions": [],
        }
    edges: list[float] = box["bbox"] or []
    left, top, right, bottom = edges if len(edges) == 4 else (None, None, None, None)
    return {
        "id": box["id"],
        "details": None,
        "url": None,
        "width": None if left is None or right is None else right - left,
        "height": None if top is None or bottom is None else bottom - top,
        "bbox": edges,
        "occurrence": occurrence,
        "classifications": None,
        "occurrence_meets_criteria": occurrence is not None,
        "user_permissions": [],
    }


def _capture(row: Row, view: View) -> dict[str, Any]:
    """What list and detail say alike, in its order."""
    event: SessionLink | None = None
    if row["session_id"] is not None:
        start, end = row["session_start"], row["session_end"]
        event = {
            "id": row["session_id"],
            "name": sessions.name(start, end),
            "details": view.links.to("events", row["session_id"]),
            "date_label": sessions.date_label(start, end),
            "user_permissions": permissions.of(view.user, "event", row["project_id"]),
        }
    return {
        "id": row["id"],
        "details": view.links.to("captures", row["id"]),
        "deployment": None if row["deployment_id"] is None else station_link(row, view),
        "event": event,
        "url": capture_url(row, view),
        "path": row["path"],
        "timestamp": row["timestamp"],
        "width": row["width"],
        "height": row["height"],
        "size": row["size"],
        "size_display": file_size(row["size"]),
        "detections_count": row["detections"],
    }
