"""The pool of connections, whose users are cancelled at any moment."""

import asyncio
from contextlib import AsyncExitStack

from config import Settings
from db.connections import Database, value

SIZE = 2
STEPS = 30
"""Turns of the event loop in which a connection is handed from one user to the next."""


async def test_who_is_cancelled_while_a_connection_is_handed_over_is_cancelled(settings: Settings) -> None:
    async with Database(settings.database_url, size=SIZE, name="pool", patience=5) as database:
        for steps in range(STEPS):
            async with AsyncExitStack() as taken:
                for _ in range(SIZE):
                    await taken.enter_async_context(database.transaction())

                async def ask() -> int:
                    async with database.autocommit() as db:
                        return int(await value(db, "SELECT 1", {}))

                waiting = asyncio.create_task(ask())
                await asyncio.sleep(0.01)
                giving_back = asyncio.create_task(taken.aclose())
                for _ in range(steps):
                    await asyncio.sleep(0)
                was_under_way = waiting.cancel()
                await asyncio.wait([waiting, giving_back])
                assert waiting.cancelled() == was_under_way, steps

        # and no connection was lost over it
        async with AsyncExitStack() as taken:
            for _ in range(SIZE):
                await taken.enter_async_context(database.transaction())
