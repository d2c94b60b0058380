"""Asked twice, done twice, answered too late: one execution, one effect, one line in the log."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack, ExitStack

import httpx2
import pytest

from config import Settings
from db.connections import Row
from tests.faults.scenes import (
    client_at,
    effect_under_way,
    lose,
    messages,
    ran_once,
    row_of,
    said,
    set_held,
    temporal_passage,
    written_of,
)
from tests.field import Field, Person
from tests.processes import api_process, worker_process
from tests.waiting import job_in, make_job, until
from worker import working

POPULATE = "populate_captures_collection"


# asked twice --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["run", "retry"])
async def test_double_clicks_of_many_on_two_apis_run_a_job_once(
    settings: Settings, field: Field, admin: Person, worker: None, word: str
) -> None:
    project_id, set_id = await field.small_set()
    with api_process(settings) as (_, one), api_process(settings) as (_, other):
        async with AsyncExitStack() as opened:
            clients = [
                await opened.enter_async_context(client_at(address, admin))
                for address in (one, other)
                for _ in range(6)
            ]
            # long enough that all of them come while it is under way
            job_id = (await make_job(clients[0], project_id, set_id, start=False, delay=2))["id"]
            clicks = [client.post(f"/jobs/{job_id}/{word}/") for client in clicks_of(clients)]
            answers = await asyncio.gather(*clicks)
            assert {answer.status_code for answer in answers} == {200}
            assert {answer.json()["status"] for answer in answers} <= {"PENDING", "STARTED"}
            job = await job_in(clients[0], job_id)
    assert ran_once(job), messages(job)
    assert (await row_of(field, job_id))["run"] == 1
    assert said(job, "out of 2 seconds") == 1


def clicks_of(clients: list[httpx2.AsyncClient]) -> list[httpx2.AsyncClient]:
    """Each clicks twice."""
    return [client for client in clients for _ in range(2)]


async def test_a_post_sent_to_two_apis_with_one_key_makes_one_job(
    settings: Settings, field: Field, admin: Person, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    body = {
        "name": "Populate",
        "delay": 0,
        "project_id": project_id,
        "source_image_collection_id": set_id,
        "job_type_key": POPULATE,
    }
    with api_process(settings) as (_, one), api_process(settings) as (_, other):
        async with (
            client_at(one, admin, **{"Idempotency-Key": "k"}) as first,
            client_at(other, admin, **{"Idempotency-Key": "k"}) as second,
        ):
            answers = await asyncio.gather(
                *(client.post("/jobs/?start_now", json=body) for client in clicks_of([first, second] * 4))
            )
            kept = await second.post("/jobs/?start_now", json=body)
            # 409: another one of them is being answered at this moment
            assert {answer.status_code for answer in answers} <= {201, 409}
            assert {answer.json()["id"] for answer in (*answers, kept) if answer.status_code == 201} == {
                kept.json()["id"]
            }
            job = await job_in(first, kept.json()["id"])
    assert ran_once(job), messages(job)
    assert await field.read("SELECT count(*) AS n FROM jobs") == [{"n": 1}]


# done twice ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["cut", "freeze"])
async def test_an_effect_whose_answer_was_lost_is_not_done_again(
    settings: Settings, client: httpx2.AsyncClient, field: Field, fault: str
) -> None:
    project_id, set_id = await field.small_set()
    async with temporal_passage(settings) as (way, behind), working(behind):
        async with set_held(field, set_id):
            job_id = (await make_job(client, project_id, set_id))["id"]
            await effect_under_way(field)
            await lose(way, fault)

        async def committed() -> bool:
            rows = await field.read("SELECT status FROM job_stages")
            return bool(rows[0]["status"] == "SUCCESS")

        await until(committed, "the commit of the effect")
        effect = await written_of_effect(field, set_id)
        assert (await row_of(field, job_id))["status"] == "STARTED"
        await asyncio.sleep(12)  # the fault: Temporal takes the attempt for dead after ten seconds
        await way.open()
        job = await job_in(client, job_id, seconds=60)

    assert ran_once(job), messages(job)
    assert await written_of_effect(field, set_id) == effect
    assert len(messages(job)) == len(set(messages(job)))


async def written_of_effect(field: Field, set_id: int) -> list[dict[str, object]]:
    """The rows of the set with PostgreSQL's number of the transaction that wrote each."""
    return await field.read(
        """SELECT source_image_id, xmin::text AS written_by FROM source_image_collection_images
        WHERE collection_id = %(set_id)s ORDER BY 1""",
        set_id=set_id,
    )


# two at once --------------------------------------------------------------------------------------------------


async def taken_by_another_attempt(field: Field) -> None:
    """Until the stage is no longer that of its first attempt, which was given up for its missing heartbeats."""

    async def look() -> bool:
        rows = await field.read("SELECT attempt FROM job_stages")
        # execution, activity, number of the attempt, and what no other attempt has
        return any(row["attempt"] and row["attempt"].split("/")[2] != "1" for row in rows)

    await until(look, "another attempt", seconds=180)


async def done_by_the_newer_attempt_alone(
    client: httpx2.AsyncClient, field: Field, job_id: int, set_id: int
) -> list[Row]:
    """Gives what is written of the job then."""
    job = await job_in(client, job_id, seconds=60)
    assert ran_once(job), messages(job)
    said_by_all = messages(job)
    going_on = [number for number, line in enumerate(said_by_all) if "Going on with stage" in line]
    # an attempt that was handed to the worker behind the fault may begin once it is over, and is the newest then
    assert going_on
    of_the_newer = said_by_all[going_on[-1] :]
    assert len(of_the_newer) == len(set(of_the_newer))
    effect = await written_of_effect(field, set_id)
    assert len(effect) == 5
    assert len({row["written_by"] for row in effect}) == 1
    return await written_of(field, job_id)


async def nobody_works(field: Field) -> None:
    """Until no session of a worker is in the middle of something."""

    async def look() -> bool:
        return not await field.read(
            """SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
            AND application_name = 'nightjar worker' AND state <> 'idle'"""
        )

    await until(look, "workers at rest")


@pytest.mark.parametrize("fault", ["cut", "freeze"])
async def test_a_worker_that_was_cut_off_from_temporal_writes_nothing_of_what_another_does_in_its_place(
    settings: Settings, client: httpx2.AsyncClient, field: Field, fault: str
) -> None:
    project_id, set_id = await field.small_set()
    async with temporal_passage(settings) as (way, behind):
        with worker_process(behind), ExitStack() as later:
            async with set_held(field, set_id):
                job_id = (await make_job(client, project_id, set_id))["id"]
                await effect_under_way(field)
                await lose(way, fault)
                later.enter_context(worker_process(settings))
                await taken_by_another_attempt(field)
                await effect_under_way(field)
                await way.open()
            written = await done_by_the_newer_attempt_alone(client, field, job_id, set_id)
            await nobody_works(field)
            # the worker that was cut off is a good one again
            another = await job_in(client, (await make_job(client, project_id, set_id))["id"])
            assert ran_once(another), messages(another)
    assert await written_of(field, job_id) == written


async def test_a_worker_that_stood_still_in_the_middle_of_its_effect_writes_nothing_when_it_goes_on(
    settings: Settings, client: httpx2.AsyncClient, field: Field
) -> None:
    project_id, set_id = await field.small_set()
    async with temporal_passage(settings) as (way, behind):
        with worker_process(behind) as standing, ExitStack() as later:
            async with set_held(field, set_id):
                job_id = (await make_job(client, project_id, set_id))["id"]
                await effect_under_way(field)
                os.kill(standing.pid, signal.SIGSTOP)
                # or else Temporal would go on giving tasks to it, as long as its polls are open
                await way.cut()
                later.enter_context(worker_process(settings))
                await taken_by_another_attempt(field)
                # both wait for the set, the one that stands still before the other
                await effect_under_way(field, waiting=2)
                await way.open()
            os.kill(standing.pid, signal.SIGCONT)
            written = await done_by_the_newer_attempt_alone(client, field, job_id, set_id)
            await nobody_works(field)
            assert await written_of(field, job_id) == written
