"""An attempt that finds another job at the same thing: what it leaves, and when it is made again."""

from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from activities.exclusive import Work, exclusive
from activities.reporter import reporting
from activities.resources import Resources
from db import run_rows
from db.connections import Database, every
from db.run_rows import Execution
from jobs.errors import CaptureSetBusy
from jobs.runs import ClaimedRun, JobRequest
from tests.activities.attempts import STAGE, environment, messages
from workflows.populate_captures_collection import JOB_TYPE

FILLING = Work("filling of set", "filling set", "filling set", busy=CaptureSetBusy)


@pytest.fixture
async def other(database: Database, run: ClaimedRun) -> ClaimedRun:
    """A second job for the same set."""
    request = JobRequest(project_id=run.project_id, source_image_collection_id=run.source_image_collection_id)
    async with database.transaction() as db:
        return await run_rows.claim(db, JOB_TYPE, request, Execution("w2", "execution 2"))


async def attempt(
    database: Database, run: ClaimedRun, number: int = 1, error: Exception | None = None
) -> None:
    """An attempt that asks for its turn and then fails: its stage, and so its turn, is not over."""

    async def body() -> None:
        async with reporting(Resources(database), STAGE, run) as report:
            await exclusive(report, FILLING, 7, "#7 Set")
            raise error or ConnectionError("cut off")

    await environment(number).run(body)


async def failure(database: Database, run: ClaimedRun, number: int, error: Exception) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await attempt(database, run, number, error)
    return caught.value


async def test_who_waits_is_tried_again_soon_at_first_and_every_few_seconds_later(
    database: Database, run: ClaimedRun, other: ClaimedRun
) -> None:
    await failure(database, run, 1, ConnectionError("cut off"))
    delays = []
    for number in (1, 2, 3, 4, 5, 6, 1000):
        found = await failure(database, other, number, ValueError("not reached"))
        assert (found.type, found.non_retryable) == ("CaptureSetBusy", False)
        assert str(found) == (
            f"CaptureSetBusy: Waiting for job {run.job_id}, which works on source image collection #7 Set"
        )
        assert found.next_retry_delay is not None
        delays.append(found.next_retry_delay)

    for delay, longest in zip(delays, (0.5, 1, 2, 4, 5, 5, 5), strict=True):
        assert timedelta(seconds=longest / 2) <= delay <= timedelta(seconds=longest)


async def test_a_wait_is_told_once_and_its_end(
    database: Database, run: ClaimedRun, other: ClaimedRun
) -> None:
    async def figures() -> list[object]:
        async with database.autocommit() as db:
            rows = await every(
                db, "SELECT params FROM job_stages WHERE job_id = %(id)s", {"id": other.job_id}
            )
        return [param["value"] for param in rows[0]["params"] if param["key"] == "waiting_for_job"]

    await failure(database, run, 1, ConnectionError("cut off"))
    for number in (1, 2, 3):
        await failure(database, other, number, ValueError("not reached"))
    assert await messages(database, other) == [
        f"Job {run.job_id} is filling set #7 Set; waiting until it is done"
    ]
    assert await figures() == [run.job_id]

    async with database.transaction() as db:
        await db.execute("UPDATE jobs SET status = 'FAILURE' WHERE id = %s", (run.job_id,))
    await failure(database, other, 4, ConnectionError("cut off"))

    assert (await messages(database, other))[1:] == [f"Job {run.job_id} is done; filling set #7 Set"]
    assert await figures() == []


async def test_attempts_that_only_waited_are_no_tries(
    database: Database, run: ClaimedRun, other: ClaimedRun
) -> None:
    await failure(database, run, 1, ConnectionError("cut off"))
    for number in (1, 2, 3, 4):
        await failure(database, other, number, ValueError("not reached"))
    async with database.transaction() as db:
        await db.execute("DELETE FROM jobs WHERE id = %s", (run.job_id,))

    final = [
        (await failure(database, other, number, ValueError("a defect"))).non_retryable for number in (5, 6, 7)
    ]

    assert final == [False, False, True]


async def test_the_same_job_keeps_its_turn_over_its_attempts(
    database: Database, run: ClaimedRun, other: ClaimedRun
) -> None:
    for number in (1, 2):
        found = await failure(database, run, number, ConnectionError("cut off"))
        assert found.type == "ConnectionError"
    assert (await failure(database, other, 1, ConnectionError("cut off"))).type == "CaptureSetBusy"
