"""Workers that are killed, one or all, at any moment: another goes on, and what was done is not done again."""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from psycopg import OperationalError

from config import Settings
from db.connections import Database
from tests.faults.scenes import (
    all_in,
    client_at,
    effect_under_way,
    messages,
    ran_once,
    said,
    set_held,
    sets_of_one_project,
    waiting_for_turn,
)
from tests.faults.test_databases import own_postgres
from tests.faults.test_starting import own_temporal
from tests.field import Field
from tests.processes import api_process, worker_process
from tests.waiting import job_in, make_job


async def test_when_all_workers_are_killed_with_work_under_way_delayed_and_waiting_the_next_ones_do_it_all(
    client: httpx2.AsyncClient, field: Field, settings: Settings
) -> None:
    project_id, (held, free) = await sets_of_one_project(field, 2)
    with ExitStack() as workers:
        children = [workers.enter_context(worker_process(settings)) for _ in range(2)]
        async with set_held(field, held):
            working_on = [(await make_job(client, project_id, held))["id"] for _ in range(4)]
            # one fills the set, the others wait for it without a place of a worker
            await effect_under_way(field)
            await waiting_for_turn(field, jobs=3)
            delaying = [(await make_job(client, project_id, free, delay=8))["id"] for _ in range(4)]
            for job_id in delaying:
                await job_in(client, job_id, "STARTED")
            for child in children:
                child.kill()
        waiting = [(await make_job(client, project_id, free))["id"] for _ in range(12)]
    states = {(await client.get(f"/jobs/{job_id}/")).json()["status"] for job_id in waiting}
    assert states == {"PENDING"}
    with ExitStack() as workers:
        for _ in range(2):
            workers.enter_context(worker_process(settings))
        jobs = await all_in(client, [*working_on, *delaying, *waiting])

    for job in jobs:
        assert ran_once(job), messages(job)
    assert len(await field.members(held)) == 5


async def test_a_killed_worker_leaves_nothing_locked_behind(
    client: httpx2.AsyncClient, field: Field, settings: Settings
) -> None:
    project_id, (held, free) = await sets_of_one_project(field, 2)
    with worker_process(settings) as first:
        async with set_held(field, held):
            killed_in = (await make_job(client, project_id, held))["id"]
            await effect_under_way(field)
            first.kill()
    with worker_process(settings):
        # on the same set, while nobody has noticed yet that the worker is dead
        second = await job_in(client, (await make_job(client, project_id, held))["id"])
        assert ran_once(second), messages(second)
        assert said(second, "Added 5 captures") == 1
        other = await job_in(client, (await make_job(client, project_id, free))["id"])
        assert said(other, "Added 50 captures") == 1
        first_job = await job_in(client, killed_in)

    assert ran_once(first_job), messages(first_job)
    assert said(first_job, "attempt 2") == 1


async def test_a_worker_that_dies_again_and_again_does_not_end_its_job(
    client: httpx2.AsyncClient, field: Field, settings: Settings
) -> None:
    project_id, set_id = await field.small_set()
    job_id = (await make_job(client, project_id, set_id, delay=4))["id"]
    for _ in range(3):
        with worker_process(settings) as worker:
            await job_in(client, job_id, "STARTED")
            worker.kill()
    with worker_process(settings):
        job = await job_in(client, job_id)

    assert ran_once(job), messages(job)
    assert said(job, "out of 4 seconds") == 2


@asynccontextmanager
async def held_until_it_dies(field: Field, set_id: int) -> AsyncIterator[None]:
    """As `set_held`, of a database that will be killed while it is held."""
    with pytest.raises(OperationalError):
        async with set_held(field, set_id):
            yield


async def test_everything_goes_on_when_the_whole_machine_dies_and_comes_back(
    settings: Settings, tmp_path: Path
) -> None:
    async with (
        own_postgres(tmp_path, settings) as (postgres, with_postgres),
        own_temporal(tmp_path, with_postgres) as (temporal, mine),
    ):
        assert postgres.child is not None
        assert temporal.child is not None
        async with Database(mine.database_url, size=4, name="tests") as database:
            field = Field(database)
            admin = await field.person("admin@example.org", superuser=True)
            project_id, (held, free) = await sets_of_one_project(field, 2)
            with worker_process(mine) as worker, api_process(mine) as (api, address):
                async with client_at(address, admin) as client, held_until_it_dies(field, held):
                    delaying = (await make_job(client, project_id, free, delay=12))["id"]
                    await job_in(client, delaying, "STARTED")
                    under_way = (await make_job(client, project_id, held))["id"]
                    await effect_under_way(field)
                    for child in (worker, api, temporal.child, postgres.child):
                        child.kill()
        postgres.start(postgres.port)
        temporal.start()
        temporal.wait()
        with worker_process(mine), api_process(mine) as (_, address):
            async with client_at(address, admin) as client:
                for job in await all_in(client, [delaying, under_way], seconds=90):
                    assert ran_once(job), messages(job)
