"""Capture sets: what they are, and how they are filled (contract 1.11; domain 2)."""

from typing import Any

from fastapi import Response

from api.capture_sets import responses
from api.crud import fields
from api.crud.fields import Choice, Document, Integer, Reference, Text
from api.crud.filters import ChoiceFilter, Sort
from api.crud.request_context import ContextDep, Reply, RequestContext
from api.crud.resource import Resource
from api.crud.view import View
from api.http import queries
from api.http.errors import Invalid, NotFound
from api.http.request_ids import current_request_id
from api.jobs.responses import JobStarted
from db import capture_set_pages, capture_set_rows, writing
from db.connections import Connection, Row
from monitoring import sampling
from workflows.populate_captures_collection import JOB_TYPE as POPULATE


class CaptureSets(Resource):
    """Capture sets: a method of sampling and the captures that it gave last."""

    path = "captures/collections"
    one = "capture set"
    many = "capture sets"
    noun = "sourceimagecollection"
    listing = capture_set_pages.CAPTURE_SETS
    item_schema = responses.CaptureSet
    detail_schema = responses.CaptureSet
    fields = {
        "name": Text(required=True, max_length=255),
        "description": Text(blank=True),
        "project": Reference(required=True, table="projects"),
        "method": Choice(choices=tuple(sampling.METHODS)),
        "kwargs": Document(),
    }
    project_field = "project"
    columns = {"project": "project_id"}
    filters = {"method": ChoiceFilter("t.method", choices=tuple(sampling.METHODS))}
    orderings = {
        "id": Sort("t.id"),
        "name": Sort("t.name"),
        "method": Sort("t.method"),
        "source_images_count": Sort("t.images_count"),
        "created_at": Sort("t.created_at"),
        "updated_at": Sort("t.updated_at"),
    }
    searched = ("t.name",)

    def item(self, row: Row, view: View) -> Any:
        return responses.capture_set(row, view)

    async def check(
        self, db: Connection, context: RequestContext, values: dict[str, Any], row: Row | None
    ) -> None:
        """Method and kwargs against each other, as they will be then."""
        if "kwargs" in values or "method" in values:
            before: Row = {"method": "full", "kwargs": {}} if row is None else row
            after = {**before, **values}
            values["kwargs"] = _sampling(after["method"], after["kwargs"])

    async def populate(self, item_id: str, context: ContextDep) -> Response:
        """Start a job that fills the capture set by its sampling method."""

        async def work(db: Connection, row: Row) -> Reply:
            new = POPULATE.new(row["project_id"], source_image_collection_id=row["id"])
            begun = await context.platform.jobs.create(db, new, start=True, request_id=current_request_id())
            body = {"job_id": begun.job_id, "project_id": row["project_id"]}
            return Reply(body, after_commit=begun.after_commit)

        return await self.run_action(context, item_id, "populate_sourceimagecollection", work)

    async def add(self, item_id: str, context: ContextDep) -> Response:
        """Put one capture into the set."""
        return await self._with_capture(item_id, context, "add", capture_set_rows.add)

    async def remove_capture(self, item_id: str, context: ContextDep) -> Response:
        """Take one capture out of the set."""
        return await self._with_capture(item_id, context, "remove", capture_set_rows.remove)

    async def _with_capture(self, item_id: str, context: RequestContext, verb: str, change: Any) -> Response:
        given = (await context.body()).values.get(
            "source_image", queries.last(context.request, "source_image")
        )
        wanted = {} if given is None else {"source_image": given}

        async def work(db: Connection, row: Row) -> Reply:
            values = fields.parse({"source_image": Reference(required=True, table="source_images")}, wanted)
            capture_id = values["source_image"]
            await capture_set_rows.lock(db, row["id"])
            named = [("source_image", "source_images", capture_id)]
            if await writing.missing(db, named, row["project_id"]):
                raise NotFound
            total = await change(db, row["id"], capture_id)
            return Reply({"collection": row["id"], "total_images": total})

        # no role holds it (contract 1.8): superusers alone
        return await self.run_action(context, item_id, f"{verb}_capture_sourceimagecollection", work)


def _sampling(method: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments as they are kept.

    A method without a sampler takes no arguments and is filled by other means; those of others are checked now.
    """
    if not sampling.METHODS[method].has_sampler:
        return sampling.given(kwargs)
    try:
        return sampling.normalised(method, kwargs)
    except sampling.SamplingError as error:
        raise Invalid({"kwargs": [str(error)]}) from error


sets = CaptureSets()
_router = sets.router()
_router.add_api_route(
    "/{item_id}/populate/",
    sets.populate,
    methods=["POST"],
    operation_id="populate_capture_set",
    summary="Fill a capture set",
    responses={200: {"description": "The job that fills it.", "model": JobStarted}},
    response_model=None,
)
_SOURCE_IMAGE = fields.request_body(fields.object_schema({"source_image": Integer(required=True)}))
for _path, _action, _operation_id, _summary in (
    ("add", sets.add, "add_to_capture_set", "Put a capture into a set"),
    ("remove", sets.remove_capture, "remove_from_capture_set", "Take a capture out of a set"),
):
    _router.add_api_route(
        f"/{{item_id}}/{_path}/",
        _action,
        methods=["POST"],
        operation_id=_operation_id,
        summary=_summary,
        responses={200: {"description": "How many are in it then.", "model": responses.CapturesInSet}},
        response_model=None,
        openapi_extra={"requestBody": _SOURCE_IMAGE},
    )
resources = (sets,)
routers = (_router,)
