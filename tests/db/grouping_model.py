"""The rules of grouping in plain Python, slow and plain, as a model for the queries (domain 4.2)."""

from collections.abc import Iterable
from datetime import datetime, timedelta


def sessions(timestamps: Iterable[datetime], gap: timedelta) -> dict[str, list[datetime]]:
    """The distinct times of each session, by the date on which it begins."""
    groups: list[list[datetime]] = []
    for at in sorted(set(timestamps)):
        last = groups[-1] if groups else None
        if last is None or at - last[-1] >= gap or at - last[0] > timedelta(hours=24):
            groups.append([at])
        else:
            last.append(at)
    found: dict[str, list[datetime]] = {}
    for group in groups:
        found.setdefault(group[0].date().isoformat(), []).extend(group)
    return found
