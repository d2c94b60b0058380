"""The timer of an attempt: it beats and writes whatever the body does, and stops it once the run is over."""

import asyncio
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from activities.reporter import StageReporter, reporting
from activities.resources import Resources
from config import Settings
from db import job_rows
from db.connections import Database
from db.notifications import Notifications
from jobs.runs import ClaimedRun
from jobs.status import Status
from tests.activities.attempts import STAGE, environment, messages, recorded
from tests.faults.scenes import database_passage
from tests.waiting import until


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
