"""Projects and their members as the API says them (domain 1.1, 8)."""

from typing import Any

from typing_extensions import TypedDict

from api.auth import permissions
from api.crud.values import Permissions, Time
from api.crud.view import View
from api.related import UserLink, user_link
from db.connections import Row
from monitoring.projects import FEATURE_FLAGS


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
