"""Cancel in every state: the job ends REVOKED, with its times, and nothing of its run is written any more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

import httpx2
import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from config import Settings
from tests.conftest import serving
from tests.faults.scenes import (
    client_at,
    effect_under_way,
    ended,
    ran_once,
    set_held,
    sets_of_one_project,
    temporal_passage,
    written_of,
)
from tests.field import Field, Person
from tests.passages import Passage
from tests.processes import worker_process
from tests.waiting import job_in, make_job, until
from worker import working


@dataclass(frozen=True)
class Scene:
    """A job in some state, an API, and a worker if there is one: both reach Temporal by the passage."""

    client: httpx2.AsyncClient
    way: Passage
    job_id: int


STATES = ["waiting", "delaying", "working"]


@asynccontextmanager
async def job_that_is(
    state: str, settings: Settings, field: Field, admin: Person, *, killed: bool = False
) -> AsyncIterator[Scene]:
    """A job that waits for a worker, delays, or is in the middle of its effect; `killed`: and so was its worker."""
    project_id, (held, free) = await sets_of_one_project(field, 2)
    async with (
        temporal_passage(settings) as (way, behind),
        serving(behind) as address,
        client_at(address, admin) as client,
        set_held(field, held),
    ):
        set_id = held if state == "working" else free
        job_id = (await make_job(client, project_id, set_id, delay=300 if state == "delaying" else 0))["id"]
        if state == "waiting":
            yield Scene(client, way, job_id)
            return
        if killed:
            with worker_process(settings) as child:
                await job_in(client, job_id, "STARTED")
                if state == "working":
                    await effect_under_way(field)
                child.kill()
            yield Scene(client, way, job_id)
            return
        async with working(behind):
            await job_in(client, job_id, "STARTED")
            if state == "working":
                await effect_under_way(field)
            yield Scene(client, way, job_id)


async def cancelled(scene: Scene, state: str) -> dict[str, Any]:
    """The job after its cancellation: REVOKED, and with a duration exactly if a worker had begun it."""
    began = monotonic()
    answer = await scene.client.post(f"/jobs/{scene.job_id}/cancel/")
    assert monotonic() - began < 5
    assert answer.status_code == 200
    assert answer.json()["status"] in ("CANCELING", "REVOKED")
    job = await job_in(scene.client, scene.job_id, "REVOKED", seconds=20)
    begun = state != "waiting"
    assert job["finished_at"] is not None
    assert (job["started_at"] is not None) == begun
    assert (job["duration"] is not None and float(job["duration"]) > 0) == begun
    assert job["logs"]["stderr"] == []
    assert {stage["status"] for stage in job["progress"]["stages"]} <= {"REVOKED", "CREATED"}
    return job


async def cancelling_again_changes_nothing(scene: Scene, field: Field) -> None:
    written = await written_of(field, scene.job_id)
    before = (await scene.client.get(f"/jobs/{scene.job_id}/")).json()
    answers = await asyncio.gather(*(scene.client.post(f"/jobs/{scene.job_id}/cancel/") for _ in range(4)))
    assert [answer.json() for answer in answers] == [before] * 4
    assert await written_of(field, scene.job_id) == written


async def nobody_works(field: Field) -> None:
    """Until no session of a worker is in the middle of something."""

    async def look() -> bool:
        return not await field.read(
            """SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
            AND application_name = 'nightjar worker' AND state <> 'idle'"""
        )

    await until(look, "workers at rest")


async def nothing_was_done(field: Field) -> None:
    assert await field.read("SELECT 1 FROM source_image_collection_images") == []


@pytest.mark.parametrize("state", STATES)
async def test_a_job_is_cancelled_while_temporal_is_away(
    settings: Settings, field: Field, admin: Person, temporal: Client, state: str
) -> None:
    async with job_that_is(state, settings, field, admin) as scene:
        scene.way.freeze()
        await cancelled(scene, state)
        await cancelling_again_changes_nothing(scene, field)
        await nobody_works(field)
        written = await written_of(field, scene.job_id)
        scene.way.thaw()
        if state != "waiting":
            assert await ended(temporal, f"job-{scene.job_id}") is not WorkflowExecutionStatus.COMPLETED
            await nobody_works(field)
        assert await written_of(field, scene.job_id) == written
    await nothing_was_done(field)


@pytest.mark.parametrize("state", ["delaying", "working"])
async def test_a_job_is_cancelled_when_its_worker_is_dead(
    settings: Settings, field: Field, admin: Person, temporal: Client, state: str
) -> None:
    async with job_that_is(state, settings, field, admin, killed=True) as scene:
        await cancelled(scene, state)
        await cancelling_again_changes_nothing(scene, field)
        assert await ended(temporal, f"job-{scene.job_id}") is not WorkflowExecutionStatus.COMPLETED
        written = await written_of(field, scene.job_id)
        async with working(settings):
            # who comes later finds nothing to do for it, and does the next one
            other = await field.read("SELECT id FROM source_image_collections ORDER BY id DESC LIMIT 1")
            project = await field.read("SELECT id FROM projects")
            job = await make_job(scene.client, project[0]["id"], other[0]["id"])
            assert ran_once(await job_in(scene.client, job["id"]))
        assert await written_of(field, scene.job_id) == written


@pytest.mark.parametrize("state", STATES)
async def test_a_job_that_many_cancel_at_once_is_cancelled_once(
    settings: Settings, field: Field, admin: Person, temporal: Client, state: str
) -> None:
    async with job_that_is(state, settings, field, admin) as scene:
        answers = await asyncio.gather(
            *(scene.client.post(f"/jobs/{scene.job_id}/cancel/") for _ in range(12))
        )
        assert {answer.status_code for answer in answers} == {200}
        assert {answer.json()["status"] for answer in answers} <= {"CANCELING", "REVOKED"}
        job = await cancelled(scene, state)
        said = [line for line in job["logs"]["stdout"] if "REVOKED" in line or "CANCELING" in line]
        assert len(said) == (1 if state == "waiting" else 2)
        assert await ended(temporal, f"job-{scene.job_id}") is not WorkflowExecutionStatus.COMPLETED
    await nobody_works(field)
    await nothing_was_done(field)


async def test_a_cancel_right_after_a_run_ends_the_job_wherever_the_two_meet(
    client: httpx2.AsyncClient, field: Field, worker: None, temporal: Client
) -> None:
    project_id, set_id = await field.small_set()

    async def click_and_regret(after: float | None) -> dict[str, Any]:
        job_id = (await make_job(client, project_id, set_id, start=False, delay=60))["id"]
        running = asyncio.create_task(client.post(f"/jobs/{job_id}/run/"))
        await until(lambda: asked(field, job_id), "the commit of run/")
        if after is None:
            await job_in(client, job_id, "STARTED")
        else:
            await asyncio.sleep(after)  # between the commit, the start of the workflow and the claim
        answer = await client.post(f"/jobs/{job_id}/cancel/")
        assert answer.status_code == 200
        assert (await running).status_code == 200
        return await job_in(client, job_id, "REVOKED", seconds=20)

    moments = [*(0.006 * n for n in range(14)), None, None]
    jobs = await asyncio.gather(*(click_and_regret(after) for after in moments))

    assert any(job["started_at"] for job in jobs)
    for job in jobs:
        assert job["finished_at"] is not None
        assert (job["duration"] is None) == (job["started_at"] is None)
        assert await ended(temporal, f"job-{job['id']}") is not WorkflowExecutionStatus.COMPLETED
        assert (await client.get(f"/jobs/{job['id']}/")).json() == job
    await nothing_was_done(field)


async def asked(field: Field, job_id: int) -> bool:
    rows = await field.read("SELECT 1 FROM jobs WHERE id = %(job_id)s AND run = 1", job_id=job_id)
    return bool(rows)
