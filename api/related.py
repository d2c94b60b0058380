"""Things as they are named inside other things."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import TypedDict

from api.auth import permissions
from api.crud.values import LocalTime, Permissions, Time, parsed_time
from api.crud.view import View
from db.connections import Row
from monitoring import sessions
from storage.buckets import signed_url
from storage.places import public_url
from storage.sources import Source
from workflows.registry import TYPE_NAMES


class ProjectLink(TypedDict):
    id: int
    name: str
    details: str
    user_permissions: Permissions


class Linked(TypedDict):
    """Something with a name and an address."""

    id: int
    name: str
    details: str
    user_permissions: Permissions


class StationLink(TypedDict):
    id: int
    name: str
    details: str
    user_permissions: Permissions


class SessionLink(TypedDict):
    id: int
    name: str
    details: str
    date_label: str
    user_permissions: Permissions


class CaptureSetLink(TypedDict):
    id: int
    name: str
    details: str
    method: str
    user_permissions: Permissions


class PipelineLink(TypedDict):
    id: int
    details: str
    name: str
    slug: str
    description: str
    version: int
    version_name: str
    created_at: Time
    updated_at: Time
    user_permissions: Permissions


class UserLink(TypedDict):
    id: int
    name: str
    image: str | None
    details: str
    user_permissions: Permissions


class JobType(TypedDict):
    name: str
    key: str


class JobLink(TypedDict):
    """A job about the thing that it is listed with."""

    id: int
    details: str
    status: str
    job_type: JobType
    created_at: Time
    updated_at: Time
    user_permissions: Permissions


class Thumbnails(TypedDict):
    """Addresses of smaller pictures of a capture. Null where there are none: then its `url` is shown instead."""

    small: str
    medium: str
    large: str


class ExampleCapture(TypedDict):
    id: int
    details: str
    url: str | None
    width: int | None
    height: int | None
    timestamp: LocalTime | None
    thumbnails: Thumbnails | None
    user_permissions: Permissions


NO_THUMBNAILS: Thumbnails | None = None
"""None are made here: an address would be of nothing, and leave a hole in pages that show `url` otherwise."""


def project_link(project_id: int, name: str, view: View) -> ProjectLink:
    return {
        "id": project_id,
        "name": name,
        "details": view.links.to("projects", project_id),
        "user_permissions": permissions.of_project(view.user, project_id),
    }


def linked(
    noun: str, path: str, item_id: int | None, name: str, project_id: int, view: View
) -> Linked | None:
    """A thing of a project by name and address; null if there is none."""
    if item_id is None:
        return None
    return {
        "id": item_id,
        "name": name,
        "details": view.links.to(path, item_id),
        "user_permissions": permissions.of(view.user, noun, project_id),
    }


def pipeline_link(pipeline: Mapping[str, Any], view: View) -> PipelineLink:
    return {
        "id": pipeline["id"],
        "details": view.links.to("ml/pipelines", pipeline["id"]),
        "name": pipeline["name"],
        "slug": pipeline["slug"],
        "description": pipeline["description"],
        "version": pipeline["version"],
        "version_name": pipeline["version_name"],
        "created_at": pipeline["created_at"],
        "updated_at": pipeline["updated_at"],
        "user_permissions": permissions.of_model(view.user),
    }


def user_link(user_id: int, name: str, image: str | None, view: View) -> UserLink:
    return {
        "id": user_id,
        "name": name,
        "image": image,
        "details": view.links.to("users", user_id),
        "user_permissions": [],
    }


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
    """The station of a session, a capture or a job."""
    return {
        "id": row["deployment_id"],
        "name": row["deployment_name"],
        "details": view.links.to("deployments", row["deployment_id"]),
        "user_permissions": permissions.of_station(view.user, row["project_id"]),
    }


def job_type(key: str) -> JobType:
    return {"name": TYPE_NAMES.get(key, key), "key": key}


def job_links(jobs: list[Mapping[str, Any]] | None, view: View) -> list[JobLink]:
    return [
        {
            "id": job["id"],
            "details": view.links.to("jobs", job["id"]),
            "status": job["status"],
            "job_type": job_type(job["job_type_key"]),
            "created_at": parsed_time(job["created_at"]),
            "updated_at": parsed_time(job["updated_at"]),
            "user_permissions": permissions.of_job(view.user, job),
        }
        for job in jobs or []
    ]


def capture_url(capture: Mapping[str, Any], view: View) -> str | None:
    """Where a capture's file is to be had without a token; null if that is not known (domain 1.2).

    What its station's storage source says now goes before what was true when it was synced.
    """
    source = Source(**capture["source"]) if capture["source"] else Source("")
    if source.public_base_url:
        return public_url(source.public_base_url, capture["path"])
    if source.is_folder:
        signer = view.signer
        return None if signer is None else view.links.file(capture["id"], signer.query(capture["id"]))
    if source.access_key:
        return signed_url(source, capture["path"])
    base = capture["public_base_url"]
    return public_url(base, capture["path"]) if base else None


def example_captures(captures: list[Mapping[str, Any]] | None, view: View) -> list[ExampleCapture]:
    """Captures from a JSON aggregate."""
    return [
        {
            "id": capture["id"],
            "details": view.links.to("captures", capture["id"]),
            "url": capture_url(capture, view),
            "width": capture["width"],
            "height": capture["height"],
            "timestamp": None if capture["timestamp"] is None else parsed_time(capture["timestamp"]),
            "thumbnails": NO_THUMBNAILS,
            "user_permissions": permissions.of_capture(view.user, capture["project_id"]),
        }
        for capture in captures or []
    ]
