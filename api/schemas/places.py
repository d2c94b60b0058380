"""Projects, their members, stations, sites, devices, storage, captures and capture sets (domain 1, 8)."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import TypedDict

from api.auth import permissions
from api.crud.values import Day, LocalTime, Permissions, Time, file_size, parsed_time
from api.crud.view import View
from api.schemas.related import (
    NO_THUMBNAILS,
    CaptureSetLink,
    ExampleCapture,
    JobLink,
    Linked,
    StationLink,
    Thumbnails,
    UserLink,
    capture_url,
    example_captures,
    job_links,
    linked,
    user_link,
)
from db.connections import Row
from monitoring import sessions
from monitoring.projects import FEATURE_FLAGS
from storage import places as storage_places
from storage.probing import Probe


class StationOfProject(TypedDict):
    id: int
    name: str
    image: str | None
    details: str
    latitude: float | None
    longitude: float | None
    events_count: int
    user_permissions: Permissions


class PipelineName(TypedDict):
    id: int
    name: str


class ProjectSettings(TypedDict):
    default_filters_exclude_taxa: list[Any]
    default_filters_include_taxa: list[Any]
    default_filters_score_threshold: float
    default_processing_pipeline: PipelineName | None
    session_time_gap_seconds: int
    user_permissions: Permissions


class _ProjectShared(TypedDict):
    id: int
    name: str
    description: str
    details: str
    deployments_count: int
    created_at: Time
    updated_at: Time
    image: str | None
    draft: bool


class ProjectInList(_ProjectShared):
    user_permissions: Permissions


class Project(_ProjectShared):
    deployments: list[StationOfProject]
    owner: UserLink | None
    feature_flags: dict[str, bool]
    settings: ProjectSettings
    is_member: bool
    user_permissions: Permissions


def project_in_list(row: Row, view: View) -> ProjectInList:
    return {
        **_project(row, view),
        "user_permissions": permissions.of_project(view.user, row["id"]),
    }


def project(row: Row, view: View) -> Project:
    owner = None
    if row["owner_id"] is not None:
        owner = user_link(row["owner_id"], row["owner_name"], None, view)
    return {
        **_project(row, view),
        "deployments": _stations(row, view),
        "owner": owner,
        "feature_flags": {**FEATURE_FLAGS, **row["feature_flags"]},
        "settings": _settings(row, view),
        "is_member": row["is_member"],
        "user_permissions": permissions.of_project(view.user, row["id"]),
    }


def _project(row: Row, view: View) -> _ProjectShared:
    return {
        "id": row["id"],
        "name": row["name"],
        "description": row["description"],
        "details": view.links.to("projects", row["id"]),
        "deployments_count": row["deployments_count"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "image": row["image"],
        "draft": row["draft"],
    }


def _settings(row: Row, view: View) -> ProjectSettings:
    pipeline: PipelineName | None = None
    if row["default_processing_pipeline_id"] is not None:
        pipeline = {"id": row["default_processing_pipeline_id"], "name": row["pipeline_name"]}
    return {
        "default_filters_exclude_taxa": [],
        "default_filters_include_taxa": [],
        "default_filters_score_threshold": row["default_filters_score_threshold"],
        "default_processing_pipeline": pipeline,
        "session_time_gap_seconds": row["session_time_gap_seconds"],
        "user_permissions": permissions.of_project(view.user, row["id"]),
    }


def _stations(row: Row, view: View) -> list[StationOfProject]:
    return [
        {
            "id": station["id"],
            "name": station["name"],
            "image": station["image"],
            "details": view.links.to("deployments", station["id"]),
            # a JSON aggregate says whole numbers without a fraction
            "latitude": _degrees(station["latitude"]),
            "longitude": _degrees(station["longitude"]),
            "events_count": station["events_count"],
            "user_permissions": permissions.of_station(view.user, row["id"]),
        }
        for station in row["deployments"] or []
    ]


def _degrees(value: float | None) -> float | None:
    return None if value is None else float(value)


# members ------------------------------------------------------------------------------------------------------


class UserOfMember(TypedDict):
    id: int
    name: str
    details: str
    image: str | None
    email: str
    user_permissions: Permissions


class MemberInList(TypedDict):
    id: int
    user: UserOfMember
    role: str | None
    role_display_name: str | None
    role_description: str | None
    created_at: Time
    updated_at: Time
    user_permissions: Permissions


class Member(TypedDict):
    id: int
    user: UserOfMember
    project: str
    role: str | None
    role_display_name: str | None
    role_description: str | None
    created_at: Time
    updated_at: Time
    user_permissions: Permissions


def member_in_list(row: Row, view: View) -> MemberInList:
    role = permissions.ROLES.get(row["role"] or "")
    return {
        "id": row["id"],
        "user": _user_of_member(row, view),
        "role": row["role"],
        "role_display_name": role.name if role else None,
        "role_description": role.description if role else None,
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "user_permissions": permissions.of(view.user, "projectmembership", row["project_id"]),
    }


def member(row: Row, view: View) -> Member:
    shared = member_in_list(row, view)
    return {
        "id": shared["id"],
        "user": shared["user"],
        "project": view.links.to("projects", row["project_id"]),
        "role": shared["role"],
        "role_display_name": shared["role_display_name"],
        "role_description": shared["role_description"],
        "created_at": shared["created_at"],
        "updated_at": shared["updated_at"],
        "user_permissions": shared["user_permissions"],
    }


def _user_of_member(row: Row, view: View) -> UserOfMember:
    return {
        "id": row["user_id"],
        "name": row["user_name"],
        "details": view.links.to("users", row["user_id"]),
        "image": None,
        "email": row["user_email"],
        "user_permissions": [],
    }


# stations -----------------------------------------------------------------------------------------------------


class ProjectOfStation(TypedDict):
    id: int
    name: str
    image: str | None
    details: str
    user_permissions: Permissions


class StorageOfStation(TypedDict):
    id: int
    name: str
    details: str
    user_permissions: Permissions
    uri: str


class SessionLink(TypedDict):
    id: int
    name: str
    details: str
    date_label: str
    user_permissions: Permissions


class _StationShared(TypedDict):
    id: int
    name: str
    details: str
    image: str | None
    occurrences: str
    events_count: int
    captures_count: int
    occurrences_count: int
    taxa_count: int
    project: ProjectOfStation
    created_at: Time
    updated_at: Time
    latitude: float | None
    longitude: float | None
    first_date: Day | None
    last_date: Day | None
    device: Linked | None
    research_site: Linked | None
    jobs: list[JobLink]
    data_source_connected: bool


class StationInList(_StationShared):
    events: str
    user_permissions: Permissions


class Station(_StationShared):
    events: list[SessionLink]
    data_source: StorageOfStation | None
    data_source_uri: str | None
    data_source_total_files: int
    data_source_total_size: int | None
    data_source_total_size_display: str
    data_source_last_checked: Time | None
    data_source_subdir: str | None
    data_source_regex: str | None
    description: str
    example_captures: list[ExampleCapture]
    manually_uploaded_captures: list[Any]
    user_permissions: Permissions


def station_in_list(row: Row, view: View) -> StationInList:
    return {
        **_station(row, view),  # type: ignore[typeddict-item]
        "data_source_connected": row["data_source_id"] is not None,
        "user_permissions": permissions.of_station(view.user, row["project_id"]),
    }


def station(row: Row, view: View) -> Station:
    storage: StorageOfStation | None = None
    uri: str | None = None
    if row["data_source_id"] is not None:
        uri = storage_places.uri(
            row["storage_endpoint_url"],
            row["storage_bucket"],
            row["storage_prefix"],
            row["data_source_subdir"],
            row["data_source_regex"],
        )
        storage = {
            "id": row["data_source_id"],
            "name": row["storage_name"],
            "details": view.links.to("storage", row["data_source_id"]),
            "user_permissions": permissions.of(view.user, "s3storagesource", row["project_id"], "test"),
            "uri": uri,
        }
    first = _station(row, view)
    first["events"] = [session_link(session, row["project_id"], view) for session in row["sessions"] or []]
    return {
        **first,  # type: ignore[typeddict-item]
        "data_source_connected": storage is not None,
        "data_source": storage,
        "data_source_uri": uri,
        "data_source_total_files": row["data_source_total_files"] or 0,
        "data_source_total_size": row["data_source_total_size"],
        "data_source_total_size_display": file_size(row["data_source_total_size"]),
        "data_source_last_checked": row["data_source_last_checked"],
        "data_source_subdir": row["data_source_subdir"],
        "data_source_regex": row["data_source_regex"],
        "description": row["description"],
        "example_captures": example_captures(row["captures"], view),
        "manually_uploaded_captures": [],
        "user_permissions": permissions.of_station(view.user, row["project_id"]),
    }


def _station(row: Row, view: View) -> dict[str, Any]:
    """What list and detail say alike, in its order."""
    project_id = row["project_id"]
    first, last = row["first_capture_timestamp"], row["last_capture_timestamp"]
    return {
        "id": row["id"],
        "name": row["name"],
        "details": view.links.to("deployments", row["id"]),
        "image": row["image"],
        "events": view.links.listing("events", deployment=row["id"]),
        "occurrences": view.links.listing("occurrences", deployment=row["id"]),
        "events_count": row["events_count"],
        "captures_count": row["captures_count"],
        "occurrences_count": 0,
        "taxa_count": 0,
        "project": {
            "id": project_id,
            "name": row["project_name"],
            "image": row["project_image"],
            "details": view.links.to("projects", project_id),
            "user_permissions": permissions.of_project(view.user, project_id),
        },
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "latitude": row["latitude"],
        "longitude": row["longitude"],
        "first_date": None if first is None else first.date(),
        "last_date": None if last is None else last.date(),
        "device": linked(
            "device", "deployments/devices", row["device_id"], row["device_name"], project_id, view
        ),
        "research_site": linked(
            "site", "deployments/sites", row["research_site_id"], row["site_name"], project_id, view
        ),
        "jobs": job_links(row["jobs"], view),
    }


class StorageTested(TypedDict):
    connection_successful: bool
    prefix_exists: bool
    latency: float
    total_time: float
    error_code: str | None
    error_message: str | None
    files_checked: int
    first_file_found: str | None
    full_uri: str


def storage_tested(found: Probe, url: str | None) -> StorageTested:
    """A store that answers is reached, also if there is nothing where captures should be (domain 3.6)."""
    code = message = None
    if found.first is None:
        code = "NoMatchingFilesFound" if found.checked else "NoFilesFound"
        message = (
            f"None of the {found.checked} files looked at is a capture" if found.checked else "No files found"
        )
    return {
        "connection_successful": True,
        "prefix_exists": found.first is not None,
        "latency": found.latency,
        "total_time": found.total_time,
        "error_code": code,
        "error_message": message,
        "files_checked": found.checked,
        "first_file_found": url,
        "full_uri": found.full_uri,
    }


class Device(TypedDict):
    id: int
    name: str
    description: str
    details: str
    project: int
    created_at: Time
    updated_at: Time
    user_permissions: Permissions


class Site(TypedDict):
    id: int
    name: str
    description: str
    details: str
    project: int
    boundary_rect: list[float] | None
    created_at: Time
    updated_at: Time
    user_permissions: Permissions


def device(row: Row, view: View) -> Device:
    return {
        "id": row["id"],
        "name": row["name"],
        "description": row["description"],
        "details": view.links.to("deployments/devices", row["id"]),
        "project": row["project_id"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "user_permissions": permissions.of(view.user, "device", row["project_id"]),
    }


def site(row: Row, view: View) -> Site:
    return {
        "id": row["id"],
        "name": row["name"],
        "description": row["description"],
        "details": view.links.to("deployments/sites", row["id"]),
        "project": row["project_id"],
        "boundary_rect": row["boundary_rect"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "user_permissions": permissions.of(view.user, "site", row["project_id"]),
    }


class Storage(TypedDict):
    """Its keys are taken, and never given."""

    id: int
    details: str
    name: str
    bucket: str
    prefix: str
    endpoint_url: str | None
    public_base_url: str | None
    project: int
    deployments_count: int
    total_files_indexed: int | None
    total_size_indexed_display: str
    total_size_indexed: int | None
    total_captures_indexed: int | None
    last_checked: Time | None
    created_at: Time
    updated_at: Time
    user_permissions: Permissions


def storage(row: Row, view: View) -> Storage:
    held = permissions.of(view.user, "s3storagesource", row["project_id"], "test")
    # where a folder lies on the server is for those who say so
    hidden = (row["endpoint_url"] or "").startswith(storage_places.FOLDER) and "update" not in held
    return {
        "id": row["id"],
        "details": view.links.to("storage", row["id"]),
        "name": row["name"],
        "bucket": row["bucket"],
        "prefix": row["prefix"],
        "endpoint_url": None if hidden else row["endpoint_url"],
        "public_base_url": row["public_base_url"],
        "project": row["project_id"],
        "deployments_count": row["deployments_count"],
        "total_files_indexed": row["files"],
        "total_size_indexed_display": file_size(row["size"]),
        "total_size_indexed": row["size"],
        "total_captures_indexed": row["captures"],
        "last_checked": row["last_checked"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "user_permissions": held,
    }


# captures ----------------------------------------------------------------------------------------


def session_link(session: Mapping[str, Any], project_id: int, view: View) -> SessionLink:
    """A session from a JSON aggregate."""
    start = parsed_time(session["start"])
    end = None if session["end"] is None else parsed_time(session["end"])
    return {
        "id": session["id"],
        "name": sessions.name(start, end),
        "details": view.links.to("events", session["id"]),
        "date_label": sessions.date_label(start, end),
        "user_permissions": permissions.of(view.user, "event", project_id),
    }


def station_link(row: Row, view: View) -> StationLink:
    """The station of a session or a capture."""
    return {
        "id": row["deployment_id"],
        "name": row["deployment_name"],
        "details": view.links.to("deployments", row["deployment_id"]),
        "user_permissions": permissions.of_station(view.user, row["project_id"]),
    }


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


# capture sets -------------------------------------------------------------------------------------------------


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
