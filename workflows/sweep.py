"""The sweep: a small workflow that a Schedule starts, and that mends what nobody else noticed.

It is no job: it has no row, and its result says what it found.
"""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

NAME = "sweep"
RECONCILE = "mend_runs"
"""Never renamed: it stands in histories."""


@dataclass
class SweepReport:
    """What one sweep did."""

    looked_at: int = 0
    """Runs that Temporal was asked about."""
    started: int = 0
    """Runs that were asked for and had no workflow."""
    ended: int = 0
    """Runs whose workflow had ended without a word."""
    failed: int = 0
    """Runs that could not be looked at; the worker's log says why."""
    after: int = 0
    """Id of the job after which the next sweep goes on; 0 for the first one."""


@workflow.defn(name=NAME)
class Sweep:
    @workflow.run
    async def run(self) -> SweepReport:
        last = workflow.get_last_completion_result(SweepReport)
        # a local activity: it has its own slots, and never waits behind work of hours
        report: SweepReport = await workflow.execute_local_activity(
            RECONCILE,
            0 if last is None else last.after,
            result_type=SweepReport,
            start_to_close_timeout=timedelta(seconds=60),
            retry_policy=RetryPolicy(maximum_attempts=2),
        )
        return report
