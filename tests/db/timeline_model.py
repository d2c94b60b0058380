"""The rules of a session's timeline once more, in plain Python, for the tests to hold the query against."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Capture:
    """What the rules look at."""

    id: int
    timestamp: datetime | None
    boxes: int
    """Real detections."""
    marks: int = 0
    """Marks that nothing was found."""


@dataclass(frozen=True)
class Interval:
    start: datetime
    end: datetime
    captures: int
    detections: int
    usual: int
    """The commonest number of detections of a capture that has some; of several the one met first; 0 for none."""
    processed: bool
    first_id: int | None
    top_id: int | None


def bounds(start: datetime, end: datetime, captures: Sequence[Capture]) -> tuple[datetime, datetime]:
    """From when to when a timeline goes."""
    times = [capture.timestamp for capture in captures if capture.timestamp is not None]
    begins = max(start, min(times, default=start))
    return begins, max(begins, min(end, max(times, default=end)))


def timeline(start: datetime, end: datetime, captures: Sequence[Capture], minutes: int) -> list[Interval]:
    """Interval by interval, each capture in the first that does not end before it."""
    begins, ends = bounds(start, end, captures)
    left = sorted(
        ((capture.timestamp, capture.id, capture) for capture in captures if capture.timestamp is not None),
        key=lambda each: each[:2],
    )
    found = []
    at = begins
    while True:
        until = min(at + timedelta(minutes=minutes), ends)
        here = [capture for time, _, capture in left if time <= until]
        left = left[len(here) :]
        found.append(_interval(at, until, here))
        if until == ends:
            return found
        at = until


def _interval(start: datetime, end: datetime, captures: Sequence[Capture]) -> Interval:
    """`captures` are in the order of time."""
    top = None
    for capture in captures:
        if top is None or capture.boxes >= top.boxes:
            top = capture
    some = [capture.boxes for capture in captures if capture.boxes]
    return Interval(
        start=start,
        end=end,
        captures=len(captures),
        detections=sum(capture.boxes for capture in captures),
        usual=statistics.mode(some) if some else 0,
        processed=any(capture.boxes or capture.marks for capture in captures),
        first_id=captures[0].id if captures else None,
        top_id=None if top is None else top.id,
    )
