"""Carries to Temporal what a request could not: starts and pauses that waited for it, stops that nobody answered.

The rows are the outbox, so nothing is lost with the process. Any number of couriers may run: what they do is
guarded in the database and in Temporal.
"""

import asyncio
import logging
import math
import time
from contextlib import suppress
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
START_AFTER = timedelta(seconds=1.5)
"""A little longer than the request itself tries."""
STOP_AFTER = timedelta(milliseconds=500)
"""A worker that lives closes a cancelled run in a fraction of this."""
MOST_AT_ONCE = 100
TIDY_EVERY = timedelta(minutes=10)


class Courier:
    """Goes its round until cancelled."""

    def __init__(self, database: Database, launcher: Launcher) -> None:
        self.database = database
        self.launcher = launcher
        self._tidied = -math.inf
        self._next_round = math.inf
        self._sooner = asyncio.Event()

    def come_after(self, delay: timedelta) -> None:
        """Go a round after that time, if none is due before."""
        self._next_round = min(self._next_round, time.monotonic() + delay.total_seconds())
        self._sooner.set()

    async def run(self) -> None:
        while True:
            self._next_round = time.monotonic() + ROUND.total_seconds()
            try:
                await self.go_round()
                await self.tidy()
            except DatabaseError as error:
                logger.warning("the database cannot be reached: %s", words(error))
            except Exception:
                # a defect: the next round may fare better, and without a courier nothing asked for is carried
                logger.exception("a round failed")
            await self._rest()

    async def _rest(self) -> None:
        """Until the next round is due, which may be sooner than it was."""
        while (rest := self._next_round - time.monotonic()) > 0:
            self._sooner.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(rest):
                    await self._sooner.wait()

    async def go_round(self) -> None:
        """One round: one cheap query if there is nothing to carry."""
        async with self.database.single_statements() as db:
            waiting = await job_rows.waiting(
                db, start_after=START_AFTER, stop_after=STOP_AFTER, most=MOST_AT_ONCE
            )
        carried = await asyncio.gather(*(self._carry(each) for each in waiting), return_exceptions=True)
        for each, outcome in zip(waiting, carried, strict=True):
            if isinstance(outcome, DatabaseError):
                raise outcome
            if isinstance(outcome, Exception):
                # what is odd about one run is in no other's way
                logger.error(
                    "job %s cannot be carried over: %s", each.launch.job_id, words(outcome), exc_info=outcome
                )

    async def tidy(self) -> None:
        """Remove, now and then, what is kept no longer: answers under Idempotency-Keys, logins that failed."""
        if time.monotonic() - self._tidied < TIDY_EVERY.total_seconds():
            return
        self._tidied = time.monotonic()
        async with self.database.transaction() as db:
            await idempotency_rows.forget_old(db)
            await user_rows.forget_old_failures(db)

    async def _carry(self, waiting: Waiting) -> None:
        launch = waiting.launch
        if waiting.status is Status.CANCELING:
            await self._stop(waiting)
        elif waiting.status is Status.PENDING:
            if await self.launcher.start(launch, insist=True):
                async with self.database.transaction() as db:
                    await job_rows.mark_launched(db, launch.job_id, launch.run)
        elif await self.launcher.look(launch.workflow):
            async with self.database.transaction() as db:
                await job_rows.mark_pause_told(db, launch.job_id, waiting.asked_at)

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
