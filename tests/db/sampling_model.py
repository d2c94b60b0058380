"""The rules of the sampling methods once more, in plain Python, for the tests to hold the queries against."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any

Arguments = Mapping[str, Any]
Ids = set[int]


@dataclass(frozen=True)
class Capture:
    """What the rules look at."""

    id: int
    ours: bool
    """Whether it is of the project of the set."""
    station: int | None
    site: int | None
    """Of its station."""
    session: int | None
    session_ours: bool
    """Whether its session is of the project of the set."""
    timestamp: datetime | None
    size: int | None
    found: bool
    """Whether there is a real detection on it."""


def by_time(capture: Capture) -> tuple[datetime, int]:
    assert capture.timestamp is not None
    return capture.timestamp, capture.id


def _within(value: int | None, start: int | None, end: int | None) -> bool:
    """Both ends included; an undated capture is within nothing."""
    if start is None and end is None:
        return True
    if value is None:
        return False
    return (start is None or value >= start) and (end is None or value <= end)


def _in_hours(hour: int | None, start: int | None, end: int | None) -> bool:
    if start is not None and end is not None and start >= end:
        return hour is not None and (hour >= start or hour <= end)
    return _within(hour, start, end)


def _listed(value: int | None, wanted: Sequence[int] | None) -> bool:
    return wanted is None or value in wanted


def _in_dates(capture: Capture, start: str | None, end: str | None) -> bool:
    if start is None and end is None:
        return True
    if capture.timestamp is None:
        return False
    day = capture.timestamp.date().isoformat()
    return (start is None or day >= start) and (end is None or day <= end)


def passes(capture: Capture, arguments: Arguments) -> bool:
    """Whether a capture is of the project and passes the common filters."""
    at = capture.timestamp
    return (
        capture.ours
        and _in_hours(None if at is None else at.hour, arguments["hour_start"], arguments["hour_end"])
        and _within(None if at is None else at.month, arguments["month_start"], arguments["month_end"])
        and _in_dates(capture, arguments["date_start"], arguments["date_end"])
        and _listed(capture.station, arguments["deployment_ids"])
        and _listed(capture.site, arguments["research_site_ids"])
        and _listed(capture.session, arguments["event_ids"])
    )


def walk(captures: Iterable[Capture], minutes: float) -> list[Capture]:
    """The first by time, then each at least that many minutes after the last one kept."""
    kept: list[Capture] = []
    for capture in sorted((each for each in captures if each.timestamp is not None), key=by_time):
        if not kept or by_time(capture)[0] - by_time(kept[-1])[0] >= timedelta(minutes=minutes):
            kept.append(capture)
    return kept


def first_by_time(captures: Iterable[Capture], most: int | None) -> Ids:
    """The first so many by time, undated ones last; all without a number."""
    order = sorted(captures, key=lambda each: (each.timestamp is None, each.timestamp, each.id))
    return {capture.id for capture in order[:most]}


def full(captures: Sequence[Capture], arguments: Arguments) -> Ids:
    return first_by_time((each for each in captures if passes(each, arguments)), arguments["max_num"])


def interval(captures: Sequence[Capture], arguments: Arguments) -> Ids:
    stations = defaultdict(list)
    for capture in captures:
        wanted = arguments["deployment_ids"] is not None or arguments["deployment_id"] in (
            None,
            capture.station,
        )
        left_out = capture.session is not None and capture.session in (arguments["exclude_events"] or [])
        if passes(capture, arguments) and capture.station is not None and wanted and not left_out:
            stations[capture.station].append(capture)
    kept = [capture for each in stations.values() for capture in walk(each, arguments["minute_interval"])]
    return first_by_time(kept, arguments["max_num"])


def sessions(captures: Sequence[Capture]) -> list[list[Capture]]:
    """The captures of the project in each of its sessions."""
    found = defaultdict(list)
    for capture in captures:
        if capture.ours and capture.session is not None and capture.session_ours:
            found[capture.session].append(capture)
    return list(found.values())


def in_turns(orders: Iterable[Sequence[Capture]], most: int | None) -> Ids:
    """The first of each session by time, then the second of each, until there are so many."""
    chosen: list[Capture] = []
    for turn in zip_longest(*orders):
        here = (capture for capture in turn if capture is not None)
        chosen += sorted(here, key=lambda each: (each.timestamp is None, each.timestamp, each.id))
    return {capture.id for capture in chosen[:most]}


def greatest_file_size_from_each_event(captures: Sequence[Capture], arguments: Arguments) -> Ids:
    def key(capture: Capture) -> Any:
        return capture.size is None, -(capture.size or 0), capture.id

    orders = [sorted(session, key=key)[: arguments["num_each"]] for session in sessions(captures)]
    return in_turns(orders, arguments["max_num"])


def newest(session: Sequence[Capture]) -> Capture:
    """The last by time; of several the one with the lowest id; an undated one only if all are."""
    dated = [capture.timestamp for capture in session if capture.timestamp is not None]
    latest = max(dated) if dated else None
    return min((each for each in session if each.timestamp == latest), key=lambda each: each.id)


def detections_only(captures: Sequence[Capture], arguments: Arguments) -> Ids:
    return first_by_time((each for each in captures if each.ours and each.found), arguments["max_num"])


def manual(captures: Sequence[Capture], arguments: Arguments) -> Ids:
    ours = {capture.id for capture in captures if capture.ours}
    listed = [number for number in dict.fromkeys(arguments["image_ids"]) if number in ours]
    return set(listed[: arguments["max_num"]])


def common_combined(captures: Sequence[Capture], arguments: Arguments) -> Ids:
    """Without a lot: by interval, or not shuffled, or everything."""
    chosen = [capture for capture in captures if passes(capture, arguments)]
    if arguments["minute_interval"] is not None:
        chosen = walk(chosen, arguments["minute_interval"])
    else:
        assert arguments["max_num"] is None or not arguments["shuffle"]
        chosen.sort(key=_usual_order)
    return {capture.id for capture in chosen[: arguments["max_num"]]}


def _usual_order(capture: Capture) -> tuple[Any, ...]:
    """By station, session, time and id, what is unknown last."""
    columns = (capture.station, capture.session, capture.timestamp)
    order: list[Any] = []
    for column in columns:
        order += [column is None, 0 if column is None else column]
    return (*order, capture.id)
