"""Every error of the vocabulary of jobs has an answer; one about a row that went meanwhile is 404, not 500."""

import asyncio
from collections.abc import Iterator

import httpx2
import pytest

from api.http.errors import STATUS_OF
from db import job_rows
from db.connections import Connection, value
from jobs.errors import JobError
from tests.field import Field
from tests.waiting import make_job, until


def leaves(error: type[JobError]) -> Iterator[type[JobError]]:
    kinds = error.__subclasses__()
    if not kinds:
        yield error
    for kind in kinds:
        yield from leaves(kind)


def test_every_job_error_has_an_answer() -> None:
    assert set(STATUS_OF) == set(leaves(JobError))
    assert all(400 <= status < 600 and status != 500 for status in STATUS_OF.values())


async def waits(field: Field, holding: Connection) -> None:
    """Returns once somebody waits for what a connection holds."""
    await waits_for(field, holding.info.backend_pid)


async def waits_for(field: Field, backend_pid: int) -> None:
    """Returns once somebody waits for what a process of PostgreSQL holds."""

    async def look() -> bool:
        async with field.database.transaction() as db:
            statement = """SELECT EXISTS (SELECT FROM pg_stat_activity
            WHERE datname = current_database() AND %(holder)s = ANY(pg_blocking_pids(pid)))"""
            return bool(await value(db, statement, {"holder": backend_pid}))

    await until(look, "a request waits")


@pytest.mark.parametrize(
    ("verb", "status"),
    [
        ("delete", "CREATED"),
        ("delete", "STARTED"),
        ("cancel", "CREATED"),
        ("cancel", "STARTED"),
        ("run", "CREATED"),
        ("retry", "FAILURE"),
        ("pause", "STARTED"),
        ("resume", "STARTED"),
    ],
)
async def test_a_request_that_is_overtaken_by_a_deletion_is_answered_not_found(
    client: httpx2.AsyncClient, field: Field, verb: str, status: str
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, start=False)
    async with field.database.transaction() as db:
        await db.execute("UPDATE jobs SET status = %s, run = 1, started_at = now()", (status,))
        # pausing and resuming both change something
        await db.execute("UPDATE jobs SET paused_at = now() WHERE %s = 'resume'", (verb,))

    async with field.database.transaction() as deleting:
        await job_rows.delete(deleting, job["id"])
        path = f"/jobs/{job['id']}/"
        asked = asyncio.create_task(
            client.delete(path) if verb == "delete" else client.post(f"{path}{verb}/")
        )
        await waits(field, deleting)
    answer = await asked

    assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})


async def test_what_is_done_to_a_set_that_is_being_deleted_is_answered_not_found(
    client: httpx2.AsyncClient, field: Field
) -> None:
    _, set_id = await field.small_set()
    capture = (await field.read("SELECT id FROM source_images LIMIT 1"))[0]["id"]

    async with field.database.transaction() as deleting:
        await deleting.execute("DELETE FROM source_image_collections WHERE id = %s", (set_id,))
        asked = asyncio.create_task(
            client.post(f"/captures/collections/{set_id}/add/", json={"source_image": capture})
        )
        await waits(field, deleting)
    answer = await asked

    assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})
