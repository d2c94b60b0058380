"""Create, list, edit and delete jobs; run, retry and cancel them (contract 1.1 to 1.8)."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request, Response

from api import bodies, fields, permissions, queries
from api.errors import Invalid, NotFound, PermissionDenied
from api.fields import Boolean, Document, Field, Integer, Reference, Slug, Text
from api.links import Links
from api.paging import envelope
from api.platform import CallerDep, LinksDep, Platform, PlatformDep
from api.representations import job_detail, job_in_list
from api.responses import json_response
from db import job_pages, job_rows
from db.connections import Connection
from db.job_pages import JobColumns, JobFilter
from db.user_rows import User
from jobs import delay
from jobs.status import Status
from workflows.registry import JOB_TYPES

router = APIRouter(prefix="/jobs", tags=["jobs"])

DEFAULT_TYPE = "ml"
LOG_LINES = 1000
MOST_LOG_LINES = 5000

FIELDS: dict[str, Field] = {
    "name": Text(required=True, max_length=255),
    "delay": Integer(required=True),
    "limit": Integer(nullable=True),
    "shuffle": Boolean(form_default=False),
    "project_id": Reference(required=True),
    "deployment_id": Reference(nullable=True),
    "source_image_single_id": Reference(nullable=True),
    "source_image_collection_id": Reference(nullable=True),
    "pipeline_id": Reference(nullable=True),
    "job_type_key": Slug(),
    "params": Document(nullable=True),
}
FILTERS = (
    "project_id",
    "deployment_id",
    "source_image_collection_id",
    "source_image_single_id",
    "pipeline_id",
)


@router.get("/")
async def list_jobs(request: Request, platform: PlatformDep, caller: CallerDep, links: LinksDep) -> Response:
    """Jobs that the caller may see, newest first, a page at a time."""
    limit, offset = queries.page(request)
    wanted = _wanted(request)
    viewer = platform.viewer(caller)

    async def count_all() -> int:
        async with platform.database.single_statements() as db:
            return await job_pages.count(db, viewer, wanted)

    async def read_page() -> Sequence[JobColumns]:
        async with platform.database.single_statements() as db:
            return await job_pages.page(db, viewer, wanted, limit=limit, offset=offset)

    # side by side: counting a hundred thousand jobs takes longer than reading twenty
    count, rows = await asyncio.gather(count_all(), read_page())
    project_id = wanted.equals.get("project_id")
    may_create = permissions.may(caller, "create_job", project_id)
    page = envelope(
        request,
        [job_in_list(row, caller, links) for row in rows],
        count=count,
        limit=limit,
        offset=offset,
        permissions=["create"] if may_create else [],
    )
    return json_response(page)


def _wanted(request: Request) -> JobFilter:
    equals: dict[str, Any] = {}
    for column in FILTERS:
        name = column if column == "project_id" else column.removesuffix("_id")
        number = queries.integer(request, name, maximum=2**63 - 1)
        if number is not None:
            equals[column] = number
    for name, choices in (("status", list(Status)), ("job_type_key", list(JOB_TYPES))):
        value = queries.last(request, name)
        if value:
            if value not in choices:
                message = f"Select a valid choice. {value} is not one of the available choices."
                raise Invalid({name: [message]})
            equals[name] = value
    return JobFilter(equals)


@router.post("/", status_code=201)
async def create_job(request: Request, platform: PlatformDep, caller: CallerDep, links: LinksDep) -> Response:
    """Make a job; with `?start_now` also run it."""
    start = queries.flag(request, "start_now")
    permissions.require_somebody(caller)
    body = await bodies.read(request)
    values = fields.parse(FIELDS, body.values, form=body.form)
    values.setdefault("job_type_key", DEFAULT_TYPE)
    _check_type(values)
    async with platform.database.transaction() as db:
        await _check_references(db, values)
        permissions.require(caller, "create_job", values["project_id"])
        if start:
            _check_may_run(caller, values)
        stages = [delay.snapshot(values["delay"])] if values["delay"] else []
        job_id = await job_rows.insert(db, values, stages, start=start)
        launch = await job_rows.launch(db, job_id) if start else None
        job = await _visible(db, platform, caller, job_id)
    if launch is not None:
        await platform.launcher.start(launch)
    answer = job_detail(job, caller, links)
    return json_response(answer, 201, {"Location": answer["details"]})


@router.get("/{job_id}/")
async def get_job(
    job_id: str, request: Request, platform: PlatformDep, caller: CallerDep, links: LinksDep
) -> Response:
    """One job, with how far each of its stages is and its newest log lines."""
    most = queries.integer(request, "logs_limit", default=LOG_LINES, minimum=1, maximum=MOST_LOG_LINES)
    async with platform.database.single_statements() as db:
        job = await _visible(db, platform, caller, job_id, request=request, logs_limit=most or LOG_LINES)
    return json_response(job_detail(job, caller, links))


@router.put("/{job_id}/")
async def replace_job(
    job_id: str, request: Request, platform: PlatformDep, caller: CallerDep, links: LinksDep
) -> Response:
    """Change a job; `name`, `delay` and `project_id` are needed, other fields left out keep their values."""
    return await _edit(job_id, request, platform, caller, links, partial=False)


@router.patch("/{job_id}/")
async def edit_job(
    job_id: str, request: Request, platform: PlatformDep, caller: CallerDep, links: LinksDep
) -> Response:
    """Change what is sent of a job."""
    return await _edit(job_id, request, platform, caller, links, partial=True)


async def _edit(
    job_id: str, request: Request, platform: Platform, caller: User | None, links: Links, *, partial: bool
) -> Response:
    body = await bodies.read(request)
    async with platform.database.transaction() as db:
        job = await _visible(db, platform, caller, job_id, request=request)
        permissions.require(caller, "update_job", job["project_id"])
        values = fields.parse(FIELDS, body.values, partial=partial, form=body.form)
        if not partial:
            values.setdefault("job_type_key", job["job_type_key"])
        _check_type(values)
        await _check_references(db, values)
        if values.get("project_id", job["project_id"]) != job["project_id"]:
            raise NotFound  # the project of a body also narrows what is found: jobs cannot move
        if (
            Status(job["status"]).is_active
            and values.get("job_type_key", job["job_type_key"]) != job["job_type_key"]
        ):
            raise Invalid({"job_type_key": ["The type of a running job cannot be changed."]})
        await job_rows.update(db, job["id"], values)
        if not job["stages"] and values.get("delay"):
            await job_rows.seed_delay(db, job["id"], values["delay"])
        job = await _visible(db, platform, caller, job["id"])
    return json_response(job_detail(job, caller, links))


@router.delete("/{job_id}/", status_code=204)
async def delete_job(job_id: str, request: Request, platform: PlatformDep, caller: CallerDep) -> Response:
    """Remove a job, its stages and its log; a run that is under way ends."""
    async with platform.database.transaction() as db:
        job = await _visible(db, platform, caller, job_id, request=request)
        permissions.require(caller, "delete_job", job["project_id"])
        workflow = await job_rows.delete(db, job["id"])
    if workflow is not None:
        await platform.launcher.terminate(workflow, "The job was deleted")
    return Response(status_code=204)


@router.post("/{job_id}/run/")
async def run_job(
    job_id: str, request: Request, platform: PlatformDep, caller: CallerDep, links: LinksDep
) -> Response:
    """Run a job (add it to the queue). One that is under way goes on as it is."""
    return await _ask_to_run(job_id, request, platform, caller, links, again=False)


@router.post("/{job_id}/retry/")
async def retry_job(
    job_id: str, request: Request, platform: PlatformDep, caller: CallerDep, links: LinksDep
) -> Response:
    """Run a job once more, from the start. One that is under way goes on as it is."""
    return await _ask_to_run(job_id, request, platform, caller, links, again=True)


async def _ask_to_run(
    job_id: str, request: Request, platform: Platform, caller: User | None, links: Links, *, again: bool
) -> Response:
    async with platform.database.transaction() as db:
        job = await _visible(db, platform, caller, job_id, request=request)
        _check_may_run(caller, job, detail=None)
        _check_type(job)
        stages = JOB_TYPES[job["job_type_key"]].snapshots(job["delay"])
        asked = await job_rows.ask_to_run(db, job["id"], stages, again=again)
        launch = await job_rows.launch(db, job["id"]) if asked.changed else None
        job = await _visible(db, platform, caller, job["id"])
    if launch is not None:
        await platform.launcher.start(launch)
    return json_response(job_detail(job, caller, links))


@router.post("/{job_id}/cancel/")
async def cancel_job(
    job_id: str, request: Request, platform: PlatformDep, caller: CallerDep, links: LinksDep
) -> Response:
    """Cancel a job (terminate the background task). One that is over stays as it ended."""
    async with platform.database.transaction() as db:
        job = await _visible(db, platform, caller, job_id, request=request)
        _check_may_run(caller, job, detail=None)
        asked = await job_rows.ask_to_cancel(db, job["id"])
        job = await _visible(db, platform, caller, job["id"])
    if asked.workflow is not None:
        if asked.status is Status.REVOKED:
            await platform.launcher.terminate(asked.workflow, "Cancelled before it began")
        else:
            await platform.launcher.cancel(asked.workflow)
    return json_response(job_detail(job, caller, links))


async def _visible(
    db: Connection,
    platform: Platform,
    caller: User | None,
    job_id: str | int,
    *,
    request: Request | None = None,
    logs_limit: int = LOG_LINES,
) -> JobColumns:
    """The job, if the caller may see it and it is of the project that the request names; else NotFound."""
    project_id = None if request is None else queries.integer(request, "project_id", maximum=2**63 - 1)
    number = queries.row_id(job_id)
    viewer = platform.viewer(caller)
    job = await job_pages.detail(db, viewer, number, logs_limit=logs_limit, project_id=project_id)
    if job is None:
        raise NotFound
    return job


def _check_type(values: Mapping[str, Any]) -> None:
    key = values.get("job_type_key")
    if key is not None and key not in JOB_TYPES:
        known = ", ".join(JOB_TYPES)
        raise Invalid({"job_type_key": [f'"{key}" is not a type of job that runs here: {known}.']})


async def _check_references(db: Connection, values: dict[str, Any]) -> None:
    field = await job_rows.missing_reference(db, values)
    if field is not None:
        raise Invalid({field: [fields.does_not_exist(values[field])]})


def _check_may_run(
    caller: User | None,
    job: Any,
    detail: str | None = "You do not have permission to run this job.",
) -> None:
    permission = permissions.run_permission(job["job_type_key"], job.get("source_image_single_id"))
    if detail is None or caller is None:
        permissions.require(caller, permission, job["project_id"])
    elif not permissions.may(caller, permission, job["project_id"]):
        raise PermissionDenied(detail)
