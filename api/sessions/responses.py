"""Sessions, as lists and pages of them show them, and their timelines (domain 8)."""

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired

from typing_extensions import TypedDict

from api.auth import permissions
from api.crud.values import Day, LocalTime, Permissions, Time
from api.crud.view import View
from api.related import ExampleCapture, StationLink, Thumbnails, example_captures, station_link
from db.connections import Row
from monitoring import plots, sessions


class _Shared(TypedDict):
    id: int
    name: str
    details: str
    deployment: StationLink
    start: LocalTime
    end: LocalTime | None
    day: Day
    date_label: str
    duration: str | None
    duration_label: str
    captures_count: int
    detections_count: int
    occurrences_count: int


class SessionInList(_Shared):
    taxa_count: int
    captures: str
    example_captures: list[ExampleCapture]
    created_at: Time
    updated_at: Time
    user_permissions: Permissions


class DetectionStatistics(TypedDict):
    """The most and the fewest detections of a capture, marks that nothing was found among them; null without any."""

    detections_max_count: int | None
    detections_min_count: int | None


class FirstCapture(TypedDict):
    id: int
    details: str
    url: str | None
    width: int | None
    height: int | None
    timestamp: LocalTime | None
    detections_count: int
    detections: list[Any]
    thumbnails: Thumbnails | None
    user_permissions: Permissions


class PlotData(TypedDict):
    x: list[Any]
    y: list[Any]
    ticktext: NotRequired[list[str]]


class Plot(TypedDict):
    title: str
    data: PlotData
    type: str
    orientation: NotRequired[str]


class Session(_Shared):
    stats: DetectionStatistics
    taxa_count: int
    captures: str
    first_capture: FirstCapture | None
    summary_data: list[Plot]
    capture_page_offset: int | None
    created_at: Time
    updated_at: Time
    user_permissions: Permissions


def session_in_list(row: Row, view: View) -> SessionInList:
    return {
        **_shared(row, view),
        "taxa_count": 0,
        "captures": view.links.listing("captures", event=row["id"]),
        "example_captures": example_captures(row["captures"], view),
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "user_permissions": permissions.of(view.user, "event", row["project_id"]),
    }


def session(row: Row, view: View) -> Session:
    offset = row["page_offset"]
    page = {"offset": offset} if offset else {}
    return {
        **_shared(row, view),
        "stats": {"detections_max_count": row["most"], "detections_min_count": row["fewest"]},
        "taxa_count": 0,
        "captures": view.links.listing("captures", event=row["id"], ordering="timestamp", **page),
        "first_capture": _first_capture(row, view),
        "summary_data": [_detections_per_hour(row), _top_species()],
        "capture_page_offset": offset,
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "user_permissions": permissions.of(view.user, "event", row["project_id"]),
    }


def _shared(row: Row, view: View) -> _Shared:
    start, end = row["start"], row["end"]
    duration = None if end is None else end - start
    return {
        "id": row["id"],
        "name": sessions.name(start, end),
        "details": view.links.to("events", row["id"]),
        "deployment": station_link(row, view),
        "start": start,
        "end": end,
        "day": start.date(),
        "date_label": sessions.date_label(start, end),
        "duration": None if duration is None else str(duration.total_seconds()),
        "duration_label": sessions.duration_label(duration),
        "captures_count": row["captures_count"],
        "detections_count": row["detections"],
        "occurrences_count": 0,
    }


def _first_capture(row: Row, view: View) -> FirstCapture | None:
    for example in example_captures(row["captures"], view):
        return {
            "id": example["id"],
            "details": example["details"],
            "url": example["url"],
            "width": example["width"],
            "height": example["height"],
            "timestamp": example["timestamp"],
            "detections_count": row["first_detections"],
            # pages read them of the capture itself
            "detections": [],
            "thumbnails": example["thumbnails"],
            "user_permissions": example["user_permissions"],
        }
    return None


def _detections_per_hour(row: Row) -> Plot:
    labels, counts = plots.by_night(dict(row["detections_by_hour"] or []))
    ticks = [labels[0], labels[-1]] if labels else []
    return {
        "title": "Detections per hour",
        "data": {"x": labels, "y": counts, "ticktext": ticks},
        "type": "bar",
    }


def _top_species() -> Plot:
    """Without any, as long as nothing is determined."""
    return {"title": "Top species", "data": {"x": [], "y": []}, "type": "bar", "orientation": "h"}


# timelines ----------------------------------------------------------------------------------------------------


class CaptureOfInterval(TypedDict):
    id: int
    details: str
    user_permissions: Permissions


class Interval(TypedDict):
    """A stretch of a session: its end is in it, its beginning in the one before."""

    start: LocalTime
    end: LocalTime
    first_capture: CaptureOfInterval | None
    top_capture: CaptureOfInterval | None
    captures_count: int
    detections_count: int
    detections_avg: int
    was_processed: bool


class TimelineMeta(TypedDict):
    total_intervals: int
    resolution_minutes: int
    max_detections: int
    min_detections: int
    total_detections: int
    timeline_start: LocalTime
    timeline_end: LocalTime


class Timeline(TypedDict):
    data: list[Interval]
    meta: TimelineMeta


def timeline(rows: Sequence[Row], project_id: int, view: View) -> Timeline:
    """`rows` are those of db.timeline_rows, at least one."""
    first = rows[0]
    held = permissions.of_capture(view.user, project_id)

    def link(capture_id: int | None) -> CaptureOfInterval | None:
        if capture_id is None:
            return None
        details = view.links.to("captures", capture_id)
        return {"id": capture_id, "details": details, "user_permissions": held}

    return {
        "data": [_interval(row, link(row["first_id"]), link(row["top_id"])) for row in rows],
        "meta": {
            "total_intervals": len(rows),
            "resolution_minutes": first["minutes"],
            "max_detections": first["max_detections"],
            "min_detections": first["min_detections"],
            "total_detections": first["total_detections"],
            "timeline_start": first["begins"],
            "timeline_end": first["ends"],
        },
    }


def _interval(
    row: Mapping[str, Any], first: CaptureOfInterval | None, top: CaptureOfInterval | None
) -> Interval:
    return {
        "start": row["from"],
        "end": row["until"],
        "first_capture": first,
        "top_capture": top,
        "captures_count": row["captures"],
        "detections_count": row["detections"],
        "detections_avg": row["usual"],
        "was_processed": row["processed"],
    }
