"""The Schedule that starts the sweep: made by whoever starts first, the same for all."""

import logging
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)

from jobs.stages import JOBS_QUEUE
from workflows.sweep import NAME

logger = logging.getLogger("nightjar.schedule")


def schedule_id(task_queue: str) -> str:
    return f"{task_queue}-{NAME}"


def _schedule(task_queue: str, every: timedelta) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(
            NAME,
            id=schedule_id(task_queue),
            task_queue=f"{task_queue}-{JOBS_QUEUE}",
            execution_timeout=timedelta(minutes=10),
            static_summary="Sweep: mends runs whose workflow is gone",
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        # what was missed while Temporal was away need not be made up for: one sweep sees everything
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(seconds=10)),
    )


async def ensure(temporal: Client, task_queue: str, every: timedelta) -> None:
    """Make the Schedule, or change its interval; one that an operator has paused stays paused."""
    wanted = _schedule(task_queue, every)
    try:
        await temporal.create_schedule(schedule_id(task_queue), wanted)
        return
    except ScheduleAlreadyRunningError:
        pass

    def change(found: ScheduleUpdateInput) -> ScheduleUpdate | None:
        there = found.description.schedule
        if [each.every for each in there.spec.intervals] == [every]:
            return None
        there.spec = wanted.spec
        return ScheduleUpdate(there)

    await temporal.get_schedule_handle(schedule_id(task_queue)).update(change)
