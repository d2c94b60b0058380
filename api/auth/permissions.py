"""Who may do what (contract 1.8, domain 1.1): roles hold permissions on a project, a superuser holds them all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.http.errors import NotAuthenticated, PermissionDenied
from db.user_rows import User
from workflows.registry import RUN_BY_MANAGERS


def _all(noun: str, *verbs: str) -> frozenset[str]:
    return frozenset(f"{verb}_{noun}" for verb in (*verbs, "create", "update", "delete"))


BASIC = frozenset({"create_job", "run_single_image_ml_job", "star_sourceimage"})
EXPORTS = frozenset({"create_dataexport", "delete_dataexport"})
IDENTIFICATIONS = _all("identification")
MANAGES_DATA = (
    BASIC
    | {"update_job", "sync_deployment", "register_pipelines"}
    | {f"run_{key}_job" for key in RUN_BY_MANAGERS}
    | _all("sourceimagecollection", "populate")
)
MANAGES_PROJECT = (
    MANAGES_DATA
    | EXPORTS
    | IDENTIFICATIONS
    | _all("deployment", "regroup")
    | _all("site")
    | _all("device")
    | _all("s3storagesource", "test")
    | _all("event")
    | _all("sourceimage")
    | _all("projectmembership")
    | {"update_project", "delete_project"}
)
# what a program on a GPU cluster needs, and nothing else: no superuser's token has to be shared
WORKS = frozenset({"tasks_ml_job", "result_ml_job", "register_pipelines"})


@dataclass(frozen=True)
class Role:
    """What a member of a project may do, and what people read of it."""

    key: str
    name: str
    description: str
    holds: frozenset[str]


ROLES: Mapping[str, Role] = {
    role.key: role
    for role in (
        Role(
            "BasicMember",
            "Basic member",
            "Basic project members have read access to projects. They can also process single captures.",
            BASIC,
        ),
        Role(
            "Researcher",
            "Researcher",
            "Researchers have all basic member permissions, plus the ability to create and delete data exports.",
            BASIC | EXPORTS,
        ),
        Role(
            "Identifier",
            "Identifier",
            "Identifiers have all basic member permissions, plus the ability to create, update, and delete"
            " occurrence identifications.",
            BASIC | IDENTIFICATIONS,
        ),
        Role(
            "MLDataManager",
            "ML data manager",
            "Machine learning data managers have all basic member permissions, plus the ability to manage jobs"
            " and export data.",
            MANAGES_DATA,
        ),
        Role(
            "ProjectManager",
            "Project manager",
            "Project managers have full administrative access. This includes all permissions from other roles,"
            " plus the ability to manage project settings, members, stations, capture sets, storage, and all"
            " other project resources.",
            MANAGES_PROJECT,
        ),
        Role(
            "Worker",
            "Worker",
            "Workers are programs that fetch tasks of ML jobs and deliver their results. They can do nothing else.",
            WORKS,
        ),
    )
}


def may(user: User | None, permission: str, project_id: int | None) -> bool:
    """Whether the user holds a permission on a project."""
    if user is None:
        return False
    if user.is_superuser:
        return True
    role = None if project_id is None else ROLES.get(user.roles.get(project_id, ""))
    return role is not None and permission in role.holds


def require_somebody(user: User | None) -> User:
    """The user; raises NotAuthenticated for anonymous."""
    if user is None:
        raise NotAuthenticated
    return user


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


def of(user: User | None, noun: str, project_id: int | None, *verbs: str) -> list[str]:
    """What the caller may do with a thing of a project."""
    return [verb for verb in (*verbs, "update", "delete") if may(user, f"{verb}_{noun}", project_id)]


def of_project(user: User | None, project_id: int) -> list[str]:
    held = of(user, "project", project_id)
    return [*held, "add", "change"] if user is not None and user.is_superuser else held


def of_capture_set(user: User | None, project_id: int | None) -> list[str]:
    return of(user, "sourceimagecollection", project_id, "populate")


def of_station(user: User | None, project_id: int | None) -> list[str]:
    return of(user, "deployment", project_id, "sync", "regroup")


def of_capture(user: User | None, project_id: int | None) -> list[str]:
    held = of(user, "sourceimage", project_id, "star")
    single = "run_single_image_ml_job"
    return [*held, single] if may(user, single, project_id) else held


def of_model(user: User | None) -> list[str]:
    """What the caller may do with pipelines, algorithms and processing services, which belong to no project."""
    return ["update", "delete"] if user is not None and user.is_superuser else []
