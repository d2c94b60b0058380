"""One way to be alone: of the jobs that would do the same to the same thing, one has its turn and the others wait.

Who waits takes no worker's place: its attempt fails with an error that is tried again soon.
"""

import random
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity

from activities.reporter import StageReporter
from db import turn_rows
from jobs.errors import BusyError

WAITING_FOR = "Waiting for job"
"""The figure of a stage that waits."""

FIRST_SECONDS_BETWEEN_LOOKS = 0.5
MAX_SECONDS_BETWEEN_LOOKS = 5.0
"""Who waits looks again after half a second at most, then after twice as long each time, up to this."""


@dataclass(frozen=True)
class Work:
    """Work on a thing that one job at a time does; two kinds of work on one thing do not wait for each other."""

    kind: str
    """What it is called in rows; never renamed."""
    doing: str
    """What the log says that the other job is doing, up to the name of the thing."""
    begins: str
    """What it says that this one does then."""
    busy: type[BusyError]
    """What an attempt fails with that finds another job at it."""


async def exclusive(report: StageReporter, work: Work, thing_id: int, name: object) -> None:
    """Have the stage be the only one that does this work to this thing, until the stage is over.

    Nothing has to be released: the turn is over when the stage or the run is, or while the job is paused. The row, the
    log and the figures say for which job a stage waits. A stage has one turn, and no limit of attempts
    (`Retrying.attempts`): looking again is one. What must hold even so for a job that is paused or cut off in the
    middle of an effect is kept by locks inside the effect.

    Raises the work's BusyError while another job is at it; RunPaused, RunEnded and AttemptSuperseded as any effect.
    """
    attempt = activity.info().attempt
    async with report.effect() as db:
        other = await turn_rows.take(
            db, report.job_id, report.run, report.stage.key, work.kind, thing_id, attempt
        )
        _tell(report, work, name, other)
    if other is not None:
        raise work.busy(other, name, again_after=_again_after(attempt))


def _tell(report: StageReporter, work: Work, name: object, other: int | None) -> None:
    """Say for which job this one waits, once, and that it does so no more."""
    waited_for = report.waits_for
    if other is not None and other != waited_for:
        report.log(f"Job {other} is {work.doing} {name}; waiting until it is done", "WARNING")
        report.set(WAITING_FOR, other)
    if other is None and waited_for is not None:
        report.log(f"Job {waited_for} is done; {work.begins} {name}")
        report.unset(WAITING_FOR)


def _again_after(attempt: int) -> timedelta:
    """When to look again: soon at first, since most work is short, and not all who wait at one moment."""
    longest = min(MAX_SECONDS_BETWEEN_LOOKS, FIRST_SECONDS_BETWEEN_LOOKS * 2 ** min(attempt - 1, 10))
    return timedelta(seconds=random.uniform(longest / 2, longest))
