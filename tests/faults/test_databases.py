"""A database that hangs, is cut off, restarts or turns read-only: a quick 503, a line in a log, and nothing lost."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from config import Settings
from db import schema
from db.connections import Database
from embedded.postgres import EmbeddedPostgres
from tests.conftest import serving
from tests.faults.scenes import (
    client_at,
    database_passage,
    effect_under_way,
    messages,
    ran_once,
    said,
    set_held,
)
from tests.field import Field, Person
from tests.waiting import job_in, make_job, until
from worker import working

POPULATE = "populate_captures_collection"
LONGEST_ANSWER = 9.0
"""Five seconds are promised; the rest is for a noisy machine."""


@asynccontextmanager
async def own_postgres(
    tmp_path: Path, settings: Settings
) -> AsyncIterator[tuple[EmbeddedPostgres, Settings]]:
    """A PostgreSQL of this test alone, to stop and to kill, and the settings of processes that use it."""
    server = EmbeddedPostgres(tmp_path / "postgres", tmp_path / "postgres.log", {"fsync": "off"})
    server.start(0)
    try:
        url = server.url("own")
        schema.create_database(url)
        schema.migrate(url)
        mine = settings.model_copy(update={"database_url": url})
        async with Database(url, size=2, name="tests") as database, database.transaction() as db:
            # all tests share a Temporal namespace, where workflows are named by the ids of their jobs
            await db.execute(f"ALTER TABLE jobs ALTER id RESTART WITH {time.time_ns() // 10**6}")
        yield server, mine
    finally:
        server.stop()


def processes_of(server: EmbeddedPostgres) -> list[int]:
    """The server's first process and all that it started."""
    assert server.child is not None
    tree = [server.child.pid]
    for pid in tree:
        tree += [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return tree


async def answered(asking: "asyncio.Future[httpx2.Response]") -> httpx2.Response:
    began = time.monotonic()
    response = await asking
    assert time.monotonic() - began < LONGEST_ANSWER, response.text
    return response


async def everything_is_unavailable(client: httpx2.AsyncClient, project_id: int, job_id: int) -> None:
    """Reading, writing and being ready, of more callers than there are connections: all are told to come back."""
    root = str(client.base_url).partition("/api/")[0]
    body = {"name": "n", "delay": 0, "project_id": project_id, "job_type_key": POPULATE}
    asked = [
        client.get("/jobs/"),
        client.get(f"/jobs/{job_id}/"),
        client.post(f"/jobs/{job_id}/run/"),
        client.post(f"/jobs/{job_id}/cancel/"),
        client.post("/jobs/?start_now", json=body),
        client.get(f"{root}/readyz"),
        *(client.get("/captures/collections/") for _ in range(12)),
    ]
    answers = await asyncio.gather(*(answered(asyncio.ensure_future(each)) for each in asked))
    assert [answer.status_code for answer in answers] == [503] * len(answers)
    for answer in answers:
        if not answer.request.url.path.startswith("/readyz"):
            assert answer.headers["retry-after"] == "5"
            assert answer.json() == {"detail": "The database cannot be reached."}


async def everything_works(client: httpx2.AsyncClient, job_id: int) -> None:
    """At once for many callers, again and again: no connection that hung is handed out any more."""

    async def works() -> bool:
        return (await client.get("/jobs/")).status_code == 200

    await until(works, "a database that answers", seconds=30)
    root = str(client.base_url).partition("/api/")[0]
    assert (await client.get(f"{root}/readyz")).status_code == 200
    for _ in range(3):
        answers = await asyncio.gather(*(client.get(f"/jobs/{job_id}/") for _ in range(20)))
        assert [(answer.status_code, answer.json()["id"]) for answer in answers] == [(200, job_id)] * 20


# requests -----------------------------------------------------------------------------------------------------


async def test_while_the_network_to_the_database_hangs_requests_are_503_and_afterwards_all_works(
    settings: Settings, field: Field, admin: Person
) -> None:
    project_id, set_id = await field.small_set()
    async with (
        database_passage(settings) as (way, behind),
        serving(behind) as address,
        client_at(address, admin) as client,
        working(settings),
    ):
        job_id = (await make_job(client, project_id, set_id, start=False))["id"]
        await everything_works(client, job_id)
        way.freeze()
        for _ in range(2):
            await everything_is_unavailable(client, project_id, job_id)
        assert (await client.get(f"{address}/livez")).status_code == 200
        way.thaw()
        await everything_works(client, job_id)
        await client.post(f"/jobs/{job_id}/run/")
        assert ran_once(await job_in(client, job_id))


async def test_while_the_processes_of_the_database_stand_still_requests_are_503_and_afterwards_all_works(
    settings: Settings, tmp_path: Path
) -> None:
    async with own_postgres(tmp_path, settings) as (server, mine), AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database(mine.database_url, size=2, name="tests"))
        field = Field(database)
        admin = await field.person("admin@example.org", superuser=True)
        project_id, set_id = await field.small_set()
        address = await stack.enter_async_context(serving(mine))
        client = await stack.enter_async_context(client_at(address, admin))
        job_id = (await make_job(client, project_id, set_id, start=False))["id"]
        await everything_works(client, job_id)
        standing = processes_of(server)
        for pid in standing:
            os.kill(pid, signal.SIGSTOP)
        try:
            await everything_is_unavailable(client, project_id, job_id)
        finally:
            for pid in standing:
                os.kill(pid, signal.SIGCONT)
        await everything_works(client, job_id)


async def test_a_request_that_was_answered_503_is_sent_again_with_its_key_and_makes_one_job(
    settings: Settings, field: Field, admin: Person
) -> None:
    project_id, set_id = await field.small_set()
    body = {
        "name": "n",
        "delay": 0,
        "project_id": project_id,
        "source_image_collection_id": set_id,
        "job_type_key": POPULATE,
    }
    async with (
        database_passage(settings) as (way, behind),
        serving(behind) as address,
        client_at(address, admin, **{"Idempotency-Key": "once"}) as client,
        working(settings),
    ):
        asyncio.get_running_loop().call_later(0.02, way.freeze)
        # one of them is on its way when nothing is answered any more
        answers = await asyncio.gather(*(client.post("/jobs/?start_now", json=body) for _ in range(20)))
        assert 503 in [answer.status_code for answer in answers]
        way.thaw()

        async def made() -> int | None:
            answer = await client.post("/jobs/?start_now", json=body)
            return int(answer.json()["id"]) if answer.status_code == 201 else None

        job_id = await until(made, "the job")
        assert ran_once(await job_in(client, job_id))
    assert await field.read("SELECT id FROM jobs") == [{"id": job_id}]


async def test_connections_that_the_server_closed_in_a_quiet_hour_cost_no_request(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    await asyncio.gather(*(client.get("/jobs/") for _ in range(8)))
    await field.read(
        # waits until they have gone: the hour is over
        """SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name IN ('nightjar api', 'nightjar worker')"""
    )

    jobs = await asyncio.gather(*(make_job(client, project_id, set_id) for _ in range(10)))

    for job in jobs:
        assert (await job_in(client, job["id"]))["status"] == "SUCCESS"


async def test_a_database_that_only_reads_is_a_503_for_who_writes(
    settings: Settings, field: Field, admin: Person
) -> None:
    project_id = await field.project()
    name = settings.database_url.rpartition("/")[2]
    async with field.database.transaction() as db:
        # as a standby answers after a fail-over, until the address leads to the new primary
        await db.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    async with serving(settings) as address, client_at(address, admin) as client:
        read = await client.get("/jobs/")
        body = {"name": "n", "delay": 0, "project_id": project_id, "job_type_key": POPULATE}
        written = await client.post("/jobs/", json=body)

    assert read.status_code == 200
    assert (written.status_code, written.headers["retry-after"]) == (503, "5")


# workers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["cut", "freeze"])
async def test_a_worker_gets_over_a_database_that_is_away_in_the_middle_of_its_work(
    settings: Settings, client: httpx2.AsyncClient, field: Field, fault: str
) -> None:
    project_id, set_id = await field.small_set()
    _, other_set = await field.small_set()
    async with database_passage(settings) as (way, behind), working(behind):
        delaying = (await make_job(client, project_id, set_id, delay=8))["id"]
        async with set_held(field, set_id):
            working_on = (await make_job(client, project_id, set_id))["id"]
            await effect_under_way(field)
            if fault == "cut":
                await way.cut()
            else:
                way.freeze()
            waiting = (await make_job(client, project_id, set_id))["id"]
            await asyncio.sleep(17)  # which is the fault, not a wait for something
            states = [
                (await client.get(f"/jobs/{each}/")).json()["status"] for each in (delaying, working_on)
            ]
            assert states == ["STARTED", "STARTED"]
        await way.open()
        jobs = [await job_in(client, each, seconds=90) for each in (working_on, waiting, delaying)]

    for job in jobs:
        assert ran_once(job), messages(job)
    assert len(await field.members(set_id)) == 5
    assert said(jobs[2], "out of 8 seconds") == 4
    assert await field.members(other_set) == set()


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_jobs_go_on_when_the_database_restarts_or_is_killed(
    settings: Settings, tmp_path: Path, end: str
) -> None:
    async with own_postgres(tmp_path, settings) as (server, mine), AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            Database(mine.database_url, size=2, name="tests", check=True)
        )
        field = Field(database)
        admin = await field.person("admin@example.org", superuser=True)
        project_id, set_id = await field.small_set()
        address = await stack.enter_async_context(serving(mine))
        client = await stack.enter_async_context(client_at(address, admin))
        await stack.enter_async_context(working(mine))
        delaying = (await make_job(client, project_id, set_id, delay=6))["id"]
        await job_in(client, delaying, "STARTED")
        short = (await make_job(client, project_id, set_id))["id"]
        restart(server, end)

        async def works() -> bool:
            return (await client.get("/jobs/")).status_code == 200

        await until(works, "a database that answers")
        later = (await make_job(client, project_id, set_id))["id"]
        for job_id in (delaying, short, later):
            job = await job_in(client, job_id, seconds=60)
            assert ran_once(job), messages(job)


def restart(server: EmbeddedPostgres, end: str) -> None:
    assert server.child is not None
    how: dict[str, Callable[[], None]] = {"stop": server.stop, "kill": server.child.kill}
    how[end]()
    server.start(server.port)
