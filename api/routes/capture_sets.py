"""Capture sets: make, edit, list and delete them, and fill them with captures (contract 1.11; domain 2)."""

from typing import Any

from fastapi import APIRouter, Request, Response

from api import bodies, fields, permissions, queries
from api.errors import Invalid, NotFound
from api.fields import Choice, Document, Field, Reference, Text
from api.links import Links
from api.paging import envelope
from api.platform import CallerDep, LinksDep, Platform, PlatformDep
from api.representations import capture_set
from api.responses import json_response
from db import capture_set_pages, capture_set_rows, job_rows
from db.connections import Connection, Row
from db.user_rows import User
from monitoring import sampling

router = APIRouter(prefix="/captures/collections", tags=["capture sets"])

FIELDS: dict[str, Field] = {
    "name": Text(required=True, max_length=255),
    "description": Text(blank=True),
    "project": Reference(required=True),
    "method": Choice(choices=tuple(sampling.METHODS)),
    "kwargs": Document(),
}


@router.get("/")
async def list_capture_sets(
    request: Request, platform: PlatformDep, caller: CallerDep, links: LinksDep
) -> Response:
    """Capture sets that the caller may see, a page at a time."""
    limit, offset = queries.page(request)
    project_id = queries.integer(request, "project_id", maximum=2**63 - 1)
    viewer = platform.viewer(caller)
    async with platform.database.single_statements() as db:
        count = await capture_set_pages.count(db, viewer, project_id)
        rows = await capture_set_pages.page(db, viewer, project_id, limit=limit, offset=offset)
    may_create = permissions.may(caller, "create_sourceimagecollection", project_id)
    page = envelope(
        request,
        [capture_set(row, caller, links) for row in rows],
        count=count,
        limit=limit,
        offset=offset,
        permissions=["create"] if may_create else [],
    )
    return json_response(page)


@router.post("/", status_code=201)
async def create_capture_set(
    request: Request, platform: PlatformDep, caller: CallerDep, links: LinksDep
) -> Response:
    """Make a capture set; it is empty until it is populated."""
    permissions.require_somebody(caller)
    body = await bodies.read(request)
    values = _parse(body.values, "full", {}, partial=False)
    async with platform.database.transaction() as db:
        await _check_project(db, values)
        permissions.require(caller, "create_sourceimagecollection", values["project"])
        set_id = await capture_set_rows.insert(db, values)
        row = await _visible(db, platform, caller, set_id)
    return json_response(capture_set(row, caller, links), 201)


@router.get("/{set_id}/")
async def get_capture_set(set_id: str, platform: PlatformDep, caller: CallerDep, links: LinksDep) -> Response:
    """One capture set, with its counts and the jobs that filled it."""
    async with platform.database.single_statements() as db:
        row = await _visible(db, platform, caller, set_id)
    return json_response(capture_set(row, caller, links))


@router.put("/{set_id}/")
async def replace_capture_set(
    set_id: str, request: Request, platform: PlatformDep, caller: CallerDep, links: LinksDep
) -> Response:
    """Change a capture set; which captures are in it changes when it is populated next."""
    return await _edit(set_id, request, platform, caller, links, partial=False)


@router.patch("/{set_id}/")
async def edit_capture_set(
    set_id: str, request: Request, platform: PlatformDep, caller: CallerDep, links: LinksDep
) -> Response:
    """Change what is sent of a capture set."""
    return await _edit(set_id, request, platform, caller, links, partial=True)


async def _edit(
    set_id: str, request: Request, platform: Platform, caller: User | None, links: Links, *, partial: bool
) -> Response:
    body = await bodies.read(request)
    async with platform.database.transaction() as db:
        row = await _visible(db, platform, caller, set_id)
        permissions.require(caller, "update_sourceimagecollection", row["project_id"])
        values = _parse(body.values, row["method"], row["kwargs"], partial=partial)
        await _check_project(db, values)
        if values.get("project", row["project_id"]) != row["project_id"]:
            raise Invalid({"project": ["A capture set cannot move to another project."]})
        await capture_set_rows.update(db, row["id"], values)
        row = await _visible(db, platform, caller, row["id"])
    return json_response(capture_set(row, caller, links))


@router.delete("/{set_id}/", status_code=204)
async def delete_capture_set(set_id: str, platform: PlatformDep, caller: CallerDep) -> Response:
    """Remove a capture set; its captures stay."""
    async with platform.database.transaction() as db:
        row = await _visible(db, platform, caller, set_id)
        permissions.require(caller, "delete_sourceimagecollection", row["project_id"])
        await capture_set_rows.delete(db, row["id"])
    return Response(status_code=204)


@router.post("/{set_id}/populate/")
async def populate_capture_set(set_id: str, platform: PlatformDep, caller: CallerDep) -> Response:
    """Start a job that fills the capture set by its sampling method."""
    async with platform.database.transaction() as db:
        row = await _visible(db, platform, caller, set_id)
        permissions.require(caller, "populate_sourceimagecollection", row["project_id"])
        values = {
            "name": f"Populate captures for collection {row['id']}",
            "project_id": row["project_id"],
            "source_image_collection_id": row["id"],
            "job_type_key": "populate_captures_collection",
        }
        job_id = await job_rows.insert(db, values, [], start=True)
        launch = await job_rows.launch(db, job_id)
    await platform.launcher.start(launch)
    return json_response({"job_id": job_id, "project_id": row["project_id"]})


async def _visible(db: Connection, platform: Platform, caller: User | None, set_id: str | int) -> Row:
    number = queries.row_id(set_id)
    row = await capture_set_pages.detail(db, platform.viewer(caller), number)
    if row is None:
        raise NotFound
    return row


def _parse(body: dict[str, Any], method: str, kwargs: dict[str, Any], *, partial: bool) -> dict[str, Any]:
    """The values of a body, with method and kwargs checked against each other as they will be then."""
    values = fields.parse(FIELDS, body, partial=partial)
    if "kwargs" in values:
        # null is what clients send for a field left empty, be it one of another method
        values["kwargs"] = {name: value for name, value in values["kwargs"].items() if value is not None}
    if "kwargs" in values or "method" in values:
        _check_sampling(values.get("method", method), values.get("kwargs", kwargs))
    return values


def _check_sampling(method: str, kwargs: dict[str, Any]) -> None:
    """A method without a sampler takes no arguments and is filled by other means; others are checked now."""
    if not sampling.METHODS[method].has_sampler:
        return
    try:
        sampling.sampler(method, kwargs)
    except sampling.SamplingError as error:
        raise Invalid({"kwargs": [str(error)]}) from error


async def _check_project(db: Connection, values: dict[str, Any]) -> None:
    project_id = values.get("project")
    if project_id is not None and not await capture_set_rows.project_exists(db, project_id):
        raise Invalid({"project": [fields.does_not_exist(project_id)]})
