"""The stage reporter: what is noted reaches Temporal and PostgreSQL, and an effect is one with its record."""

import asyncio
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from temporalio.exceptions import ApplicationError

from activities.reporter import reporting
from activities.resources import Resources
from db.connections import Database, every
from jobs.runs import ClaimedRun
from jobs.status import Status
from tests.activities.attempts import STAGE, environment, messages, recorded


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
