"""Captures (domain 1.2, 8)."""

from typing import Any

from fastapi import Response

from api.auth.permissions import require_somebody
from api.capture_sets.responses import CapturesInSet
from api.captures import responses
from api.crud.fields import Integer, Moment, Reference, Text, Url
from api.crud.filters import TIMES, RowFilter, Sort, Yes
from api.crud.request_context import ContextDep, Reply, RequestContext
from api.crud.view import View
from api.http.errors import NotFound
from api.stations.of_station import OfStation
from db import capture_rows, capture_set_rows, session_rows, station_rows, writing
from db.connections import Connection, Row
from dispatch.job_service import AfterCommit

_PROCESSED = "EXISTS (SELECT 1 FROM detections x WHERE x.source_image_id = t.id)"
_FOUND = "EXISTS (SELECT 1 FROM detections x WHERE x.source_image_id = t.id AND x.bbox IS NOT NULL)"
_IN_SET = """EXISTS (
    SELECT 1 FROM source_image_collection_images m
    WHERE m.source_image_id = t.id AND m.collection_id = %(collections)s
)"""


class Captures(OfStation):
    """Captures: the images of camera traps."""

    path = "captures"
    one = "capture"
    many = "captures"
    noun = "sourceimage"
    listing = capture_rows.CAPTURES
    item_schema = responses.CaptureInList
    detail_schema = responses.Capture
    fields = {
        "deployment_id": Reference(required=True, table="deployments"),
        "event_id": Reference(nullable=True, table="events"),
        "path": Text(required=True, max_length=255),
        "public_base_url": Url(nullable=True, blank=True, max_length=255),
        "timestamp": Moment(nullable=True),
        "width": Integer(nullable=True, minimum=1),
        "height": Integer(nullable=True, minimum=1),
        "size": Integer(nullable=True, minimum=0, maximum=2**63 - 1),
    }
    unique = {
        "uq_source_images_deployment_id_path": ("path", "The station has a capture with this path already.")
    }
    filters = {
        "deployment": RowFilter("t.deployment_id", table="deployments"),
        "event": RowFilter("t.event_id", table="events"),
        "collections": RowFilter("", table="source_image_collections", condition_sql=_IN_SET),
        "processed": Yes(_PROCESSED),
        "has_detections": Yes(_FOUND),
    }
    orderings = {
        "id": Sort("t.id"),
        "timestamp": Sort("t.timestamp", nullable=True),
        "size": Sort("t.size", nullable=True),
        "path": Sort("t.path"),
        "deployment__name": Sort(
            "(SELECT d.name FROM deployments d WHERE d.id = t.deployment_id)", nullable=True
        ),
        "event__start": Sort("(SELECT e.start FROM events e WHERE e.id = t.event_id)", nullable=True),
        **TIMES,
    }
    searched = ("t.path",)
    needs_project = True

    def item(self, row: Row, view: View) -> Any:
        return responses.capture_in_list(row, view)

    def detail(self, row: Row, view: View) -> Any:
        return responses.capture(row, view)

    async def insert(self, db: Connection, context: RequestContext, values: dict[str, Any]) -> int:
        uploader = require_somebody(context.user)
        capture_id = await super().insert(db, context, {**values, "uploaded_by_id": uploader.id})
        await self._count_again(db, values)
        return capture_id

    async def update(self, db: Connection, context: RequestContext, row: Row, values: dict[str, Any]) -> None:
        await super().update(db, context, row, values)
        await self._count_again(db, row, values)

    async def remove(self, db: Connection, context: RequestContext, row: Row) -> AfterCommit | None:
        await super().remove(db, context, row)
        await self._count_again(db, row)
        return None

    async def _count_again(self, db: Connection, *states: Any) -> None:
        await session_rows.refresh(db, [state.get("event_id") for state in states])
        await station_rows.refresh(db, [state.get("deployment_id") for state in states])

    async def star(self, item_id: str, context: ContextDep) -> Response:
        """Put a capture into the project's set of starred ones, which is made when it is first needed."""
        return await self._in_starred(item_id, context, starred=True)

    async def unstar(self, item_id: str, context: ContextDep) -> Response:
        """Take a capture out of the project's set of starred ones."""
        return await self._in_starred(item_id, context, starred=False)

    async def _in_starred(self, item_id: str, context: RequestContext, *, starred: bool) -> Response:
        async def work(db: Connection, row: Row) -> Reply:
            set_id = await capture_rows.starred_set(db, row["project_id"])
            await capture_set_rows.lock(db, set_id)
            # that waited for who deletes captures
            if await writing.missing(db, [("id", "source_images", row["id"])], row["project_id"]):
                raise NotFound
            change = capture_set_rows.add if starred else capture_set_rows.remove
            total = await change(db, set_id, row["id"])
            return Reply({"collection": set_id, "total_images": total})

        return await self.run_action(context, item_id, "star_sourceimage", work)


captures = Captures()
_router = captures.router()
for _action, _summary in ((captures.star, "Star a capture"), (captures.unstar, "Unstar a capture")):
    _router.add_api_route(
        f"/{{item_id}}/{_action.__name__}/",
        _action,
        methods=["POST"],
        operation_id=f"{_action.__name__}_capture",
        summary=_summary,
        responses={
            200: {
                "description": "The set of starred captures, and how many are in it.",
                "model": CapturesInSet,
            }
        },
        response_model=None,
    )
resources = (captures,)
routers = (_router,)
