"""Turns: one job at a time, derived from the rows alone, so that nothing has to be released or to expire."""

import asyncio

import pytest

from db import job_rows, run_rows, stage_rows, turn_rows
from db.connections import Database
from db.run_rows import Execution
from jobs.errors import AttemptSuperseded
from jobs.runs import ClaimedRun, JobRequest
from tests.field import Field
from workflows.populate_captures_collection import JOB_TYPE

KIND = "filling of set"


@pytest.fixture
async def runs(database: Database, field: Field) -> list[ClaimedRun]:
    """Three runs under way, each with an attempt at its stage."""
    project_id, set_id = await field.small_set()
    claimed = []
    async with database.transaction() as db:
        for number in range(3):
            request = JobRequest(project_id=project_id, source_image_collection_id=set_id)
            run = await run_rows.claim(db, JOB_TYPE, request, Execution(f"w{number}", f"execution {number}"))
            await stage_rows.begin(db, run.job_id, run.run, JOB_TYPE.key, f"attempt {number}")
            claimed.append(run)
    return claimed


async def take(database: Database, run: ClaimedRun, thing_id: int = 7, kind: str = KIND) -> int | None:
    async with database.transaction() as db:
        return await turn_rows.take(db, run.job_id, run.run, JOB_TYPE.key, kind, thing_id, attempt=1)


async def test_one_has_its_turn_and_the_others_learn_which(
    database: Database, field: Field, runs: list[ClaimedRun]
) -> None:
    first, second, third = runs

    assert await take(database, second) is None
    assert await take(database, second) is None
    assert [await take(database, each) for each in (first, third)] == [second.job_id] * 2
    # other things, and other work on the same thing, are nobody's business
    assert await take(database, first, thing_id=8) is None
    assert await take(database, third, kind="counting of set") is None
    waiting = await field.read("SELECT waits_for, waited FROM job_stages ORDER BY job_id")
    assert waiting == [{"waits_for": None, "waited": 1}, *[{"waits_for": None, "waited": n} for n in (0, 1)]]


async def test_of_many_who_ask_at_one_moment_one_gets_it(database: Database, runs: list[ClaimedRun]) -> None:
    for thing_id in range(20):
        found = await asyncio.gather(*(take(database, run, thing_id) for run in runs))

        holders = [run.job_id for run, other in zip(runs, found, strict=True) if other is None]
        assert len(holders) == 1
        assert {other for other in found if other is not None} == set(holders)


@pytest.mark.parametrize(
    "end",
    [
        "UPDATE jobs SET status = 'CANCELING' WHERE id = %(id)s",
        "UPDATE jobs SET status = 'FAILURE' WHERE id = %(id)s",
        "UPDATE jobs SET paused_at = now() WHERE id = %(id)s",
        "UPDATE job_stages SET status = 'SUCCESS' WHERE job_id = %(id)s",
        "DELETE FROM jobs WHERE id = %(id)s",
    ],
)
async def test_a_turn_is_over_with_its_stage_or_its_run_and_while_the_job_is_paused(
    database: Database, runs: list[ClaimedRun], end: str
) -> None:
    first, second, third = runs
    assert await take(database, first) is None
    assert await take(database, second) == first.job_id

    async with database.transaction() as db:
        await db.execute(end, {"id": first.job_id})

    assert await take(database, second) is None
    assert await take(database, third) == second.job_id


async def test_the_next_run_of_a_job_has_nothing_of_the_turn_of_the_one_before(
    database: Database, field: Field, runs: list[ClaimedRun]
) -> None:
    first, second, _ = runs
    await take(database, first)
    await take(database, second)
    async with database.transaction() as db:
        await db.execute("UPDATE jobs SET status = 'FAILURE'")
        for run in (first, second):
            await job_rows.ask_to_run(db, run.job_id, lambda _, delay: JOB_TYPE.snapshots(delay), again=True)
            request = JobRequest(job_id=run.job_id, run=run.run + 1)
            await run_rows.claim(
                db, JOB_TYPE, request, Execution(f"job-{run.job_id}", f"next of {run.job_id}")
            )

    rows = await field.read("SELECT turn_kind, turn_id, waits_for, waited FROM job_stages ORDER BY job_id")
    assert rows[:2] == [{"turn_kind": None, "turn_id": None, "waits_for": None, "waited": 0}] * 2


async def test_an_attempt_that_was_paused_and_lost_its_turn_writes_nothing_when_it_goes_on(
    database: Database, runs: list[ClaimedRun]
) -> None:
    first, second, _ = runs
    await take(database, first)
    async with database.transaction() as db:
        await db.execute("UPDATE jobs SET paused_at = now() WHERE id = %s", (first.job_id,))
    assert await take(database, second) is None
    async with database.transaction() as db:
        # before the attempt has noticed anything
        await db.execute("UPDATE jobs SET paused_at = NULL WHERE id = %s", (first.job_id,))
        [stage] = await stage_rows.get_all(db, first.job_id)
        with pytest.raises(AttemptSuperseded):
            await stage_rows.report(db, first.job_id, first.run, stage, attempt="attempt 0")

    assert await take(database, first) == second.job_id
