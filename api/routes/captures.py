"""Sessions and captures (domain 1.2, 8)."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from fastapi import Request, Response

from api.auth.permissions import require_somebody
from api.crud import fields, filters
from api.crud.call import Answer, Call, CallDep, Then
from api.crud.fields import Integer, Moment, Reference, Text, Url
from api.crud.filters import TIMES, Sort, Yes
from api.crud.filters import Row as RowFilter
from api.crud.resource import Resource
from api.crud.view import View
from api.http import queries
from api.http.errors import Invalid, NotFound
from api.http.responses import json_response
from api.schemas import places as schema
from api.schemas import sessions as session_schema
from db import capture_rows, capture_set_rows, session_rows, station_rows, timeline_rows
from db.connections import Connection, Row

_PROCESSED = "EXISTS (SELECT 1 FROM detections x WHERE x.source_image_id = t.id)"
_FOUND = "EXISTS (SELECT 1 FROM detections x WHERE x.source_image_id = t.id AND x.bbox IS NOT NULL)"
_IN_SET = """EXISTS (
    SELECT 1 FROM source_image_collection_images m
    WHERE m.source_image_id = t.id AND m.collection_id = %(collections)s
)"""


_TOO_FINE = (
    "There would be {intervals} intervals, and at most {most} are given. "
    "Ensure this value is greater than or equal to {least_minutes}."
)
_WHOLE = re.compile(r"[+-]?[0-9]+\Z")


def _capture_id(request: Request, name: str) -> int | None:
    """The id that a parameter names; null for one that nothing can have. Raises Invalid for what is no number."""
    text = queries.last(request, name)
    if text and not _WHOLE.match(text):
        raise Invalid({name: ["A valid integer is required."]})
    return filters.row_number(text or "")


def _moment(request: Request, name: str) -> datetime | None:
    text = queries.last(request, name)
    try:
        return fields.Moment().parse(text) if text else None
    except fields.Refused as refused:
        raise Invalid({name: [str(refused)]}) from refused


_PLACES: dict[str, Callable[[Request, str], Any]] = {
    "capture": _capture_id,
    "timestamp": _moment,
    "detection": _capture_id,
    "occurrence": _capture_id,
}
"""What a capture of a session may be named by, in the order in which one goes before another."""
_PLACE_PARAMETERS = [
    queries.parameter(
        "capture", {"type": "integer", "minimum": 1}, "Give `capture_page_offset` of this capture."
    ),
    queries.parameter("timestamp", fields.Moment().schema(), "Of the capture taken at that very time."),
    queries.parameter("detection", {"type": "integer", "minimum": 1}, "Of the capture of this detection."),
    queries.parameter(
        "occurrence", {"type": "integer", "minimum": 1}, "Of the capture of its earliest detection."
    ),
    queries.parameter(
        "offset", {"type": "integer", "minimum": 0}, "What `capture_page_offset` is if nothing is named."
    ),
]


RESOLUTION = queries.Whole("resolution_minutes", "How many minutes an interval lasts.", minimum=1)


class OfStation(Resource):
    """What belongs to a station, and by it to a project."""

    async def check_references(self, db: Connection, call: Call, values: Any, project_id: int | None) -> None:
        """The project of a new one is that of its station; later it stays within that project."""
        station_id = values.get("deployment_id")
        if call.request.method == "POST":
            project_id = await station_rows.project_of(db, call.viewer, station_id)
            if project_id is None:
                raise Invalid({"deployment_id": [fields.does_not_exist(station_id)]})
            values["project_id"] = project_id
        await super().check_references(db, call, values, project_id)

    async def check_may_create(self, call: Call, values: Any, project_id: int | None) -> None:
        await super().check_may_create(call, values, values["project_id"])


class Sessions(OfStation):
    """Sessions: one night of one station."""

    path = "events"
    one = "session"
    many = "sessions"
    noun = "event"
    listing = session_rows.SESSIONS
    item_schema = session_schema.SessionInList
    detail_schema = session_schema.Session
    fields = {
        "deployment_id": Reference(required=True, table="deployments"),
        "start": Moment(required=True),
        "end": Moment(nullable=True),
        "group_by": Text(
            max_length=255, help_text="What is one session of the station; its first day if left out."
        ),
    }
    unique = {
        "uq_events_deployment_id_group_by": ("group_by", "The station has a session of that name already.")
    }
    filters = {"deployment": RowFilter("t.deployment_id", table="deployments")}
    orderings = {
        "start": Sort("t.start"),
        "end": Sort('t."end"', nullable=True),
        "captures_count": Sort("t.captures_count"),
        "deployment": Sort("(SELECT d.name FROM deployments d WHERE d.id = t.deployment_id)", nullable=True),
        **TIMES,
    }

    def item(self, row: Row, view: View) -> Any:
        return session_schema.session_in_list(row, view)

    def detail(self, row: Row, view: View) -> Any:
        return session_schema.session(row, view)

    def more(self, call: Call) -> dict[str, Any]:
        """Whose place among the session's captures is asked for: that of the first parameter which is given."""
        request = call.request
        values: dict[str, Any] = {f"at_{name}": None for name in _PLACES}
        found = {name: parse(request, name) for name, parse in _PLACES.items()}
        given = next((name for name in _PLACES if queries.last(request, name)), None)
        if given is not None:
            values[f"at_{given}"] = found[given]
        offset = queries.natural(queries.last(request, "offset"))
        return {**values, "names_place": given is not None, "page_offset": offset}

    def _openapi(self, operation: str) -> dict[str, Any]:
        declared = super()._openapi(operation)
        if operation != "get":
            return declared
        return {**declared, "parameters": [*declared.get("parameters", []), *_PLACE_PARAMETERS]}

    async def timeline(self, item_id: str, call: CallDep) -> Response:
        """How many captures and detections there are in each interval of a session, and which captures stand for it.

        Without a resolution intervals are of a minute, or of as many as keep a long session to 2,880 intervals.
        """
        minutes = RESOLUTION.read(call.request)
        wanted = await self.wanted(call)
        viewer, session_id = call.viewer, queries.row_id(item_id)
        async with call.platform.database.autocommit() as db:
            session = await session_rows.BRIEFLY.detail(db, viewer, session_id, wanted)
            if session is None:
                raise NotFound
            rows = await timeline_rows.read(db, session_id, minutes, viewer.zone)
        if not rows:
            raise NotFound
        if rows[0]["intervals"] > timeline_rows.MOST_INTERVALS:
            raise Invalid(
                {"resolution_minutes": [_TOO_FINE.format(**rows[0], most=timeline_rows.MOST_INTERVALS)]}
            )
        return json_response(session_schema.timeline(rows, session["project_id"], call.view))

    async def check(self, db: Connection, call: Call, values: dict[str, Any], row: Row | None) -> None:
        start = values.get("start", row["start"] if row else None)
        end = values.get("end", row["end"] if row else None)
        if end is not None and start is not None and end < start:
            raise Invalid({"end": ["A session cannot end before it starts."]})
        if row is None:
            values.setdefault("group_by", values["start"].date().isoformat())

    async def insert(self, db: Connection, call: Call, values: dict[str, Any]) -> int:
        session_id = await super().insert(db, call, values)
        await station_rows.refresh(db, [values["deployment_id"]])
        return session_id

    async def update(self, db: Connection, call: Call, row: Row, values: dict[str, Any]) -> None:
        await super().update(db, call, row, values)
        await station_rows.refresh(db, [row["deployment_id"], values.get("deployment_id")])

    async def remove(self, db: Connection, call: Call, row: Row) -> Then | None:
        await super().remove(db, call, row)
        await station_rows.refresh(db, [row["deployment_id"]])
        return None


class Captures(OfStation):
    """Captures: the images of camera traps."""

    path = "captures"
    one = "capture"
    many = "captures"
    noun = "sourceimage"
    listing = capture_rows.CAPTURES
    item_schema = schema.CaptureInList
    detail_schema = schema.Capture
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
        return schema.capture_in_list(row, view)

    def detail(self, row: Row, view: View) -> Any:
        return schema.capture(row, view)

    async def insert(self, db: Connection, call: Call, values: dict[str, Any]) -> int:
        uploader = require_somebody(call.user)
        capture_id = await super().insert(db, call, {**values, "uploaded_by_id": uploader.id})
        await self._count_again(db, values)
        return capture_id

    async def update(self, db: Connection, call: Call, row: Row, values: dict[str, Any]) -> None:
        await super().update(db, call, row, values)
        await self._count_again(db, row, values)

    async def remove(self, db: Connection, call: Call, row: Row) -> Then | None:
        await super().remove(db, call, row)
        await self._count_again(db, row)
        return None

    async def _count_again(self, db: Connection, *states: Any) -> None:
        await session_rows.refresh(db, [state.get("event_id") for state in states])
        await station_rows.refresh(db, [state.get("deployment_id") for state in states])

    async def star(self, item_id: str, call: CallDep) -> Response:
        """Put a capture into the project's set of starred ones, which is made when it is first needed."""
        return await self._in_starred(item_id, call, starred=True)

    async def unstar(self, item_id: str, call: CallDep) -> Response:
        """Take a capture out of the project's set of starred ones."""
        return await self._in_starred(item_id, call, starred=False)

    async def _in_starred(self, item_id: str, call: Call, *, starred: bool) -> Response:
        async def act(db: Connection, row: Row) -> Answer:
            set_id = await capture_rows.starred_set(db, row["project_id"])
            await capture_set_rows.lock(db, set_id)
            change = capture_set_rows.add if starred else capture_set_rows.remove
            total = await change(db, set_id, row["id"])
            return Answer({"collection": set_id, "total_images": total})

        return await self.act_on(call, item_id, "star_sourceimage", act)


sessions, captures = Sessions(), Captures()
_sessions = sessions.router()
_sessions.add_api_route(
    "/{item_id}/timeline/",
    sessions.timeline,
    methods=["GET"],
    operation_id="get_session_timeline",
    summary="Read the timeline of a session",
    responses={200: {"description": "Its intervals.", "model": session_schema.Timeline}},
    response_model=None,
    openapi_extra=queries.openapi([RESOLUTION]),
)
_captures = captures.router()
for _action, _summary in ((captures.star, "Star a capture"), (captures.unstar, "Unstar a capture")):
    _captures.add_api_route(
        f"/{{item_id}}/{_action.__name__}/",
        _action,
        methods=["POST"],
        operation_id=f"{_action.__name__}_capture",
        summary=_summary,
        responses={
            200: {
                "description": "The set of starred captures, and how many are in it.",
                "model": schema.CapturesInSet,
            }
        },
        response_model=None,
    )
resources = (sessions, captures)
routers = (_sessions, _captures)
