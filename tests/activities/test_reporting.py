"""The stage reporter: what is noted reaches Temporal and PostgreSQL, and an effect is one with its record."""

import asyncio
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.reporting import StageReporter, reporting
from activities.resources import Resources
from db import run_rows, stage_rows
from db.connections import Connection, Database, every
from db.run_rows import Execution
from jobs.runs import ClaimedRun, JobRequest
from jobs.stages import Stage, StageSnapshot
from jobs.status import Status
from tests.field import Field
from tests.waiting import until
from workflows.populate_captures_collection import JOB_TYPE

STAGE = Stage(JOB_TYPE.key, JOB_TYPE.name, takes=ClaimedRun, gives=type(None), params=("Captures added",))


@pytest.fixture
async def run(database: Database, field: Field) -> ClaimedRun:
    project_id, set_id = await field.small_set()
    async with database.transaction() as db:
        request = JobRequest(project_id=project_id, source_image_collection_id=set_id)
        return await run_rows.claim(db, JOB_TYPE, request, Execution("w", "execution"))


async def messages(database: Database, run: ClaimedRun) -> list[str]:
    async with database.transaction() as db:
        rows = await every(
            db, "SELECT message FROM job_logs WHERE job_id = %(id)s ORDER BY id OFFSET 2", {"id": run.job_id}
        )
    return [row["message"] for row in rows]


async def recorded(db: Connection, run: ClaimedRun) -> tuple[StageSnapshot, dict[str, Any] | None]:
    """The stage and the cursor, as they are committed."""
    stage = next(each for each in await stage_rows.get_all(db, run.job_id) if each.key == STAGE.key)
    rows = await every(db, "SELECT cursor FROM job_stages WHERE job_id = %(id)s", {"id": run.job_id})
    return stage, rows[0]["cursor"]


def environment(attempt: int = 1) -> ActivityEnvironment:
    made = ActivityEnvironment()
    made.info = replace(made.info, attempt=attempt)
    return made


async def test_what_is_noted_is_written_within_a_second_or_two_and_beats(
    database: Database, run: ClaimedRun
) -> None:
    beats: list[Any] = []
    go_on = asyncio.Event()

    async def body() -> None:
        async with reporting(Resources(database), STAGE, run) as report:
            report.progress(0.25)
            report.count("Captures added", 3)
            report.log("a quarter")
            await go_on.wait()

    env = environment()
    env.on_heartbeat = lambda *details: beats.append(details)
    task = asyncio.create_task(env.run(body))

    async def written() -> bool:
        return await messages(database, run) == ["a quarter"]

    await until(written, "the log line", seconds=5)
    async with database.transaction() as db:
        stage, _ = await recorded(db, run)
    assert (stage.status, stage.progress, stage.values()) == (Status.STARTED, 0.25, {"captures_added": 3})

    async def beaten() -> bool:
        return any(details[0]["progress"] == 0.25 for details in beats)

    await until(beaten, "a heartbeat with the snapshot", seconds=5)
    go_on.set()
    await task
    async with database.transaction() as db:
        stage, _ = await recorded(db, run)
    assert (stage.status, stage.progress) == (Status.SUCCESS, 1.0)


async def test_an_effect_and_its_record_are_one(database: Database, run: ClaimedRun) -> None:
    async def body(fail: bool) -> None:
        async with reporting(Resources(database), STAGE, run) as report:
            report.log("before")
            async with report.effect() as db:
                await db.execute("UPDATE projects SET name = 'changed'")
                report.cursor = {"page": 7}
                report.log("inside")
                report.set("Captures added", 5)
                if fail:
                    raise psycopg.OperationalError("the connection is gone")

    with pytest.raises(ApplicationError) as caught:
        await environment().run(body, True)
    assert not caught.value.non_retryable
    async with database.transaction() as db:
        assert await every(db, "SELECT name FROM projects", {}) == [{"name": "Moths"}]
        stage, cursor = await recorded(db, run)
    assert cursor is None
    assert stage.values() == {"captures_added": ""}
    assert await messages(database, run) == ["before"]

    await environment(attempt=2).run(body, False)
    async with database.transaction() as db:
        assert await every(db, "SELECT name FROM projects", {}) == [{"name": "changed"}]
        stage, cursor = await recorded(db, run)
    assert cursor == {"page": 7}
    assert stage.values() == {"captures_added": 5}
    assert (await messages(database, run))[1:] == [
        "Going on with stage populate_captures_collection, attempt 2",
        "before",
        "inside",
    ]


async def test_the_next_attempt_goes_on_from_the_cursor_of_the_last_effect(
    database: Database, run: ClaimedRun
) -> None:
    seen: list[Any] = []

    async def body(pages: int) -> None:
        async with reporting(Resources(database), STAGE, run) as report:
            seen.append(report.cursor)
            for page in range((report.cursor or {"page": 0})["page"], pages):
                async with report.effect():
                    report.count("Captures added")
                    report.cursor = {"page": page + 1}
            if pages == 2:
                raise ConnectionError("lost")

    with pytest.raises(ApplicationError):
        await environment().run(body, 2)
    await environment(attempt=2).run(body, 4)

    assert seen == [None, {"page": 2}]
    async with database.transaction() as db:
        stage, _ = await recorded(db, run)
    assert stage.values() == {"captures_added": 4}


async def test_a_body_is_stopped_once_its_run_is_over(database: Database, run: ClaimedRun) -> None:
    reached: list[StageReporter] = []

    async def body() -> None:
        async with reporting(Resources(database), STAGE, run) as report:
            reached.append(report)
            while True:
                report.count("Captures added")
                await asyncio.sleep(0.05)

    task = asyncio.create_task(environment().run(body))

    async def started() -> bool:
        return bool(reached)

    await until(started, "the body")
    async with database.transaction() as db:
        await db.execute("UPDATE jobs SET status = 'REVOKED'")

    with pytest.raises(ApplicationError) as caught:
        await asyncio.wait_for(task, 10)
    assert caught.value.type == "RunEnded"


@pytest.mark.parametrize(
    ("error", "attempt", "final"),
    [
        (ConnectionError("reset"), 9, False),
        (psycopg.OperationalError("server closed the connection"), 9, False),
        (psycopg.errors.ReadOnlySqlTransaction("a stand-by"), 9, False),
        (psycopg.errors.UndefinedColumn("not migrated yet"), 1, False),
        (psycopg.errors.UndefinedColumn("not migrated yet"), 3, True),
        (psycopg.errors.NumericValueOutOfRange("too large"), 1, True),
        (ZeroDivisionError("a defect"), 1, False),
        (ZeroDivisionError("a defect"), 3, True),
    ],
)
async def test_an_error_says_whether_trying_again_can_help(
    database: Database, run: ClaimedRun, error: Exception, attempt: int, final: bool
) -> None:
    async def body() -> None:
        async with reporting(Resources(database), STAGE, run):
            raise error

    with pytest.raises(ApplicationError) as caught:
        await environment(attempt).run(body)

    assert caught.value.non_retryable is final
    assert str(error) in str(caught.value)
