"""A statement waits for a server that works, however long, and not for one that has fallen silent."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from psycopg import OperationalError

from config import Settings
from db.connections import Database, value
from db.liveness import Watch
from tests.faults.scenes import database_passage
from tests.passages import Passage
from tests.waiting import until


@asynccontextmanager
async def watched(settings: Settings, watch: Watch) -> AsyncIterator[tuple[Database, Passage]]:
    async with (
        database_passage(settings) as (way, behind),
        Database(behind.database_url, size=3, name="watched", patience=3, watch=watch) as database,
    ):
        yield database, way


async def ask(database: Database) -> int:
    async with database.autocommit() as db:
        return int(await value(db, "SELECT 1", {}))


async def test_a_statement_that_takes_long_is_waited_for(settings: Settings) -> None:
    async with watched(settings, Watch(silence=0.3, reply=2)) as (database, _), database.transaction() as db:
        assert await value(db, "SELECT 1 + length(pg_sleep(2)::text)", {}) == 1


async def test_a_statement_that_takes_longer_than_any_may_is_given_up(settings: Settings) -> None:
    async with watched(settings, Watch(silence=0.3, reply=2, longest=1)) as (database, _):
        began = time.monotonic()
        with pytest.raises(OperationalError):
            async with database.autocommit() as db:
                await db.execute("SELECT pg_sleep(60)")
        assert 1 < time.monotonic() - began < 20
        assert await ask(database) == 1


@pytest.mark.parametrize("in_transaction", [False, True])
async def test_a_statement_is_given_up_when_the_server_is_silent(
    settings: Settings, in_transaction: bool
) -> None:
    async with watched(settings, Watch(silence=0.5, reply=0.5)) as (database, way):
        assert await ask(database) == 1
        opened = database.transaction if in_transaction else database.autocommit

        async def fall_silent() -> None:
            async with opened() as db:
                await db.execute("SELECT 1")
                way.freeze()
                await db.execute("SELECT 2")

        began = time.monotonic()
        with pytest.raises(OperationalError):
            await fall_silent()
        assert time.monotonic() - began < 10
        with pytest.raises(OperationalError):
            await ask(database)

        way.thaw()

        async def all_answered() -> bool:
            try:
                return await asyncio.gather(*(ask(database) for _ in range(6))) == [1] * 6
            except OperationalError:
                return False

        await until(all_answered, "answers after the thaw")
        # what was given up has not come back to the pool
        for _ in range(5):
            assert await all_answered()


async def test_what_a_process_held_that_is_gone_is_free_before_its_statement_would_have_ended(
    settings: Settings, database: Database
) -> None:
    async with watched(settings, Watch(silence=60, reply=1)) as (far, way):

        async def hold() -> None:
            async with far.transaction() as db:
                await db.execute("SELECT pg_advisory_xact_lock(42), pg_sleep(120)")

        async def held() -> bool:
            async with database.transaction() as db:
                return not await value(db, "SELECT pg_try_advisory_xact_lock(42)", {})

        async def free() -> bool:
            return not await held()

        holding = asyncio.create_task(hold())
        await until(held, "the lock")
        await way.cut()
        with pytest.raises(OperationalError):
            await holding
        await until(free, "the end of the lock", seconds=20)
