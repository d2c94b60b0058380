"""The stage reporter: what is noted reaches Temporal and PostgreSQL, and an effect is one with its record."""

import asyncio
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.reporting import StageReporter, reporting
from activities.resources import Resources
from config import Settings
from db import job_rows, run_rows, stage_rows
from db.connections import Connection, Database, every
from db.notifications import Notifications
from db.run_rows import Execution
from jobs.runs import ClaimedRun, JobRequest
from jobs.stages import Stage, StageSnapshot
from jobs.status import Status
from tests.faults.scenes import database_passage
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


def environment(attempt: int = 1, client: Client | None = None) -> ActivityEnvironment:
    made = ActivityEnvironment(client)
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


async def test_an_attempt_beats_on_while_the_database_hangs(
    settings: Settings,
    database: Database,
    run: ClaimedRun,
    temporal: Client,
    caplog: pytest.LogCaptureFixture,
) -> None:
    beats: list[Any] = []
    begun, go_on = asyncio.Event(), asyncio.Event()

    async with (
        database_passage(settings) as (way, behind),
        Database(behind.database_url, size=2, name="behind") as hanging,
    ):

        async def body() -> None:
            async with reporting(Resources(hanging), STAGE, run) as report:
                begun.set()
                await go_on.wait()
                report.log("the end")

        env = environment(client=temporal)
        env.on_heartbeat = lambda *details: beats.append(details)
        task = asyncio.create_task(env.run(body))
        await begun.wait()
        way.freeze()
        before = len(beats)

        async def given_up() -> bool:
            return "cannot write how far the stage is" in caplog.text

        # a write hangs for seconds before it is given up, and no beat waits for it
        await until(given_up, "the end of the hanging write", seconds=30)
        assert len(beats) - before >= 4
        way.thaw()
        go_on.set()
        await task
    assert await messages(database, run) == ["the end"]


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


# attempts against each other ----------------------------------------------------------------------------------


async def test_an_attempt_that_was_superseded_writes_nothing_more(
    database: Database, run: ClaimedRun
) -> None:
    go_on = asyncio.Event()
    begun = asyncio.Event()

    async def stale() -> None:
        async with reporting(Resources(database), STAGE, run) as report:
            begun.set()
            await go_on.wait()
            async with report.effect(last=True) as db:
                await db.execute("UPDATE projects SET name = name || ' twice'")
                report.count("Captures added", 5)
                report.log("done by the first")

    async def second() -> None:
        async with reporting(Resources(database), STAGE, run) as report:
            async with report.effect() as db:
                await db.execute("UPDATE projects SET name = name || ' once'")
                report.count("Captures added", 5)
            go_on.set()
            with pytest.raises(ApplicationError) as caught:
                await first
            # Temporal has given that attempt up; if it had not, it could be tried again
            assert not caught.value.non_retryable
            assert caught.value.type == "AttemptSuperseded"

    first = asyncio.create_task(environment().run(stale))
    await begun.wait()
    await environment(attempt=2).run(second)

    async with database.transaction() as db:
        assert await every(db, "SELECT name FROM projects", {}) == [{"name": "Moths once"}]
        stage, _ = await recorded(db, run)
    assert (stage.status, stage.values()) == (Status.SUCCESS, {"captures_added": 5})
    assert "done by the first" not in await messages(database, run)


async def test_an_attempt_whose_number_comes_again_is_superseded_all_the_same(
    database: Database, run: ClaimedRun
) -> None:
    """Temporal counts attempts anew after a reset of the activity, while the first one may hang in a frozen worker."""
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def frozen() -> None:
        async with reporting(Resources(database), STAGE, run) as report:
            begun.set()
            await go_on.wait()
            async with report.effect(last=True) as db:
                await db.execute("UPDATE projects SET name = name || ' by the frozen one'")

    async def after_the_reset() -> None:
        async with reporting(Resources(database), STAGE, run) as report:
            go_on.set()
            with pytest.raises(ApplicationError, match="A later attempt works"):
                await first
            async with report.effect(last=True) as db:
                await db.execute("UPDATE projects SET name = name || ' once'")

    first = asyncio.create_task(environment(attempt=1).run(frozen))
    await begun.wait()
    await environment(attempt=1).run(after_the_reset)

    async with database.transaction() as db:
        assert await every(db, "SELECT name FROM projects", {}) == [{"name": "Moths once"}]


async def test_an_attempt_whose_answer_was_lost_is_found_done(database: Database, run: ClaimedRun) -> None:
    async def body() -> None:
        async with reporting(Resources(database), STAGE, run) as report:
            if report.finished:
                return
            async with report.effect(last=True) as db:
                await db.execute("UPDATE projects SET name = name || '!'")
                report.log("done")

    for attempt in (1, 2, 3):
        await environment(attempt).run(body)

    async with database.transaction() as db:
        assert await every(db, "SELECT name FROM projects", {}) == [{"name": "Moths!"}]
    assert await messages(database, run) == ["done"]


async def test_a_cursor_that_comes_twice_is_worked_from_once(database: Database, run: ClaimedRun) -> None:
    async def pages(number: int, lose: bool) -> None:
        async with reporting(Resources(database), STAGE, run) as report:
            done = (report.cursor or {"page": 0})["page"]
            for each in range(done, number):
                async with report.effect() as db:
                    await db.execute("UPDATE projects SET name = name || %s", (str(each),))
                    report.cursor = {"page": each + 1}
            if lose:
                raise ConnectionError("the answer is lost")

    for attempt in (1, 2):
        with pytest.raises(ApplicationError):
            await environment(attempt).run(pages, 2, True)
    await environment(3).run(pages, 3, False)

    async with database.transaction() as db:
        assert await every(db, "SELECT name FROM projects", {}) == [{"name": "Moths012"}]


async def test_the_next_attempt_says_why_the_one_before_failed(database: Database, run: ClaimedRun) -> None:
    beats: list[Any] = []

    async def fail() -> None:
        async with reporting(Resources(database), STAGE, run):
            raise ConnectionError("the far end hung up")

    async def succeed() -> None:
        async with reporting(Resources(database), STAGE, run):
            pass

    env = environment()
    env.on_heartbeat = lambda *details: beats.append(details)
    with pytest.raises(ApplicationError):
        await env.run(fail)
    env = environment(attempt=2)
    env.info = replace(env.info, heartbeat_details=beats[-1])
    await env.run(succeed)

    assert await messages(database, run) == [
        "Going on with stage populate_captures_collection, attempt 2, after: ConnectionError: the far end hung up"
    ]


async def test_news_of_a_cancellation_stops_the_body_at_once(
    database: Database, run: ClaimedRun, settings: Settings
) -> None:
    resources = Resources(database)
    begun = asyncio.Event()

    async def body() -> None:
        async with reporting(resources, STAGE, run):
            begun.set()
            await asyncio.Event().wait()

    notifications = Notifications(settings.database_url, "news")
    following = asyncio.create_task(resources.signals.follow(notifications))
    task = asyncio.create_task(environment().run(body))
    await begun.wait()
    async with database.transaction() as db:
        await job_rows.ask_to_cancel(db, run.job_id)

    # the timer alone would find out as well, but only with something to write
    with pytest.raises(ApplicationError) as caught:
        await asyncio.wait_for(task, 10)
    assert caught.value.type == "RunEnded"
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
