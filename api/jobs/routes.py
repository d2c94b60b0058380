"""Create, list, edit and delete jobs; run, retry and cancel them (contract 1.1 to 1.8)."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import Response

from api.auth import permissions
from api.crud.fields import Boolean, Document, Integer, Reference, Slug, Text
from api.crud.filters import ChoiceFilter, Exactly, OneOf, RowFilter, Sort
from api.crud.request_context import REPLAYED, ContextDep, Reply, RequestContext
from api.crud.resource import Resource
from api.crud.view import View
from api.http import queries
from api.http.errors import Invalid, NotFound, PermissionDenied
from api.http.request_ids import current_request_id
from api.http.responses import json_response
from api.jobs import explanations, responses
from db import job_pages, job_rows
from db.connections import Connection, Row
from db.listing import Condition, Wanted
from dispatch.job_service import AfterCommit, Outcome, job_type_of
from jobs.runs import NewJob
from jobs.status import Status
from workflows.registry import JOB_TYPES, TYPE_NAMES

DEFAULT_TYPE = "ml"
DEFAULT_LOG_LINES = 1000
MAX_LOG_LINES = 5000
DISPATCH_MODES = ("internal", "sync_api", "async_api")
MAX_CUTOFF_HOURS = 24 * 366 * 1000
"""Hours; no job is older."""
NO_ASYNC_TIMEOUT = 60.0
"""Seconds that `?no_async` waits for a job."""

START_NOW = queries.Flag("start_now", "Run the new job at once; needs the permission to run it.")
NO_ASYNC = queries.Flag("no_async", "Answer when the run is over, or after a minute as it is then.")
IDS_ONLY = queries.Flag(
    "ids_only",
    "A worker's poll: jobs in random order, by id and pipeline alone; one, or as many as `limit` or `page_size` say.",
)
PAGE_SIZE = queries.Whole("page_size", "With `ids_only`: how many, where there is no `limit`.", minimum=1)
INCOMPLETE_ONLY = queries.Flag("incomplete_only", "Only jobs that are not over, and whose results are not.")
CUTOFF_HOURS = queries.Whole(
    "cutoff_hours", "Leave out jobs that failed or were cancelled longer ago than that many hours."
)
LOGS_LIMIT = queries.Whole(
    "logs_limit", "The newest so many lines of the log.", DEFAULT_LOG_LINES, minimum=1, maximum=MAX_LOG_LINES
)

MAY_NOT_RUN = "You do not have permission to run this job."

_OPEN = """t.status NOT IN ('SUCCESS', 'FAILURE', 'REVOKED') AND NOT EXISTS (
    SELECT 1 FROM job_stages g
    WHERE g.job_id = t.id AND g.key = 'results' AND g.status IN ('SUCCESS', 'FAILURE', 'REVOKED')
)"""
_NOT_LONG_FAILED = """NOT (
    t.status IN ('FAILURE', 'REVOKED', 'UNKNOWN')
    AND coalesce(t.finished_at, t.updated_at) < now() - make_interval(hours => %(cutoff_hours)s)
)"""
_PIPELINE = "(SELECT l.{} FROM pipelines l WHERE l.id = t.pipeline_id)"
_NAME_OF = "(SELECT n.name FROM {} n WHERE n.id = t.{})"


class Jobs(Resource):
    """Work in the background: list, create, change and delete jobs.

    A `POST` with `?start_now` also starts the new job. `run`, `retry` and `cancel` of a job are addresses of
    their own below it.
    """

    path = "jobs"
    one = "job"
    many = "jobs"
    noun = "job"
    listing = job_pages.JOBS
    item_schema = responses.JobInList
    other_item_schema = responses.BriefJob
    detail_schema = responses.Job
    fields = {
        "name": Text(required=True, max_length=255),
        "delay": Integer(required=True, help_text="Seconds to wait before the work."),
        "limit": Integer(nullable=True, help_text="Limit the number of images to process"),
        "shuffle": Boolean(form_default=False, help_text="Process images in a random order"),
        "project_id": Reference(required=True, table="projects", label="Project"),
        "deployment_id": Reference(nullable=True, table="deployments", label="Deployment"),
        "source_image_single_id": Reference(nullable=True, table="source_images", label="Source Image"),
        "source_image_collection_id": Reference(
            nullable=True, table="source_image_collections", label="Capture Set"
        ),
        "pipeline_id": Reference(nullable=True, table="pipelines", label="Pipeline"),
        "job_type_key": Slug(help_text="One of: " + ", ".join(JOB_TYPES)),
        "params": Document(nullable=True),
    }
    filters = {
        "status": ChoiceFilter("t.status", choices=[str(status) for status in Status]),
        "project": RowFilter("t.project_id", table="projects"),
        "deployment": RowFilter("t.deployment_id", table="deployments"),
        "source_image_collection": RowFilter(
            "t.source_image_collection_id", table="source_image_collections"
        ),
        "source_image_single": RowFilter("t.source_image_single_id", table="source_images"),
        "pipeline": RowFilter("t.pipeline_id", table="pipelines"),
        "job_type_key": ChoiceFilter("t.job_type_key", choices=tuple(TYPE_NAMES)),
        "dispatch_mode": ChoiceFilter("t.dispatch_mode", choices=DISPATCH_MODES),
        "pipeline__slug": Exactly(_PIPELINE.format("slug")),
        "pipeline__slug__in": OneOf(_PIPELINE.format("slug")),
    }
    orderings = {
        "name": Sort("t.name"),
        "created_at": Sort("t.created_at"),
        "updated_at": Sort("t.updated_at"),
        "status": Sort("t.status"),
        "started_at": Sort("t.started_at", nullable=True),
        "finished_at": Sort("t.finished_at", nullable=True),
        "project": Sort(_NAME_OF.format("projects", "project_id"), nullable=True),
        "deployment": Sort(_NAME_OF.format("deployments", "deployment_id"), nullable=True),
        "source_image_collection": Sort(
            _NAME_OF.format("source_image_collections", "source_image_collection_id"), nullable=True
        ),
        "pipeline": Sort(_PIPELINE.format("name"), nullable=True),
    }
    searched = ("t.name", _PIPELINE.format("name"))
    parameters = {
        "list": (IDS_ONLY, PAGE_SIZE, INCOMPLETE_ONLY, CUTOFF_HOURS),
        "create": (START_NOW,),
        "get": (LOGS_LIMIT,),
    }

    def item(self, row: Row, view: View) -> Any:
        return responses.in_list(row, view)

    def detail(self, row: Row, view: View) -> Any:
        return responses.detail(row, view)

    async def wanted(self, context: RequestContext, *, in_list: bool = False) -> Wanted:
        found = await super().wanted(context, in_list=in_list)
        more: list[Condition] = []
        hours = CUTOFF_HOURS.read(context.request)
        if hours is not None and hours < MAX_CUTOFF_HOURS:
            more.append(Condition(_NOT_LONG_FAILED, {"cutoff_hours": hours}))
        if INCOMPLETE_ONLY.read(context.request):
            more.append(Condition(_OPEN))
        return Wanted(found.project_id, (*found.conditions, *more), found.order)

    def more(self, context: RequestContext) -> dict[str, Any]:
        if context.request.method != "GET":
            return {"logs_limit": DEFAULT_LOG_LINES}
        most = LOGS_LIMIT.read(context.request)
        return {"logs_limit": most}

    async def list(self, context: ContextDep) -> Response:
        """Jobs that the caller may see, newest first, a page at a time.

        With `ids_only` a worker's poll: one job, or `limit`, in random order, by id and pipeline alone.
        """
        if not IDS_ONLY.read(context.request):
            return await super().list(context)
        given = queries.last(context.request, "limit") or queries.last(context.request, PAGE_SIZE.name)
        limit = queries.natural(given) or 1
        limit, offset = min(limit, queries.MAX_PAGE_ROWS), queries.page(context.request)[1]
        listing = job_pages.briefly(secrets.token_hex(8))
        return await self.answer_page(context, listing, responses.briefly, limit=limit, offset=offset)

    async def check(
        self, db: Connection, context: RequestContext, values: dict[str, Any], row: Row | None
    ) -> None:
        if row is None:
            values.setdefault("job_type_key", DEFAULT_TYPE)
        key = values.get("job_type_key")
        if key is not None:
            job_type_of(key)
        if row is None:
            if START_NOW.read(context.request):
                require_may_run(context, values, MAY_NOT_RUN)
        elif Status(row["status"]).is_active and key is not None and key != row["job_type_key"]:
            raise Invalid({"job_type_key": ["The type of a running job cannot be changed."]})

    async def make(
        self, db: Connection, context: RequestContext, values: dict[str, Any]
    ) -> tuple[int, AfterCommit | None]:
        outcome = await context.platform.jobs.create(
            db, NewJob(**values), start=START_NOW.read(context.request), request_id=current_request_id()
        )
        return outcome.job_id, outcome.after_commit

    async def update(self, db: Connection, context: RequestContext, row: Row, values: dict[str, Any]) -> None:
        mode: dict[str, str] = {}
        if not row["stages"]:
            if row["dispatch_mode"] == "internal":
                pipeline_id = values.get("pipeline_id")
                mode["dispatch_mode"] = await context.platform.jobs.dispatch_mode(
                    db, row["project_id"], pipeline_id
                )
            if values.get("delay"):
                await job_rows.seed_delay(db, row["id"], values["delay"])
        await job_rows.update(db, row["id"], {**values, **mode})

    async def remove(self, db: Connection, context: RequestContext, row: Row) -> AfterCommit | None:
        """Its stages and its log go with it; a run that is under way ends."""
        return (await context.platform.jobs.delete(db, row["id"])).after_commit

    # actions --------------------------------------------------------------------------------------------------

    async def run(self, item_id: str, context: ContextDep) -> Response:
        """Run a job (add it to the queue). One that is under way goes on as it is.

        With `no_async` the answer comes when the job is over, or after a minute.
        """
        return await self._ask_to_run(item_id, context, again=False)

    async def retry(self, item_id: str, context: ContextDep) -> Response:
        """Run a job once more, from the start. One that is under way goes on as it is.

        With `no_async` the answer comes when the job is over, or after a minute.
        """
        return await self._ask_to_run(item_id, context, again=True)

    async def _ask_to_run(self, item_id: str, context: RequestContext, *, again: bool) -> Response:
        async def ask(db: Connection, job_id: int) -> Outcome:
            return await context.platform.jobs.run(db, job_id, again=again, request_id=current_request_id())

        response = await self._ask(item_id, context, ask)
        if not NO_ASYNC.read(context.request):
            return response
        over = await self._when_over(item_id, context)
        if REPLAYED in response.headers:
            over.headers[REPLAYED] = response.headers[REPLAYED]
        return over

    async def _when_over(self, item_id: str, context: RequestContext) -> Response:
        """The job when its run is over; as it is then, if that takes too long."""
        until, pause = time.monotonic() + NO_ASYNC_TIMEOUT, 0.02
        while True:
            async with context.platform.database.autocommit() as db:
                row = await self.find(db, context, item_id)
            if not Status(row["status"]).is_active or time.monotonic() > until:
                return json_response(self.detail(row, context.view))
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.5)

    async def _ask(
        self, item_id: str, context: RequestContext, ask: Callable[[Connection, int], Awaitable[Outcome]]
    ) -> Response:
        """What is asked of a job by who may run it; the answer is the job as it is then."""

        async def work(db: Connection, row: Row) -> Reply:
            require_may_run(context, row)
            outcome = await ask(db, row["id"])
            row = await self.find(db, context, row["id"])
            return Reply(self.detail(row, context.view), after_commit=outcome.after_commit)

        return await self.run_action(context, item_id, None, work)

    async def cancel(self, item_id: str, context: ContextDep) -> Response:
        """Cancel a job (terminate the background task). One that is over stays as it ended."""

        async def ask(db: Connection, job_id: int) -> Outcome:
            return await context.platform.jobs.cancel(db, job_id, request_id=current_request_id())

        return await self._ask(item_id, context, ask)

    async def explain(self, item_id: str, context: ContextDep) -> Response:
        """Why the job is where it is: the cause, since when, who can mend it, and what that is known from.

        Asks Temporal too, for at most a second or so; that it does not answer is an answer of its own.
        """
        wanted = await self.wanted(context)
        async with context.platform.database.autocommit() as db:
            row = await self.find(db, context, item_id, wanted)
        explained = await context.platform.jobs.explain(row["id"])
        if explained is None:
            raise NotFound
        zone = context.platform.time_zone
        return json_response(
            explanations.explanation(row["id"], explained.status, explained.explanation, zone)
        )

    async def pause(self, item_id: str, context: ContextDep) -> Response:
        """Pause a job: what is under way is finished, nothing new is begun. One that does not run stays as it is."""

        async def ask(db: Connection, job_id: int) -> Outcome:
            return await context.platform.jobs.pause(db, job_id, request_id=current_request_id())

        return await self._ask(item_id, context, ask)

    async def resume(self, item_id: str, context: ContextDep) -> Response:
        """Have a paused job go on where it was. One that is not paused goes on as it is."""

        async def ask(db: Connection, job_id: int) -> Outcome:
            return await context.platform.jobs.resume(db, job_id, request_id=current_request_id())

        return await self._ask(item_id, context, ask)


def require_may_run(context: RequestContext, job: Mapping[str, Any], detail: str | None = None) -> None:
    """Raises PermissionDenied, with that detail, for who may not run, retry or cancel a job."""
    permission = permissions.run_permission(job["job_type_key"], job.get("source_image_single_id"))
    permissions.require_somebody(context.user)
    if not permissions.may(context.user, permission, job["project_id"]):
        raise PermissionDenied(detail) if detail else PermissionDenied


jobs = Jobs()
_router = jobs.router()
_ACTIONS = (
    (jobs.run, "run_job", "Run a job", (NO_ASYNC,)),
    (jobs.retry, "retry_job", "Run a job once more", (NO_ASYNC,)),
    (jobs.cancel, "cancel_job", "Cancel a job", ()),
    (jobs.pause, "pause_job", "Pause a job", ()),
    (jobs.resume, "resume_job", "Resume a job", ()),
)
for _action, _operation_id, _summary, _queries in _ACTIONS:
    _router.add_api_route(
        f"/{{item_id}}/{_action.__name__}/",
        _action,
        methods=["POST"],
        operation_id=_operation_id,
        summary=_summary,
        responses={200: {"description": "The job as it is now.", "model": responses.Job}},
        response_model=None,
        openapi_extra=queries.openapi(_queries),
    )
_router.add_api_route(
    "/{item_id}/explain/",
    jobs.explain,
    methods=["GET"],
    operation_id="explain_job",
    summary="Explain why a job is where it is",
    responses={200: {"description": "Why.", "model": explanations.Explanation}},
    response_model=None,
)
resources = (jobs,)
routers = (_router,)
