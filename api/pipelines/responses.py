"""Pipelines, algorithms and processing services as the API says them (domain 1.3, 8)."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import TypedDict

from api.auth import permissions
from api.crud.values import Permissions, Time, parsed_time
from api.crud.view import View
from api.related import PipelineLink, pipeline_link
from db.connections import Row


class CategoryMapLink(TypedDict):
    id: int
    details: str
    user_permissions: Permissions


class Algorithm(TypedDict):
    id: int
    details: str
    name: str
    key: str
    description: str
    uri: str | None
    version: int
    version_name: str | None
    task_type: str | None
    category_map: CategoryMapLink | None
    category_count: int | None
    created_at: Time
    updated_at: Time
    user_permissions: Permissions


class ServiceLink(TypedDict):
    name: str
    id: int
    details: str
    endpoint_url: str | None
    is_async: bool
    last_seen: Time | None
    last_seen_live: bool | None
    created_at: Time
    updated_at: Time
    user_permissions: Permissions


class PipelineConfig(TypedDict):
    id: int
    project: str
    pipeline: str
    enabled: bool
    config: dict[str, Any]
    user_permissions: Permissions


class Pipeline(TypedDict):
    id: int
    details: str
    name: str
    slug: str
    description: str
    algorithms: list[Algorithm]
    stages: list[dict[str, Any]]
    processing_services: list[ServiceLink]
    project_pipeline_configs: list[PipelineConfig]
    created_at: Time
    updated_at: Time
    user_permissions: Permissions


class Service(TypedDict):
    id: int
    details: str
    name: str
    description: str
    projects: list[int]
    endpoint_url: str | None
    is_async: bool
    pipelines: list[PipelineLink]
    created_at: Time
    updated_at: Time
    last_seen: Time | None
    last_seen_live: bool | None
    user_permissions: Permissions


def _with_times(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """A row of a JSON aggregate with its times as times."""
    parsed = {name: None if row[name] is None else parsed_time(row[name]) for name in names}
    return {**row, **parsed}


def algorithm(row: Mapping[str, Any], view: View) -> Algorithm:
    labels: CategoryMapLink | None = None
    if row["category_map_id"] is not None:
        labels = {
            "id": row["category_map_id"],
            "details": view.links.to("ml/labels", row["category_map_id"]),
            "user_permissions": permissions.of_model(view.user),
        }
    return {
        "id": row["id"],
        "details": view.links.to("ml/algorithms", row["id"]),
        "name": row["name"],
        "key": row["key"],
        "description": row["description"],
        "uri": row["uri"],
        "version": row["version"],
        "version_name": row["version_name"],
        "task_type": row["task_type"],
        "category_map": labels,
        "category_count": row.get("category_count"),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "user_permissions": permissions.of_model(view.user),
    }


def _service_link(row: Mapping[str, Any], view: View) -> ServiceLink:
    return {
        "name": row["name"],
        "id": row["id"],
        "details": view.links.to("ml/processing_services", row["id"]),
        "endpoint_url": row["endpoint_url"],
        "is_async": row["endpoint_url"] is None,
        "last_seen": row["last_seen"],
        "last_seen_live": row["last_seen_live"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "user_permissions": permissions.of_model(view.user),
    }


def pipeline(row: Row, view: View) -> Pipeline:
    both = ("created_at", "updated_at")
    configs: list[PipelineConfig] = [
        {
            "id": config["id"],
            "project": view.links.to("projects", config["project_id"]),
            "pipeline": view.links.to("ml/pipelines", row["id"]),
            "enabled": config["enabled"],
            "config": config["config"],
            "user_permissions": permissions.of_model(view.user),
        }
        for config in row["configs"] or []
    ]
    return {
        "id": row["id"],
        "details": view.links.to("ml/pipelines", row["id"]),
        "name": row["name"],
        "slug": row["slug"],
        "description": row["description"],
        "algorithms": [algorithm(_with_times(each, *both), view) for each in row["algorithms"] or []],
        "stages": row["stages"],
        "processing_services": [
            _service_link(_with_times(each, *both, "last_seen"), view) for each in row["services"] or []
        ],
        "project_pipeline_configs": configs,
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "user_permissions": permissions.of_model(view.user),
    }


def service(row: Row, view: View) -> Service:
    both = ("created_at", "updated_at")
    return {
        "id": row["id"],
        "details": view.links.to("ml/processing_services", row["id"]),
        "name": row["name"],
        "description": row["description"],
        "projects": row["projects"] or [],
        "endpoint_url": row["endpoint_url"],
        "is_async": row["endpoint_url"] is None,
        "pipelines": [pipeline_link(_with_times(each, *both), view) for each in row["pipelines"] or []],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "last_seen": row["last_seen"],
        "last_seen_live": row["last_seen_live"],
        "user_permissions": permissions.of_model(view.user),
    }
