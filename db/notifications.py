"""What happens to jobs, as PostgreSQL tells whoever listens: every commit that changes what a reader sees."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

from psycopg import AsyncConnection, Error, sql
from psycopg.conninfo import make_conninfo

from db.connections import driver_address
from db.liveness import SERVER_OPTIONS, SYSTEM_LIMITS

logger = logging.getLogger("nightjar.notifications")

CHANNEL = "nightjar_jobs"
PAUSED, RESUMED = "paused", "resumed"
OF_A_WORKER = "nightjar worker: news"
"""The name, to PostgreSQL, of the one such connection that every worker has."""
LONGEST_PAUSE = 5.0
"""Seconds between two tries to listen again."""
ALIVE_WITHIN = 15.0
"""A connection on which nothing was heard for so many seconds is asked whether it still is one."""


@dataclass(frozen=True)
class Change:
    """One commit that touched a job. Its payload is `<id> <status>`, and `paused` or `resumed` if it was that."""

    job_id: int
    status: str
    word: str | None = None

    @property
    def is_progress(self) -> bool:
        """True if no more was said than that the job's run is under way."""
        return self.status == "STARTED" and self.word is None

    @classmethod
    def read(cls, payload: str) -> "Change":
        job_id, status, *word = payload.split(" ")
        return cls(int(job_id), status, word[0] if word else None)


class Notifications:
    """A connection of its own that listens, and is made again whenever it is lost."""

    def __init__(self, url: str, name: str) -> None:
        self._address = make_conninfo(driver_address(url), **SYSTEM_LIMITS, options=SERVER_OPTIONS)
        self._name = name

    async def follow(self) -> AsyncIterator[Change | None]:
        """Every change, as it is committed; None whenever some may have been missed (also at the beginning)."""
        pause = 0.1
        while True:
            try:
                async with await self._connect() as connection:
                    await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
                    pause = 0.1
                    yield None
                    while True:
                        async for notice in connection.notifies(timeout=ALIVE_WITHIN):
                            yield Change.read(notice.payload)
                        async with asyncio.timeout(ALIVE_WITHIN):
                            await connection.execute("SELECT 1")
            except (Error, OSError, TimeoutError) as error:
                logger.warning(
                    "not listening for %.1f s: %s",
                    pause,
                    str(error).split("\n", 1)[0] or type(error).__name__,
                )
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _connect(self) -> AsyncConnection[tuple[object, ...]]:
        return await AsyncConnection.connect(
            self._address, autocommit=True, application_name=self._name, connect_timeout=5
        )
