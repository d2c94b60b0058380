"""How counts by hour are shown: in the order of a night."""

from collections.abc import Mapping

NOON = 12


def hour_label(hour: int) -> str:
    """`9:00 PM` for 21."""
    return f"{hour % NOON or NOON}:00 {'AM' if hour < NOON else 'PM'}"


def by_night(counts: Mapping[int, int]) -> tuple[list[str], list[int]]:
    """Labels of the hours that have a count, and the counts: from the first hour after noon on to noon."""
    hours = sorted(counts, key=lambda hour: (hour <= NOON, hour))
    return [hour_label(hour) for hour in hours], [counts[hour] for hour in hours]
