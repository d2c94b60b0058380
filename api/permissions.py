"""Who may do what (contract 1.8): roles hold permissions on a project, a superuser holds them all."""

from collections.abc import Mapping
from typing import Any

from api.errors import NotAuthenticated, PermissionDenied
from db.user_rows import User

BASIC = frozenset({"create_job", "run_single_image_ml_job", "star_source_image"})
_RUNNABLE = ("ml", "populate_captures_collection", "data_storage_sync", "regroup_events", "data_export")
MANAGES_DATA = BASIC | {
    "update_job",
    *(f"run_{key}_job" for key in _RUNNABLE),
    "sync_deployment",
    "create_sourceimagecollection",
    "update_sourceimagecollection",
    "delete_sourceimagecollection",
    "populate_sourceimagecollection",
}
MANAGES_PROJECT = MANAGES_DATA | {
    "update_project",
    "delete_project",
    "regroup_deployment",
    "update_deployment",
    "delete_deployment",
    "update_source_image",
    "delete_source_image",
}

ROLES: Mapping[str, frozenset[str]] = {
    "BasicMember": BASIC,
    "Researcher": BASIC,
    "Identifier": BASIC,
    "MLDataManager": MANAGES_DATA,
    "ProjectManager": MANAGES_PROJECT,
}


def may(user: User | None, permission: str, project_id: int | None) -> bool:
    """Whether the user holds a permission on a project."""
    if user is None:
        return False
    if user.is_superuser:
        return True
    role = None if project_id is None else user.roles.get(project_id)
    return role is not None and permission in ROLES.get(role, frozenset())


def require_somebody(user: User | None) -> None:
    """Raises NotAuthenticated for anonymous."""
    if user is None:
        raise NotAuthenticated


def require(user: User | None, permission: str, project_id: int | None) -> None:
    """Raises NotAuthenticated for anonymous, PermissionDenied for who may not."""
    require_somebody(user)
    if not may(user, permission, project_id):
        raise PermissionDenied


def run_permission(job_type_key: str, source_image_single_id: int | None) -> str:
    """What run, retry and cancel of a job need."""
    return f"run_single_image_{job_type_key}_job" if source_image_single_id else f"run_{job_type_key}_job"


def of_job(user: User | None, job: Mapping[str, Any]) -> list[str]:
    """What the caller may do with a job."""
    key, project_id = job["job_type_key"], job["project_id"]
    held = [word for word in ("update", "delete") if may(user, f"{word}_job", project_id)]
    if key != "unknown" and may(user, f"run_{key}_job", project_id):
        held.append("run")
    if key == "ml" and may(user, "run_single_image_ml_job", project_id):
        held.append("run_single_image")
    return held


def of_project(user: User | None, project_id: int) -> list[str]:
    held = [word for word in ("update", "delete") if may(user, f"{word}_project", project_id)]
    return [*held, "add", "change"] if user is not None and user.is_superuser else held


def of_capture_set(user: User | None, project_id: int) -> list[str]:
    words = ("populate", "update", "delete")
    return [word for word in words if may(user, f"{word}_sourceimagecollection", project_id)]


def of_station(user: User | None, project_id: int) -> list[str]:
    return [
        word
        for word in ("sync", "regroup", "update", "delete")
        if may(user, f"{word}_deployment", project_id)
    ]


def of_capture(user: User | None, project_id: int) -> list[str]:
    held = [word for word in ("star", "update", "delete") if may(user, f"{word}_source_image", project_id)]
    single = "run_single_image_ml_job"
    return [*held, single] if may(user, single, project_id) else held


def of_pipeline(user: User | None) -> list[str]:
    return ["update", "delete"] if user is not None and user.is_superuser else []
