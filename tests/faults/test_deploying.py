"""New workers for old ones, and a new API for an old one, under a stream of jobs: none fails, each runs once."""

import asyncio
import signal
from contextlib import ExitStack
from functools import partial

import httpx2
import pytest

from config import Settings
from embedded.child import Child
from tests.faults.scenes import (
    FINAL,
    client_at,
    effect_under_way,
    messages,
    ran_once,
    set_held,
    sets_of_one_project,
)
from tests.field import Field, Person
from tests.processes import api_process, worker_process
from tests.waiting import job_in, make_job, until

ROUNDS = 2


async def told_to_stop(child: Child) -> int:
    """How the process ended that was told to (SIGTERM); waits for it without holding up the tests."""
    assert child.process is not None
    child.process.send_signal(signal.SIGTERM)

    async def gone() -> bool:
        return not child.running

    await until(gone, f"the end of {child.name}", seconds=45)
    return child.process.returncode


async def test_no_job_fails_or_runs_twice_while_workers_are_replaced_under_load(
    client: httpx2.AsyncClient, field: Field, settings: Settings
) -> None:
    project_id, sets = await sets_of_one_project(field, 6)
    asked: list[int] = []
    deploying = True

    async def keep_asking(set_id: int, delay: int) -> None:
        while deploying:
            job = await make_job(client, project_id, set_id, delay=delay)
            asked.append(job["id"])
            await job_in(client, job["id"], *FINAL, seconds=60)

    streams = [asyncio.create_task(keep_asking(set_id, delay)) for set_id in sets for delay in (0, 0, 3)]
    log = settings.data_dir / "worker.log"

    async def up(number: int) -> bool:
        return log.exists() and log.read_text().count("working on") >= number

    with ExitStack() as started:
        old: list[Child] = []
        try:
            for deploy in range(ROUNDS + 1):
                new = [started.enter_context(worker_process(settings)) for _ in range(2)]
                await until(partial(up, 2 * (deploy + 1)), "the new workers")
                assert await asyncio.gather(*(told_to_stop(child) for child in old)) == [0] * len(old)
                old = new
                await until(partial(reached, asked, len(asked) + 10), "jobs that run")
        finally:
            deploying = False
        await asyncio.gather(*streams)

    assert len(asked) >= ROUNDS * 10
    for job_id in asked:
        job = await job_in(client, job_id)
        assert ran_once(job), messages(job)


async def reached(asked: list[int], number: int) -> bool:
    return len(asked) >= number


async def test_a_worker_that_is_told_to_stop_hands_over_what_it_cannot_finish(
    client: httpx2.AsyncClient, field: Field, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_id, set_id = await field.small_set()
    monkeypatch.setenv("NIGHTJAR_SHUTDOWN_GRACE", "1")
    async with set_held(field, set_id):
        with worker_process(settings) as old:
            job_id = (await make_job(client, project_id, set_id))["id"]
            await effect_under_way(field)
            assert await told_to_stop(old) == 0
        with worker_process(settings):
            # the stage is tried again long before anybody would miss a heartbeat
            await effect_under_way(field)
            assert (await client.get(f"/jobs/{job_id}/")).json()["status"] == "STARTED"
    with worker_process(settings):
        job = await job_in(client, job_id)

    assert ran_once(job), messages(job)
    assert len(await field.members(set_id)) == 5


async def test_an_api_that_is_told_to_stop_answers_what_it_was_asked(
    settings: Settings, field: Field, admin: Person, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    with api_process(settings) as (api, address):
        async with client_at(address, admin) as client:
            job_id = (await make_job(client, project_id, set_id, start=False, delay=2))["id"]
            asking = asyncio.create_task(client.post(f"/jobs/{job_id}/run/?no_async"))

            async def started() -> bool:
                rows = await field.read("SELECT status FROM jobs")
                return bool(rows[0]["status"] == "STARTED")

            await until(started, "the job")
            # when it has answered, the server lets the signal end it
            assert await told_to_stop(api) in (0, -signal.SIGTERM)
            answer = await asking

    assert (answer.status_code, answer.json()["status"]) == (200, "SUCCESS")
    assert ran_once(answer.json())
