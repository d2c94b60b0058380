"""That a capture is in a set: the rows go with the capture and with the set, whoever is at work meanwhile."""

import asyncio
from typing import Any

import psycopg
import pytest

from db import capture_set_rows, sampling_rows, writing
from db.connections import Connection, every, value
from jobs.errors import CaptureSetNotFound
from monitoring.sampling import sampler
from tests.field import Field
from tests.waiting import until

Membership = tuple[int, int]
"""Set and capture."""


async def fill(db: Connection, set_id: int, project_id: int, **kwargs: Any) -> None:
    """Put every capture of the project that passes into the set."""
    await capture_set_rows.lock(db, set_id)
    await sampling_rows.replace(db, set_id, project_id, "full", sampler("full", kwargs), 1)


async def filled(field: Field, project_id: int) -> int:
    """A set with every capture of the project."""
    set_id = await field.capture_set(project_id)
    async with field.database.transaction() as db:
        await fill(db, set_id, project_id)
    return set_id


async def memberships(field: Field) -> set[Membership]:
    async with field.database.transaction() as db:
        rows = await every(db, "SELECT * FROM source_image_collection_images", {})
    return {(row["collection_id"], row["source_image_id"]) for row in rows}


async def execute(field: Field, statement: str, *values: Any) -> None:
    async with field.database.transaction() as db:
        await db.execute(statement, values)


async def three_captures(field: Field) -> tuple[int, list[int]]:
    project = await field.project()
    return project, await field.captures(project, await field.station(project), [None, None, None])


async def waits_for(field: Field, waiting: Connection, holding: Connection) -> None:
    """Returns once one connection waits for a lock that the other holds."""
    processes = {"waiting": waiting.info.backend_pid, "holding": holding.info.backend_pid}

    async def look() -> bool:
        async with field.database.transaction() as db:
            statement = "SELECT %(holding)s = ANY(pg_blocking_pids(%(waiting)s))"
            return bool(await value(db, statement, processes))

    await until(look, "one waits for the other", 10)


async def test_a_capture_that_is_deleted_leaves_every_set(field: Field) -> None:
    project, [gone, *others] = await three_captures(field)
    one, other = await filled(field, project), await filled(field, project)

    await execute(field, "DELETE FROM source_images WHERE id = %s", gone)

    assert await memberships(field) == {(each, capture) for each in (one, other) for capture in others}


async def test_captures_that_are_deleted_in_one_statement_leave_together(field: Field) -> None:
    project, [*gone, stays] = await three_captures(field)
    set_id = await filled(field, project)

    await execute(field, "DELETE FROM source_images WHERE id = ANY(%s)", gone)

    assert await memberships(field) == {(set_id, stays)}


async def test_a_set_that_is_deleted_leaves_no_members_behind(field: Field) -> None:
    project, captures = await three_captures(field)
    gone, stays = await filled(field, project), await filled(field, project)

    async with field.database.transaction() as db:
        await writing.delete(db, "source_image_collections", gone)

    assert await memberships(field) == {(stays, capture) for capture in captures}


async def test_the_sets_of_a_project_that_is_deleted_leave_no_members_behind(field: Field) -> None:
    gone, captures = await three_captures(field)
    await filled(field, gone)
    await filled(field, gone)
    stays, other_captures = await three_captures(field)
    set_id = await filled(field, stays)

    await execute(field, "DELETE FROM projects WHERE id = %s", gone)

    assert await memberships(field) == {(set_id, capture) for capture in other_captures}
    async with field.database.transaction() as db:
        left = await value(
            db, "SELECT count(*) FROM source_images WHERE id = ANY(%(ids)s)", {"ids": captures}
        )
    assert left == 3


async def test_deleting_nothing_takes_nothing_out_of_a_set(field: Field) -> None:
    project, captures = await three_captures(field)
    set_id = await filled(field, project)

    await execute(field, "DELETE FROM source_images WHERE id = -1")
    await execute(field, "DELETE FROM source_image_collections WHERE id = -1")

    assert await memberships(field) == {(set_id, capture) for capture in captures}


async def test_a_deletion_that_is_undone_leaves_the_set_as_it_was(field: Field) -> None:
    project, captures = await three_captures(field)
    set_id = await filled(field, project)

    async with field.database.transaction() as db:
        await db.execute("DELETE FROM source_images")
        await db.rollback()

    assert await memberships(field) == {(set_id, capture) for capture in captures}


async def test_the_deletion_of_a_capture_waits_for_who_is_adding_it(field: Field) -> None:
    project, [gone, *others] = await three_captures(field)
    set_id = await field.capture_set(project)

    async with field.database.transaction() as deleting:
        async with field.database.transaction() as adding:
            await fill(adding, set_id, project)
            deletion = asyncio.create_task(
                deleting.execute("DELETE FROM source_images WHERE id = %s", (gone,))
            )
            await waits_for(field, deleting, adding)
            assert not deletion.done()
        await deletion

    assert await memberships(field) == {(set_id, capture) for capture in others}


async def test_who_adds_captures_waits_for_their_deletion_and_does_not_add_them(field: Field) -> None:
    project, [gone, *others] = await three_captures(field)
    set_id = await field.capture_set(project)

    async with field.database.transaction() as adding:
        async with field.database.transaction() as deleting:
            await deleting.execute("DELETE FROM source_images WHERE id = %s", (gone,))
            addition = asyncio.create_task(fill(adding, set_id, project))
            await waits_for(field, adding, deleting)
            assert not addition.done()
        await addition

    assert await memberships(field) == {(set_id, capture) for capture in others}


async def test_the_deletion_of_a_set_waits_for_who_is_filling_it(field: Field) -> None:
    project, _ = await three_captures(field)
    set_id = await field.capture_set(project)

    async with field.database.transaction() as deleting:
        async with field.database.transaction() as adding:
            await fill(adding, set_id, project)
            deletion = asyncio.create_task(writing.delete(deleting, "source_image_collections", set_id))
            await waits_for(field, deleting, adding)
        await deletion

    assert await memberships(field) == set()


async def test_who_fills_a_set_waits_for_its_deletion_and_finds_it_gone(field: Field) -> None:
    project, _ = await three_captures(field)
    set_id = await filled(field, project)

    async with field.database.transaction() as adding:
        async with field.database.transaction() as deleting:
            await writing.delete(deleting, "source_image_collections", set_id)
            addition = asyncio.create_task(fill(adding, set_id, project))
            await waits_for(field, adding, deleting)
        with pytest.raises(CaptureSetNotFound):
            await addition

    assert await memberships(field) == set()


async def test_the_deletion_of_a_project_waits_for_who_is_filling_its_sets(field: Field) -> None:
    project, _ = await three_captures(field)
    set_id = await field.capture_set(project)

    async with field.database.transaction() as adding, field.database.transaction() as deleting:
        await fill(adding, set_id, project)
        await deleting.execute("SET LOCAL lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            await deleting.execute("DELETE FROM projects WHERE id = %s", (project,))
        await deleting.rollback()

    assert len(await memberships(field)) == 3


async def test_reading_a_set_waits_for_nobody(field: Field) -> None:
    project, captures = await three_captures(field)
    set_id = await filled(field, project)

    async with field.database.transaction() as adding, field.database.transaction() as reading:
        await fill(adding, set_id, project, deployment_ids=[])
        await reading.execute("SET LOCAL lock_timeout = '100ms'")
        assert (await capture_set_rows.get(reading, set_id)).id == set_id
        statement = "SELECT count(*) FROM source_image_collection_images"
        assert await value(reading, statement, {}) == len(captures)

    assert await memberships(field) == set()
