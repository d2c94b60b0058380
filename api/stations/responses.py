"""Stations with their sites and devices, as the API says them (domain 1.2, 8)."""

from typing import Any

from typing_extensions import TypedDict

from api.auth import permissions
from api.crud.values import Day, Permissions, Time, file_size
from api.crud.view import View
from api.related import (
    ExampleCapture,
    JobLink,
    Linked,
    SessionLink,
    example_captures,
    job_links,
    linked,
    session_link,
)
from db.connections import Row
from storage import places as storage_places


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


# actions ----------------------------------------------------------------------------------------------------


class SyncsStarted(TypedDict):
    job_ids: list[int]
    queued: int
    project_id: int


class RegroupStarted(TypedDict):
    job_id: int
    deployment_id: int
    project_id: int


# sites and devices ------------------------------------------------------------------------------------------


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
