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

MODULES = (
    data_storage_sync,
    measure_captures,
    populate_captures_collection,
    regroup_events,
    run_records,
    sweep,
)


def activities(resources: Resources) -> list[Callable[..., Any]]:
    """All activities, bound to what they work with."""
    return [each for module in MODULES for each in module.activities(resources)]
