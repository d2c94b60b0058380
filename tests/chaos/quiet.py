"""Waiting until a system is quiet: as long as anything moves, and not by a clock that a slow machine cannot keep."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from psycopg import OperationalError

from tests.field import Field

logger = logging.getLogger("chaos.quiet")

BETWEEN_LOOKS = 1.0


@dataclass(frozen=True)
class Patience:
    """How long is waited, in seconds."""

    still: float = 120.0
    """Nothing has moved for so long: what is not over by then does not go on by itself. Longer than every pause of
    ours: between two tries of a stage (30 s), two sweeps (30 s), and until a lost worker is noticed."""
    longest: float = 900.0
    """Whatever still moves then has not become quiet in time."""


_MOVES = """
SELECT (SELECT count(*) FROM jobs) AS jobs,
       (SELECT sum(hashtextextended(j::text, 0)::numeric) FROM jobs j) AS states,
       (SELECT sum(hashtextextended(s::text, 0)::numeric) FROM job_stages s) AS stages,
       (SELECT max(id) FROM job_logs) AS lines,
       (SELECT count(*) FROM sync_sightings) AS sightings
"""
_WORKS = """
SELECT count(*) AS n FROM pg_stat_activity
WHERE starts_with(application_name, 'nightjar worker') AND clock_timestamp() - xact_start > interval '1 s'
"""
"""Transactions that have been open for a while: what a long statement does is seen when it is committed."""


class Movement:
    """Since when nothing has moved."""

    def __init__(self, field: Field) -> None:
        self._field = field
        self._seen: Any = None
        self._moved_at = time.monotonic()

    @property
    def still_for(self) -> float:
        """Seconds."""
        return time.monotonic() - self._moved_at

    def moved(self) -> None:
        """Somebody has seen something move."""
        self._moved_at = time.monotonic()

    async def look(self) -> None:
        try:
            seen = (await self._field.read(_MOVES))[0]
            works = (await self._field.read(_WORKS))[0]["n"]
        except OperationalError as error:
            # nothing can be said of it: the time begins again when there is something to be seen
            logger.debug("the database cannot be looked at: %s", error)
            self.moved()
            return
        if works or seen != self._seen:
            self._seen = seen
            self.moved()

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look every second while the block runs."""

        async def watch() -> None:
            while True:
                await self.look()
                await asyncio.sleep(BETWEEN_LOOKS)

        task = asyncio.create_task(watch())
        try:
            yield
        finally:
            task.cancel()
            [end] = await asyncio.gather(task, return_exceptions=True)
        if isinstance(end, Exception):
            raise end


async def until_over(
    over: Callable[[], Awaitable[bool]], movement: Movement, patience: Patience, between_looks: float
) -> bool:
    """Wait until it is over; False if something still moves when the longest time is up.

    Ends too where nothing has moved for long enough: then it is as quiet as it will be, and this gives True.
    """
    began = time.monotonic()
    while not await over():
        if movement.still_for > patience.still:
            return True
        if time.monotonic() - began > patience.longest:
            return False
        await asyncio.sleep(between_looks)
    return True
