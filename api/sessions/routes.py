"""Sessions and their timelines (domain 8)."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from fastapi import Request, Response

from api.crud import fields, filters
from api.crud.fields import Moment, Reference, Text
from api.crud.filters import TIMES, RowFilter, Sort
from api.crud.request_context import ContextDep, RequestContext
from api.crud.view import View
from api.http import queries
from api.http.errors import Invalid, NotFound
from api.http.responses import json_response
from api.sessions import responses
from api.stations.of_station import OfStation
from db import session_rows, station_rows, timeline_rows
from db.connections import Connection, Row
from dispatch.job_service import AfterCommit

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


class Sessions(OfStation):
    """Sessions: one night of one station."""

    path = "events"
    one = "session"
    many = "sessions"
    noun = "event"
    listing = session_rows.SESSIONS
    item_schema = responses.SessionInList
    detail_schema = responses.Session
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
        return responses.session_in_list(row, view)

    def detail(self, row: Row, view: View) -> Any:
        return responses.session(row, view)

    def more(self, context: RequestContext) -> dict[str, Any]:
        """Whose place among the session's captures is asked for: that of the first parameter which is given."""
        request = context.request
        values: dict[str, Any] = {f"at_{name}": None for name in _PLACES}
        found = {name: parse(request, name) for name, parse in _PLACES.items()}
        given = next((name for name in _PLACES if queries.last(request, name)), None)
        if given is not None:
            values[f"at_{given}"] = found[given]
        offset = queries.natural(queries.last(request, "offset"))
        return {**values, "names_place": given is not None, "page_offset": offset}

    def openapi(self, operation: str) -> dict[str, Any]:
        declared = super().openapi(operation)
        if operation != "get":
            return declared
        return {**declared, "parameters": [*declared.get("parameters", []), *_PLACE_PARAMETERS]}

    async def timeline(self, item_id: str, context: ContextDep) -> Response:
        """How many captures and detections there are in each interval of a session, and which captures stand for it.

        Without a resolution intervals are of a minute, or of as many as keep a long session to 2,880 intervals.
        """
        minutes = RESOLUTION.read(context.request)
        wanted = await self.wanted(context)
        viewer, session_id = context.viewer, queries.row_id(item_id)
        async with context.platform.database.autocommit() as db:
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
        return json_response(responses.timeline(rows, session["project_id"], context.view))

    async def check(
        self, db: Connection, context: RequestContext, values: dict[str, Any], row: Row | None
    ) -> None:
        start = values.get("start", row["start"] if row else None)
        end = values.get("end", row["end"] if row else None)
        if end is not None and start is not None and end < start:
            raise Invalid({"end": ["A session cannot end before it starts."]})
        if row is None:
            values.setdefault("group_by", values["start"].date().isoformat())

    async def insert(self, db: Connection, context: RequestContext, values: dict[str, Any]) -> int:
        session_id = await super().insert(db, context, values)
        await station_rows.refresh(db, [values["deployment_id"]])
        return session_id

    async def update(self, db: Connection, context: RequestContext, row: Row, values: dict[str, Any]) -> None:
        await super().update(db, context, row, values)
        await station_rows.refresh(db, [row["deployment_id"], values.get("deployment_id")])

    async def remove(self, db: Connection, context: RequestContext, row: Row) -> AfterCommit | None:
        await super().remove(db, context, row)
        await station_rows.refresh(db, [row["deployment_id"]])
        return None


sessions = Sessions()
_router = sessions.router()
_router.add_api_route(
    "/{item_id}/timeline/",
    sessions.timeline,
    methods=["GET"],
    operation_id="get_session_timeline",
    summary="Read the timeline of a session",
    responses={200: {"description": "Its intervals.", "model": responses.Timeline}},
    response_model=None,
    openapi_extra=queries.openapi([RESOLUTION]),
)
resources = (sessions,)
routers = (_router,)
