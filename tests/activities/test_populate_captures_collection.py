"""The activity that fills a set, done again as Temporal does it when an answer was lost."""

from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.populate_captures_collection import PopulateCapturesCollection
from activities.resources import Resources
from db import run_rows
from db.connections import Database, one
from db.run_rows import Execution
from jobs.runs import ClaimedRun, JobRequest
from tests.field import Field
from workflows.populate_captures_collection import JOB_TYPE


async def claimed(database: Database, project_id: int, set_id: int) -> ClaimedRun:
    request = JobRequest(project_id=project_id, source_image_collection_id=set_id)
    async with database.transaction() as db:
        return await run_rows.claim(db, JOB_TYPE, request, Execution("w", f"execution-{set_id}"))


async def attempt(database: Database, run: ClaimedRun, number: int) -> None:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=number)
    await environment.run(PopulateCapturesCollection(Resources(database)).populate, run)


async def member_rows(database: Database, set_id: int) -> object:
    """Where the rows of the set's captures lie: a row that was written again lies elsewhere."""
    async with database.transaction() as db:
        return await one(
            db,
            """SELECT array_agg((source_image_id, ctid)::text ORDER BY 1) AS rows
            FROM source_image_collection_images WHERE collection_id = %(id)s""",
            {"id": set_id},
        )


async def test_an_attempt_after_one_that_was_done_changes_nothing(database: Database, field: Field) -> None:
    project_id, set_id = await field.small_set(nights=10, method="random", size=30)
    run = await claimed(database, project_id, set_id)
    await attempt(database, run, 1)
    before = await member_rows(database, set_id)
    async with database.transaction() as db:
        # were captures chosen again, these would be among them
        await db.execute(
            "DELETE FROM source_images WHERE id NOT IN (SELECT source_image_id FROM "
            "source_image_collection_images) AND id %% 2 = 0",
            {},
        )

    await attempt(database, run, 2)

    assert await member_rows(database, set_id) == before


async def test_an_attempt_after_one_that_was_undone_chooses_the_same(
    database: Database, field: Field
) -> None:
    project_id, set_id = await field.small_set(nights=10, method="random", size=30)
    run = await claimed(database, project_id, set_id)
    await attempt(database, run, 1)
    chosen = await field.members(set_id)
    async with database.transaction() as db:
        await db.execute("DELETE FROM source_image_collection_images")
        await db.execute("UPDATE job_stages SET status = 'STARTED', progress = 0.1")

    await attempt(database, run, 2)

    assert await field.members(set_id) == chosen


async def test_a_run_that_was_superseded_leaves_no_effect(database: Database, field: Field) -> None:
    project_id, set_id = await field.small_set()
    run = await claimed(database, project_id, set_id)
    async with database.transaction() as db:
        await db.execute("UPDATE jobs SET run = run + 1")

    with pytest.raises(ApplicationError, match="Run 1 of job") as caught:
        await attempt(database, run, 1)

    assert caught.value.type == "RunEnded"
    assert caught.value.non_retryable
    assert await field.members(set_id) == set()


async def test_a_set_that_is_gone_fails_for_good(database: Database, field: Field) -> None:
    project_id, set_id = await field.small_set()
    run = await claimed(database, project_id, set_id)
    async with database.transaction() as db:
        await db.execute("DELETE FROM source_image_collections")

    with pytest.raises(ApplicationError, match="No source image collection has the id") as caught:
        await attempt(database, run, 1)

    assert caught.value.non_retryable
