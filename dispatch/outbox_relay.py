"""Delivers to Temporal what a request could not: starts and pauses that waited for it, stops that nobody answered.

The rows are the outbox, so nothing is lost with the process. Any number of relays may run: what they do is guarded in
the database and in Temporal.
"""

import asyncio
import logging
import math
import time
from contextlib import suppress
from datetime import timedelta

from psycopg import Error as DatabaseError

from db import idempotency_rows, job_rows, user_rows
from db.connections import Database
from db.job_rows import PendingDelivery
from dispatch.delivery import Delivery
from jobs.status import Status
from temporal.launcher import Launcher, words

logger = logging.getLogger("nightjar.outbox")

POLL_EVERY = timedelta(milliseconds=500)
START_AFTER = timedelta(seconds=1.5)
"""A little longer than the request itself tries."""
STOP_AFTER = timedelta(milliseconds=500)
"""A worker that lives closes a cancelled run in a fraction of this."""
MAX_PER_POLL = 100
PURGE_EVERY = timedelta(minutes=10)


class OutboxRelay:
    """Polls until cancelled."""

    def __init__(self, database: Database, launcher: Launcher) -> None:
        self.database = database
        self.delivery = Delivery(database, launcher)
        self._purged = -math.inf
        self._next_poll = math.inf
        self._sooner = asyncio.Event()

    def wake_after(self, delay: timedelta) -> None:
        """Poll after that time, if that is sooner than the next poll."""
        self._next_poll = min(self._next_poll, time.monotonic() + delay.total_seconds())
        self._sooner.set()

    async def run(self) -> None:
        while True:
            self._next_poll = time.monotonic() + POLL_EVERY.total_seconds()
            try:
                await self.poll_once()
                await self.purge_expired()
            except DatabaseError as error:
                logger.warning("the database cannot be reached: %s", words(error))
            except Exception:
                # a defect: the next poll may fare better, and without a relay nothing that waits is delivered
                logger.exception("a poll failed")
            await self._rest()

    async def _rest(self) -> None:
        """Until the next poll is due, which may be sooner than it was."""
        while (rest := self._next_poll - time.monotonic()) > 0:
            self._sooner.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(rest):
                    await self._sooner.wait()

    async def poll_once(self) -> None:
        """Deliver what waits; one cheap query if nothing does."""
        async with self.database.autocommit() as db:
            pending = await job_rows.waiting(
                db, start_after=START_AFTER, stop_after=STOP_AFTER, most=MAX_PER_POLL
            )
        delivered = await asyncio.gather(*(self._deliver(each) for each in pending), return_exceptions=True)
        for each, outcome in zip(pending, delivered, strict=True):
            if isinstance(outcome, DatabaseError):
                raise outcome
            if isinstance(outcome, Exception):
                # what is odd about one run is in no other's way
                logger.error(
                    "job %s cannot be delivered: %s", each.launch.job_id, words(outcome), exc_info=outcome
                )

    async def purge_expired(self) -> None:
        """Remove, now and then, what is kept no longer: answers under Idempotency-Keys, logins that failed."""
        if time.monotonic() - self._purged < PURGE_EVERY.total_seconds():
            return
        self._purged = time.monotonic()
        async with self.database.transaction() as db:
            await idempotency_rows.forget_old(db)
            await user_rows.forget_old_failures(db)

    async def _deliver(self, pending: PendingDelivery) -> None:
        launch = pending.launch
        if pending.status is Status.CANCELING:
            # fenced from then on: whoever still works for it writes nothing more
            await self.delivery.revoke(launch, "Cancelled; no worker closed the run")
        elif pending.status is Status.PENDING:
            await self.delivery.start(launch)
        elif await self.delivery.launcher.state_changed(launch.workflow):
            async with self.database.transaction() as db:
                await job_rows.mark_pause_told(db, launch.job_id, pending.asked_at)
