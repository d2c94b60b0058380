"""Cancellation against completion, many times over: whichever wins, nothing says otherwise afterwards.

`RACES=1000 pytest tests/faults/test_races.py` runs a thousand of them.
"""

import asyncio
import os
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx2
from psycopg import AsyncConnection
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from config import Settings
from db.connections import Row, driver_address
from tests.faults.scenes import FINAL, client_at
from tests.field import Field, Person
from tests.processes import api_process, worker_process
from tests.waiting import job_in, make_job

RACES = int(os.environ.get("RACES", "300"))
AT_ONCE = 12
CAPTURES = 50
ENDED = {
    "SUCCESS": {WorkflowExecutionStatus.COMPLETED},
    "REVOKED": {
        WorkflowExecutionStatus.CANCELED,
        WorkflowExecutionStatus.TERMINATED,
        WorkflowExecutionStatus.FAILED,
    },
}


class Heard:
    """Every status of every job, in the order in which PostgreSQL committed them."""

    def __init__(self) -> None:
        self.statuses: defaultdict[int, list[str]] = defaultdict(list)
        self._over: defaultdict[int, asyncio.Event] = defaultdict(asyncio.Event)

    async def listen(self, connection: AsyncConnection) -> None:
        async for notice in connection.notifies():
            job_id, status, *_ = notice.payload.split(" ")
            self.statuses[int(job_id)].append(status)
            if status in FINAL:
                self._over[int(job_id)].set()

    async def end_of(self, job_id: int) -> str:
        async with asyncio.timeout(60):
            await self._over[job_id].wait()
        return next(status for status in self.statuses[job_id] if status in FINAL)

    def never_reversed(self, job_id: int) -> bool:
        """Whether one final status came, and nothing but itself after it."""
        said = self.statuses[job_id]
        first = next(place for place, status in enumerate(said) if status in FINAL)
        return set(said[first:]) == {said[first]}


@asynccontextmanager
async def listening(settings: Settings) -> AsyncIterator[Heard]:
    heard = Heard()
    async with await AsyncConnection.connect(
        driver_address(settings.database_url), autocommit=True
    ) as connection:
        await connection.execute("LISTEN nightjar_jobs")
        task = asyncio.create_task(heard.listen(connection))
        try:
            yield heard
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


_WRITTEN = """
SELECT md5(jobs.*::text
    || (SELECT coalesce(string_agg(s.*::text, '' ORDER BY s.position), '') FROM job_stages s WHERE s.job_id = jobs.id)
    || (SELECT string_agg(l.*::text, '' ORDER BY l.id) FROM job_logs l WHERE l.job_id = jobs.id)) AS written
FROM jobs WHERE id = %(job_id)s
"""


class Race:
    """One job after another, each cancelled at a random moment around its end."""

    def __init__(self, client: httpx2.AsyncClient, field: Field, heard: Heard, project_id: int) -> None:
        self.client = client
        self.field = field
        self.heard = heard
        self.project_id = project_id
        self.moment = 0.2
        """Seconds after which as many jobs are over as are not: learned, so that neither side always wins."""
        self.written: dict[int, Row] = {}
        self.random = random.Random(20240601)

    async def run(self, sets: list[int]) -> None:
        while sets:
            await self._one(sets.pop())

    async def _one(self, set_id: int) -> None:
        job_id = (await make_job(self.client, self.project_id, set_id))["id"]
        await asyncio.sleep(self.random.uniform(0, 2) * self.moment)
        answer = await self.client.post(f"/jobs/{job_id}/cancel/")
        assert answer.status_code == 200, answer.text
        self.moment *= 0.97 if await self.heard.end_of(job_id) == "SUCCESS" else 1 / 0.97
        self.written[job_id] = (await self.field.read(_WRITTEN, job_id=job_id))[0]


async def test_a_cancellation_and_a_completion_that_meet_agree_on_one_end(
    settings: Settings, field: Field, admin: Person, temporal: Client
) -> None:
    project_id, set_id = await field.small_set()
    sets = await field.read(
        """INSERT INTO source_image_collections (name, project_id, method, kwargs)
        SELECT 'Set ' || n, %(project_id)s, 'full', '{}' FROM generate_series(1, %(races)s) n RETURNING id""",
        project_id=project_id,
        races=RACES,
    )
    with worker_process(settings), api_process(settings) as (_, address):
        async with client_at(address, admin) as client, listening(settings) as heard:
            await job_in(client, (await make_job(client, project_id, set_id))["id"], "SUCCESS")
            race = Race(client, field, heard, project_id)
            waiting = [row["id"] for row in sets]
            await asyncio.gather(*(race.run(waiting) for _ in range(AT_ONCE)))
            turns = asyncio.Semaphore(AT_ONCE)
            jobs = await field.read(
                """SELECT j.*, s.status AS stage_status, s.updated_at AS stage_at,
                (SELECT count(*) FROM source_image_collection_images i
                 WHERE i.collection_id = j.source_image_collection_id) AS captures
                FROM jobs j LEFT JOIN job_stages s ON s.job_id = j.id WHERE j.id = ANY(%(ids)s) ORDER BY j.id""",
                ids=list(race.written),
            )
            await asyncio.gather(*(agrees_with_temporal(temporal, job, turns) for job in jobs))

    assert len(jobs) == RACES
    ends = [job["status"] for job in jobs]
    assert set(ends) == {"SUCCESS", "REVOKED"}, "a race that one side always wins is none"
    assert min(ends.count("SUCCESS"), ends.count("REVOKED")) > RACES / 20
    for job in jobs:
        assert heard.never_reversed(job["id"]), heard.statuses[job["id"]]
        assert job["finished_at"] is not None
        assert_whole_or_untouched(job)
        assert (await field.read(_WRITTEN, job_id=job["id"]))[0] == race.written[job["id"]]


def assert_whole_or_untouched(job: Row) -> None:
    """The effect is there exactly if its record is."""
    assert job["captures"] in (0, CAPTURES)
    assert (job["captures"] == CAPTURES) == (job["stage_status"] == "SUCCESS"), job
    if job["status"] == "SUCCESS":
        assert job["stage_status"] == "SUCCESS"
    elif job["stage_status"] is not None:
        assert job["stage_at"] <= job["finished_at"]


async def agrees_with_temporal(temporal: Client, job: Row, turns: asyncio.Semaphore) -> None:
    """Waits for the end of the workflow."""
    async with turns:
        handle = temporal.get_workflow_handle(f"job-{job['id']}")
        failure = None
        try:
            await handle.result()
        except WorkflowFailureError as error:
            failure = error.cause
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND and job["started_at"] is None:
                return  # cancelled before its workflow was started, which it then never was
            raise
        status = (await handle.describe()).status
    assert status in ENDED[job["status"]], (job["id"], job["status"], status)
    if status is WorkflowExecutionStatus.FAILED:
        assert isinstance(failure, ApplicationError)
        assert failure.type == ("RunRefused" if job["started_at"] is None else "JobRevoked")
