"""How sessions are named for people (domain 6: event_name)."""

from datetime import datetime, timedelta


def date_label(start: datetime, end: datetime | None) -> str:
    """`Jun 3-4 2024`; one date if it ends on the same day."""
    if end is None or end.date() == start.date():
        return f"{start:%b} {start.day} {start.year}"
    if (end.year, end.month) == (start.year, start.month):
        return f"{start:%b} {start.day}-{end.day} {start.year}"
    if end.year == start.year:
        return f"{start:%b} {start.day} - {end:%b} {end.day} {start.year}"
    return f"{start:%b} {start.day} {start.year} - {end:%b} {end.day} {end.year}"


def name(start: datetime, end: datetime | None) -> str:
    """`Monday, Jun 3-4 2024`."""
    return f"{start:%A}, {date_label(start, end)}"


def duration_label(duration: timedelta | None) -> str:
    """`7 hours 35 min`; empty for none."""
    minutes = int(duration.total_seconds()) // 60 if duration else 0
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} hour{'s' * (hours != 1)}"] * (hours > 0) + [f"{minutes} min"] * (minutes > 0)
    return " ".join(parts)
