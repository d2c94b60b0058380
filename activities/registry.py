"""Every activity there is."""

from collections.abc import Callable
from typing import Any

from activities import (
    data_storage_sync,
    measure_captures,
    populate_captures_collection,
    regroup_events,
    run_records,
    sweep,
)
from activities.resources import Resources


def activities(resources: Resources) -> list[Callable[..., Any]]:
    """All activities, bound to what they work with."""
    return [
        *run_records.activities(resources),
        *sweep.activities(resources),
        *data_storage_sync.activities(resources),
        *measure_captures.activities(resources),
        *populate_captures_collection.activities(resources),
        *regroup_events.activities(resources),
    ]
