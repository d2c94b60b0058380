"""Compares runs that are under way with what Temporal says of them, and makes the rows agree."""

import asyncio
import logging

from psycopg import InterfaceError, OperationalError
from temporalio.client import Client
from temporalio.service import RPCError

from db import sweep_rows
from db.connections import Database
from db.job_rows import PendingDelivery
from dispatch.delivery import Delivery
from jobs.status import Status
from temporal.endings import how_it_ended
from temporal.executions import find
from temporal.launcher import SILENT, Launcher
from workflows.sweep import SweepReport

logger = logging.getLogger("nightjar.recovery")

MAX_RUNS = 500
"""Runs that one reconciliation looks at; the next goes on after them."""
MAX_CONCURRENT = 20
"""Runs that Temporal is asked about at once."""
FORGOTTEN = "Temporal knows nothing of its workflow. What was done is kept; a retry starts it again."


class Recovery:
    """Looks after runs that ought to be under way and of which nothing was heard."""

    def __init__(self, database: Database, temporal: Client, launcher: Launcher) -> None:
        self.database = database
        self.temporal = temporal
        self.delivery = Delivery(database, launcher)

    async def reconcile(self, after: int) -> SweepReport:
        """Look at the next runs after that job; one query if there are none.

        Raises what concerns all runs: that Temporal, or the database, is out of reach.
        """
        async with self.database.autocommit() as db:
            runs = await sweep_rows.under_way(db, after=after, most=MAX_RUNS)
        done = SweepReport(looked_at=len(runs))
        turns = asyncio.Semaphore(MAX_CONCURRENT)
        try:
            async with asyncio.TaskGroup() as group:
                for run in runs:
                    group.create_task(self._reconcile(run, turns, done))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        done.after = runs[-1].launch.job_id if len(runs) == MAX_RUNS else 0
        return done

    async def _reconcile(self, run: PendingDelivery, turns: asyncio.Semaphore, done: SweepReport) -> None:
        """Look at one run. What is odd about it is logged, and keeps no other from being looked at."""
        async with turns:
            try:
                await self._compare(run, done)
            except Exception as error:
                if _concerns_all(error):
                    raise
                logger.exception("job %s cannot be looked at", run.launch.job_id)
                done.failed += 1

    async def _compare(self, run: PendingDelivery, done: SweepReport) -> None:
        launch = run.launch
        if run.status is Status.CANCELING:
            # asked for long ago: whoever should have closed it is gone
            done.ended += await self.delivery.revoke(launch, "Cancelled; nobody closed the run")
            return
        found = await find(self.temporal, launch.workflow)
        if found is None and run.status is Status.PENDING:
            done.started += await self.delivery.start(launch)
        elif found is None:
            done.ended += await self.delivery.close(launch, Status.FAILURE, remark=FORGOTTEN, unclaimed=True)
        elif found.is_open:
            async with self.database.transaction() as db:
                await sweep_rows.take_over(db, launch.job_id, launch.run, found.run_id)
        else:
            status, words = await how_it_ended(self.temporal, found)
            done.ended += await self.delivery.close(launch, status, remark=words, unclaimed=True)


def _concerns_all(error: Exception) -> bool:
    """Whether no other run would fare better: Temporal or the database is out of reach."""
    if isinstance(error, RPCError):
        return error.status in SILENT
    return isinstance(error, OperationalError | InterfaceError | ConnectionError | TimeoutError)
