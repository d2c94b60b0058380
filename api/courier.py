"""Carries to Temporal what a request could not: starts that waited for it, stops that nobody answered.

The rows are the outbox, so nothing is lost with the process. Any number of couriers may run: what they do is
guarded in the database and in Temporal.
"""

import asyncio
import logging
import math
import time
from datetime import timedelta

from psycopg import Error as DatabaseError

from db import idempotency_rows, job_rows, run_rows, user_rows
from db.connections import Database
from db.job_rows import Waiting
from executions.launcher import Launcher, words
from jobs.errors import JobError
from jobs.runs import Closing
from jobs.status import Status

logger = logging.getLogger("nightjar.courier")

ROUND = timedelta(milliseconds=500)
START_AFTER = timedelta(seconds=2.5)
"""A little longer than the request itself tries."""
STOP_AFTER = timedelta(seconds=1.2)
"""A worker that lives closes a cancelled run in a fraction of this."""
MOST_AT_ONCE = 100
TIDY_EVERY = timedelta(minutes=10)


class Courier:
    """Goes its round until cancelled."""

    def __init__(self, database: Database, launcher: Launcher) -> None:
        self.database = database
        self.launcher = launcher
        self._tidied = -math.inf

    async def run(self) -> None:
        while True:
            try:
                await self.go_round()
                await self.tidy()
            except DatabaseError as error:
                logger.warning("the database cannot be reached: %s", words(error))
            except Exception:
                # a defect: the next round may fare better, and without a courier nothing asked for is carried
                logger.exception("a round failed")
            await asyncio.sleep(ROUND.total_seconds())

    async def go_round(self) -> None:
        """One round: one cheap query if there is nothing to carry."""
        async with self.database.single_statements() as db:
            waiting = await job_rows.waiting(
                db, start_after=START_AFTER, stop_after=STOP_AFTER, most=MOST_AT_ONCE
            )
        await asyncio.gather(*(self._carry(each) for each in waiting))

    async def tidy(self) -> None:
        """Remove, now and then, what is kept no longer: answers under Idempotency-Keys, logins that failed."""
        if time.monotonic() - self._tidied < TIDY_EVERY.total_seconds():
            return
        self._tidied = time.monotonic()
        async with self.database.transaction() as db:
            await idempotency_rows.forget_old(db)
            await user_rows.forget_old_failures(db)

    async def _carry(self, waiting: Waiting) -> None:
        if waiting.status is Status.PENDING:
            if await self.launcher.start(waiting.launch, insist=True):
                async with self.database.transaction() as db:
                    await job_rows.mark_launched(db, waiting.launch.job_id, waiting.launch.run)
        else:
            await self._stop(waiting)

    async def _stop(self, waiting: Waiting) -> None:
        """Close a run that no worker closes: it is fenced, so whoever still works for it writes nothing more."""
        job_id, run = waiting.launch.job_id, waiting.launch.run
        try:
            async with self.database.transaction() as db:
                await run_rows.close(db, Closing(job_id, run, Status.REVOKED))
        except JobError as error:
            logger.info("job %s needs no closing: %s", job_id, error)
            return
        await self.launcher.terminate(waiting.launch.workflow, "Cancelled; no worker closed the run")
