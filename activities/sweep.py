"""The sweep as Temporal knows it: one reconciliation."""

from collections.abc import Callable
from typing import Any

from temporalio import activity

from activities.failures import for_temporal
from activities.resources import Resources
from dispatch.recovery import Recovery
from jobs.stages import JOBS_QUEUE
from temporal.launcher import Launcher
from workflows.sweep import RECONCILE, SweepReport


class Sweep:
    """Carries out the one activity of the sweep."""

    def __init__(self, resources: Resources) -> None:
        self.database = resources.database

    @activity.defn(name=RECONCILE)
    async def reconcile(self, after: int) -> SweepReport:
        temporal = activity.client()
        launcher = Launcher(temporal, activity.info().task_queue.removesuffix(f"-{JOBS_QUEUE}"))
        with for_temporal():
            return await Recovery(self.database, temporal, launcher).reconcile(after)


def activities(resources: Resources) -> list[Callable[..., Any]]:
    return [Sweep(resources).reconcile]
