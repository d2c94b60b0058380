"""Waiting for quiet: as long as something moves, and no longer than it makes sense."""

import asyncio
import time

from config import Settings
from db.connections import Database
from tests.chaos.quiet import Movement, Patience, until_over
from tests.field import Field
from tests.waiting import until


async def never() -> bool:
    return False


async def test_what_moves_is_waited_for_longer_than_what_is_still(field: Field) -> None:
    movement = Movement(field)
    project_id = await field.project()
    patience = Patience(still=1.5, longest=60)
    began = time.monotonic()

    async def over() -> bool:
        """Moves once more each time, and is over after three seconds."""
        await field.row("jobs", name="Moths", project_id=project_id, job_type_key="regroup_events")
        await movement.look()
        return time.monotonic() - began > 3

    assert await until_over(over, movement, patience, between_looks=0.4)
    assert time.monotonic() - began > 3

    began = time.monotonic()
    async with movement.watched():
        assert await until_over(never, movement, patience, between_looks=0.1)
    assert 1.4 < time.monotonic() - began < 20


async def test_what_never_comes_to_rest_is_not_quiet(field: Field) -> None:
    movement = Movement(field)

    async def over() -> bool:
        movement.moved()
        return False

    assert not await until_over(over, movement, Patience(still=5, longest=0.5), between_looks=0.05)
    assert await until_over(never, movement, Patience(still=0, longest=0.5), between_looks=0.05)


async def test_a_long_transaction_of_a_worker_is_movement(field: Field, settings: Settings) -> None:
    movement = Movement(field)
    await movement.look()

    async def waited(seconds: float) -> bool:
        async def still() -> bool:
            await movement.look()
            return movement.still_for > seconds

        return await until(still, "stillness")

    async with (
        Database(settings.database_url, size=2, name="nightjar worker") as worker,
        worker.transaction() as db,
    ):
        await db.execute("SELECT 1")
        await asyncio.sleep(1.2)  # it counts when it has been open for a second
        for _ in range(3):
            await movement.look()
            assert movement.still_for < 0.2
    assert await waited(0.5)
