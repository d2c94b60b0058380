"""Counts for the menu of the page, and what the API offers (domain 8)."""

from collections.abc import Sequence

from fastapi import APIRouter, Response
from typing_extensions import TypedDict

from api.crud.request_context import ContextDep
from api.http import queries
from api.http.responses import json_response
from db import summary_rows

router = APIRouter(tags=["status"])


class StatusSummary(TypedDict):
    projects_count: int
    deployments_count: int
    events_count: int
    captures_count: int
    occurrences_count: int
    taxa_count: int
    num_sessions: int
    num_species: int
    num_projects: int
    num_deployments: int
    num_events: int
    num_captures: int
    num_detections: int
    num_occurrences: int
    num_taxa: int


@router.get(
    "/status/summary/",
    operation_id="get_summary",
    responses={200: {"description": "Counts.", "model": StatusSummary}},
    response_model=None,
    openapi_extra={"parameters": [queries.parameter("project_id", {"type": "integer", "minimum": 1})]},
)
async def get_summary(context: ContextDep) -> Response:
    """How much there is of everything that the caller may see, in one project or in all."""
    project_id, viewer = await context.project_id(), context.viewer
    async with context.platform.database.autocommit() as db:
        found = await summary_rows.summary(db, viewer, project_id)

        async def count() -> int:
            return await summary_rows.detections(db, viewer, project_id)

        detections = await context.platform.counts.get(("detections", viewer, project_id), count)
    return json_response(
        {
            "projects_count": found["projects"],
            "deployments_count": found["deployments"],
            "events_count": found["events"],
            "captures_count": found["captures"],
            "occurrences_count": 0,
            "taxa_count": 0,
            "num_sessions": found["events"],
            "num_species": 0,
            "num_projects": found["projects"],
            "num_deployments": found["deployments"],
            "num_events": found["events"],
            "num_captures": found["captures"],
            "num_detections": detections,
            "num_occurrences": 0,
            "num_taxa": 0,
        }
    )


def index(paths: Sequence[str]) -> APIRouter:
    """The root of the API: the addresses of its lists."""
    root = APIRouter(tags=["status"])

    @root.get(
        "/",
        operation_id="get_index",
        responses={200: {"description": "Addresses by path.", "model": dict[str, str]}},
        response_model=None,
    )
    async def get_index(context: ContextDep) -> Response:
        """The lists that there are, by path."""
        return json_response({path: context.links.root(path) for path in paths})

    return root
