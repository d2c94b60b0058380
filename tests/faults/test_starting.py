"""What was asked for is done once, whoever dies between the answer and the work."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import httpx2
import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from config import Settings
from embedded.child import Child
from embedded.ports import free_port
from embedded.temporal import EmbeddedTemporal
from jobs.search_attributes import TYPE_NAMES
from temporal.connection import connect_once_reachable
from tests.conftest import serving
from tests.faults.scenes import (
    client_at,
    effect_under_way,
    ended,
    lose,
    messages,
    ran_once,
    row_of,
    set_held,
    sets_of_one_project,
    temporal_passage,
    with_database_at,
    with_temporal_at,
)
from tests.field import Field, Person
from tests.passages import Passage, passage
from tests.processes import api_process, worker_process
from tests.waiting import job_in, make_job, until
from worker import working


async def ask_in_three_ways(client: httpx2.AsyncClient, project_id: int, sets: list[int]) -> list[int]:
    """Jobs asked for by run/, ?start_now and populate/ at once: each is PENDING within the time of a request."""
    saved = await make_job(client, project_id, sets[0], start=False)

    async def run() -> int:
        answer = await client.post(f"/jobs/{saved['id']}/run/")
        assert answer.json()["status"] == "PENDING", answer.text
        return int(answer.json()["id"])

    async def start_now() -> int:
        job = await make_job(client, project_id, sets[1])
        assert job["status"] == "PENDING"
        return int(job["id"])

    async def populate() -> int:
        answer = await client.post(f"/captures/collections/{sets[2]}/populate/")
        assert answer.status_code == 200, answer.text
        return int(answer.json()["job_id"])

    began = monotonic()
    asked = await asyncio.gather(run(), start_now(), populate())
    assert monotonic() - began < 5
    return list(asked)


# Temporal is away -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["cut", "freeze"])
async def test_what_is_asked_for_while_temporal_is_away_is_pending_at_once_and_runs_once_when_it_is_back(
    settings: Settings, field: Field, admin: Person, worker: None, fault: str
) -> None:
    project_id, sets = await sets_of_one_project(field, 3)
    async with (
        temporal_passage(settings) as (way, behind),
        serving(behind) as address,
        client_at(address, admin) as client,
    ):
        # a connection that was good is what is lost
        assert ran_once(await job_in(client, (await make_job(client, project_id, sets[0]))["id"]))
        await lose(way, fault)
        asked = await ask_in_three_ways(client, project_id, sets)
        again = await asyncio.gather(*(client.post(f"/jobs/{job_id}/run/") for job_id in asked))
        assert [answer.json()["status"] for answer in again] == ["PENDING"] * 3
        await way.open()
        for job_id in asked:
            job = await job_in(client, job_id)
            assert ran_once(job), messages(job)
            assert (await row_of(field, job_id))["run"] == 1


async def test_a_connection_to_temporal_that_was_lost_in_a_quiet_hour_costs_no_request(
    settings: Settings, field: Field, admin: Person, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    async with (
        temporal_passage(settings) as (way, behind),
        serving(behind) as address,
        client_at(address, admin) as client,
    ):
        assert ran_once(await job_in(client, (await make_job(client, project_id, set_id))["id"]))
        await way.interrupt()
        jobs = await asyncio.gather(*(make_job(client, project_id, set_id) for _ in range(10)))
        for job in jobs:
            assert ran_once(await job_in(client, job["id"]))


@asynccontextmanager
async def own_temporal(folder: Path, settings: Settings) -> AsyncIterator[tuple[EmbeddedTemporal, Settings]]:
    """A Temporal of this test alone, over one file, to kill; and the settings of processes that use it."""
    server = EmbeddedTemporal(folder / "temporal.sqlite", folder / "temporal.log", TYPE_NAMES)
    server.start(0, 0)
    try:
        server.wait()
        mine = with_temporal_at(settings, server.address)
        await connect_once_reachable(mine)
        yield server, mine
    finally:
        server.stop()


def kill_and_start(server: EmbeddedTemporal) -> None:
    assert server.child is not None
    server.child.kill()
    server.start()
    server.wait()


async def test_jobs_that_wait_that_delay_and_that_work_outlive_a_temporal_that_is_killed(
    settings: Settings, field: Field, admin: Person, tmp_path: Path
) -> None:
    project_id, (held, free) = await sets_of_one_project(field, 2)
    async with (
        own_temporal(tmp_path, settings) as (server, mine),
        serving(mine) as address,
        client_at(address, admin) as client,
    ):
        waiting = (await make_job(client, project_id, free))["id"]
        kill_and_start(server)
        with worker_process(mine):
            delaying = (await make_job(client, project_id, free, delay=10))["id"]
            await job_in(client, delaying, "STARTED")
            async with set_held(field, held):
                under_way = (await make_job(client, project_id, held))["id"]
                await effect_under_way(field)
                kill_and_start(server)
            meanwhile = (await make_job(client, project_id, free))["id"]
            for job_id in (waiting, delaying, under_way, meanwhile):
                job = await job_in(client, job_id, seconds=90)
                assert ran_once(job), messages(job)
    assert len(await field.members(held)) == 5


# the API dies -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def api_that_waits_for_temporal(
    settings: Settings, admin: Person
) -> AsyncIterator[tuple[Child, httpx2.AsyncClient]]:
    """An API process whose Temporal hangs: what it was asked is committed, and not yet said to Temporal."""
    async with temporal_passage(settings) as (way, behind):
        with api_process(behind) as (api, address):
            async with client_at(address, admin) as client:
                # the connection stands; the next word hangs
                ready = await client.get(f"{address}/readyz")
                assert ready.json()["status"] == "ok"
                way.freeze()
                yield api, client


async def killed_while_it_waits(api: Child, asking: "asyncio.Future[httpx2.Response]") -> None:
    """kill -9, with the request under way."""
    assert not asking.done()
    api.kill()
    with pytest.raises(httpx2.TransportError):
        await asking


@pytest.mark.parametrize("word", ["run", "retry", "populate"])
async def test_a_job_is_run_once_though_the_api_is_killed_between_its_commit_and_the_start(
    settings: Settings, field: Field, admin: Person, worker: None, word: str
) -> None:
    project_id, set_id = await field.small_set()

    async def committed() -> int | None:
        rows = await field.read("SELECT id FROM jobs WHERE status = 'PENDING'")
        return int(rows[0]["id"]) if rows else None

    async with api_that_waits_for_temporal(settings, admin) as (api, client):
        saved = await make_job(client, project_id, set_id, start=False)
        path = (
            f"/captures/collections/{set_id}/populate/"
            if word == "populate"
            else f"/jobs/{saved['id']}/{word}/"
        )
        asking = asyncio.ensure_future(client.post(path))
        job_id = await until(committed, "the commit")
        await killed_while_it_waits(api, asking)
        assert (await row_of(field, job_id))["launched_at"] is None
    with api_process(settings) as (_, address):
        async with client_at(address, admin) as client:
            job = await job_in(client, job_id)

    assert ran_once(job), messages(job)
    assert (await row_of(field, job_id))["run"] == 1
    assert len(await field.read("SELECT 1 FROM jobs")) == (2 if word == "populate" else 1)


async def test_a_job_is_cancelled_though_the_api_is_killed_between_its_commit_and_the_word_to_temporal(
    settings: Settings,
    field: Field,
    admin: Person,
    worker: None,
    client: httpx2.AsyncClient,
    temporal: Client,
) -> None:
    project_id, set_id = await field.small_set()
    job_id = (await make_job(client, project_id, set_id, delay=300))["id"]
    await job_in(client, job_id, "STARTED")

    async def committed() -> bool:
        return bool((await row_of(field, job_id))["status"] == "CANCELING")

    async with api_that_waits_for_temporal(settings, admin) as (api, dying):
        asking = asyncio.ensure_future(dying.post(f"/jobs/{job_id}/cancel/"))
        await until(committed, "the commit")
        await killed_while_it_waits(api, asking)
    job = await job_in(client, job_id, "REVOKED", seconds=15)

    assert job["finished_at"] is not None
    assert float(job["duration"]) > 0
    assert await ended(temporal, f"job-{job_id}") in (
        WorkflowExecutionStatus.TERMINATED,
        WorkflowExecutionStatus.CANCELED,
    )


async def test_an_api_that_is_killed_before_its_commit_has_changed_nothing(
    settings: Settings, field: Field, admin: Person, client: httpx2.AsyncClient
) -> None:
    project_id, set_id = await field.small_set()
    job_id = (await make_job(client, project_id, set_id, start=False))["id"]
    before = await row_of(field, job_id)
    async with passage(settings.database_url.partition("@")[2].partition("/")[0]) as way:
        with api_process(with_database_at(settings, way.address)) as (api, address):
            async with client_at(address, admin) as dying, field.database.transaction() as db:
                await db.execute("SELECT 1 FROM jobs WHERE id = %s FOR UPDATE", (job_id,))
                asking = asyncio.ensure_future(dying.post(f"/jobs/{job_id}/run/"))
                await until(lambda: waits_for_a_lock(field), "a request that waits for the row")
                await killed_while_it_waits(api, asking)

    async def nobody_waits() -> bool:
        return not await waits_for_a_lock(field)

    await until(nobody_waits, "the end of the killed API's session")
    assert await row_of(field, job_id) == before
    await client.post(f"/jobs/{job_id}/run/")
    async with working(settings):
        assert ran_once(await job_in(client, job_id))


async def waits_for_a_lock(field: Field) -> bool:
    rows = await field.read(
        """SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'nightjar api' AND wait_event_type = 'Lock'"""
    )
    return bool(rows)


async def test_a_job_ends_as_it_should_though_the_api_is_killed_meanwhile(
    settings: Settings, field: Field, admin: Person, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    with api_process(settings) as (api, address):
        async with client_at(address, admin) as client:
            job_id = (await make_job(client, project_id, set_id, delay=3))["id"]
            await job_in(client, job_id, "STARTED")
            api.kill()

    async def over() -> bool:
        return (await row_of(field, job_id))["finished_at"] is not None

    await until(over, "the end of the job")
    with api_process(settings) as (_, address):
        async with client_at(address, admin) as client:
            assert ran_once(await job_in(client, job_id))


# a worker comes up alone --------------------------------------------------------------------------------------


def said_in(child: Child, words: str) -> int:
    return child.log.read_text().count(words)


@pytest.mark.parametrize("away", ["temporal", "database"])
async def test_a_worker_that_starts_alone_waits_and_works_once_the_others_are_there(
    settings: Settings, field: Field, client: httpx2.AsyncClient, away: str
) -> None:
    project_id, set_id = await field.small_set()
    job_id = (await make_job(client, project_id, set_id))["id"]
    to = (
        settings.temporal_address
        if away == "temporal"
        else settings.database_url.partition("@")[2].partition("/")[0]
    )
    way = Passage(to, free_port())
    behind = (with_temporal_at if away == "temporal" else with_database_at)(settings, way.address)
    with worker_process(behind) as child:
        word = "cannot be reached" if away == "temporal" else "error connecting"

        async def tried_twice() -> bool:
            assert child.running, child.log.read_text()
            return said_in(child, word) >= 2

        await until(tried_twice, "a worker that tries and tries", seconds=60)
        await way.open()
        try:
            assert ran_once(await job_in(client, job_id, seconds=60))
            # in a thread: the passage must go on letting through what the worker says last
            await asyncio.to_thread(child.stop)
        finally:
            await way.cut()
        assert child.process is not None
        assert child.process.returncode == 0


@pytest.mark.parametrize("how", ["refused", "silent"])
async def test_a_worker_that_waits_for_temporal_ends_when_it_is_told_to(settings: Settings, how: str) -> None:
    async with passage(settings.temporal_address) as way:
        if how == "silent":
            way.freeze()
        else:
            await way.cut()
        with worker_process(with_temporal_at(settings, way.address)) as child:

            async def tries() -> bool:
                assert child.running, child.log.read_text()
                return said_in(child, "cannot be reached") >= 1

            await until(tries, "a worker that waits for Temporal")
            child.stop(seconds=10)
            assert child.process is not None
            assert child.process.returncode == 0
