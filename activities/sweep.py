"""Compares runs that are under way with what Temporal says of them, and mends what does not agree."""

import asyncio
from collections.abc import Callable
from typing import Any

from temporalio import activity
from temporalio.client import Client
from temporalio.service import RPCError

from activities.reporting import OUT_OF_REACH, for_temporal
from activities.resources import Resources
from db import job_rows, run_rows, sweep_rows
from db.connections import Database
from db.job_rows import Launch, Waiting
from executions.ending import how_it_ended
from executions.finding import find
from executions.launcher import SILENT, Launcher
from jobs.errors import RunRefused
from jobs.runs import Closing
from jobs.stages import JOBS_QUEUE
from jobs.status import Status
from workflows.sweep import MEND, Swept

MOST = 500
"""Runs that one sweep looks at; the next goes on after them."""
AT_ONCE = 20
FORGOTTEN = "Temporal knows nothing of its workflow. What was done is kept; a retry starts it again."


class Mending:
    """One sweep over runs that ought to be under way."""

    def __init__(self, database: Database, temporal: Client, launcher: Launcher) -> None:
        self.database = database
        self.temporal = temporal
        self.launcher = launcher
        self.swept = Swept()
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def all(self, after: int) -> Swept:
        """Look at the next runs after that job; one query if there are none."""
        async with self.database.single_statements() as db:
            runs = await sweep_rows.under_way(db, after=after, most=MOST)
        try:
            async with asyncio.TaskGroup() as group:
                for run in runs:
                    group.create_task(self._mend(run))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        self.swept.looked_at = len(runs)
        self.swept.after = runs[-1].launch.job_id if len(runs) == MOST else 0
        return self.swept

    async def _mend(self, run: Waiting) -> None:
        """Look at one run. What is odd about it is logged, and keeps the sweep from no other run."""
        async with self._turns:
            try:
                await self._look_at(run)
            except Exception as error:
                if _concerns_all(error):
                    raise
                activity.logger.exception("the sweep cannot look at job %s", run.launch.job_id)
                self.swept.failed += 1

    async def _look_at(self, run: Waiting) -> None:
        if run.status is Status.CANCELING:
            # asked for long ago: whoever should have closed it is gone
            await self._end(run.launch, Status.REVOKED, None)
            await self.launcher.terminate(run.launch.workflow, "Cancelled; nobody closed the run")
        else:
            await self._compare(run)

    async def _compare(self, run: Waiting) -> None:
        launch = run.launch
        found = await find(self.temporal, launch.workflow)
        if found is None and run.status is Status.PENDING:
            await self._start(launch)
        elif found is None:
            await self._end(launch, Status.FAILURE, FORGOTTEN)
        elif found.is_open:
            async with self.database.transaction() as db:
                await sweep_rows.take_over(db, launch.job_id, launch.run, found.run_id)
        else:
            status, words = await how_it_ended(self.temporal, found)
            await self._end(launch, status, words)

    async def _start(self, launch: Launch) -> None:
        if await self.launcher.start(launch, insist=True):
            async with self.database.transaction() as db:
                await job_rows.mark_launched(db, launch.job_id, launch.run)
            self.swept.started += 1

    async def _end(self, launch: Launch, status: Status, words: str | None) -> None:
        try:
            async with self.database.transaction() as db:
                await run_rows.close(
                    db, Closing(launch.job_id, launch.run, status, words), unclaimed=True, remark=words
                )
        except RunRefused:
            return  # deleted, or run again meanwhile
        self.swept.ended += 1


def _concerns_all(error: Exception) -> bool:
    """Whether no other run would fare better: Temporal or the database is out of reach."""
    if isinstance(error, RPCError):
        return error.status in SILENT
    return isinstance(error, OUT_OF_REACH)


class Sweep:
    """The sweep as Temporal knows it."""

    def __init__(self, resources: Resources) -> None:
        self.database = resources.database

    @activity.defn(name=MEND)
    async def mend_runs(self, after: int) -> Swept:
        temporal = activity.client()
        launcher = Launcher(temporal, activity.info().task_queue.removesuffix(f"-{JOBS_QUEUE}"))
        with for_temporal():
            return await Mending(self.database, temporal, launcher).all(after)


def activities(resources: Resources) -> list[Callable[..., Any]]:
    return [Sweep(resources).mend_runs]
