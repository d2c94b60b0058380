"""Jobs that would do the same to the same thing: one at a time, and who waits takes no worker's place."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import httpx2
import pytest

from config import Settings
from db import grouping_rows
from tests.faults.scenes import effect_under_way, messages, said, set_held, waiting_for_turn
from tests.field import Field
from tests.processes import worker_process
from tests.waiting import job_in, make_job
from tests.workflows.test_regroup_events import asked as asked_to_group
from tests.workflows.test_regroup_events import station_of_two_nights
from tests.workflows.test_runs import stage
from worker import working

What = Literal["regroup_events", "populate_captures_collection"]


@dataclass(frozen=True)
class Thing:
    """Something that jobs of one type work on, and how it is called in their sentences."""

    client: httpx2.AsyncClient
    field: Field
    what: What
    project_id: int
    id: int

    @classmethod
    async def made(cls, client: httpx2.AsyncClient, field: Field, what: What) -> "Thing":
        made = station_of_two_nights(field) if what == "regroup_events" else field.small_set()
        return cls(client, field, what, *await made)

    @property
    def name(self) -> str:
        if self.what == "regroup_events":
            return f"deployment #{self.id} Station 1"
        return f"source image collection #{self.id} Set"

    async def asked(self) -> int:
        """A job for it."""
        if self.what == "regroup_events":
            return await asked_to_group(self.client, self.id)
        return int((await make_job(self.client, self.project_id, self.id))["id"])

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """While the block runs, the job that has its turn stands in the middle of its effect."""
        if self.what == "populate_captures_collection":
            async with set_held(self.field, self.id):
                yield
            return
        async with self.field.database.transaction() as db:
            await grouping_rows.lock(db, self.id)
            yield


@pytest.fixture(params=["regroup_events", "populate_captures_collection"])
async def thing(request: pytest.FixtureRequest, client: httpx2.AsyncClient, field: Field) -> Thing:
    return await Thing.made(client, field, request.param)


def waiting_for(job: dict[str, Any], thing: Thing) -> int | None:
    """For which job it waits, as its page says."""
    params = stage(job, thing.what)["params"]
    return next((param["value"] for param in params if param["key"] == "waiting_for_job"), None)


async def test_the_second_waits_for_the_first_and_says_so(thing: Thing, worker: None) -> None:
    client = thing.client
    async with thing.held():
        first = await thing.asked()
        await effect_under_way(thing.field)
        second = await thing.asked()
        await waiting_for_turn(thing.field)
        page = (await client.get(f"/jobs/{second}/")).json()
        explained = (await client.get(f"/jobs/{second}/explain/")).json()
    jobs = [await job_in(client, job_id, "SUCCESS") for job_id in (first, second)]

    assert (page["status"], waiting_for(page, thing)) == ("STARTED", first)
    assert (explained["cause"], explained["action_by"]) == ("waiting_for_turn", "nobody")
    assert explained["summary"] == f"Waiting for job {first}, which works on {thing.name}"
    assert [said(job, f"Job {first} is") for job in jobs] == [0, 2]
    assert said(jobs[1], f"{thing.name}; waiting until it is done") == 1
    assert said(jobs[1], f"Job {first} is done") == 1
    assert said(jobs[1], "Going on") == 0
    assert waiting_for(jobs[1], thing) is None
    assert len(messages(jobs[1])) == len(set(messages(jobs[1])))


async def test_one_that_waits_for_another_can_be_cancelled_and_paused(thing: Thing, worker: None) -> None:
    client = thing.client
    async with thing.held():
        first = await thing.asked()
        await effect_under_way(thing.field)
        paused, cancelled = await thing.asked(), await thing.asked()
        await waiting_for_turn(thing.field, jobs=2)
        await client.post(f"/jobs/{paused}/pause/")
        await client.post(f"/jobs/{cancelled}/cancel/")
        await job_in(client, cancelled, "REVOKED", seconds=5)
    await job_in(client, first, "SUCCESS")
    third = await job_in(client, await thing.asked(), "SUCCESS")
    still = (await client.get(f"/jobs/{paused}/")).json()
    await client.post(f"/jobs/{paused}/resume/")
    resumed = await job_in(client, paused, "SUCCESS")

    assert (still["status"], still["paused_at"] is not None) == ("STARTED", True)
    assert said(third, "waiting until") == 0
    assert resumed["logs"]["stderr"] == []


async def test_the_turn_of_a_worker_that_was_killed_ends_with_its_run(
    thing: Thing, settings: Settings
) -> None:
    client = thing.client
    async with thing.held():
        with worker_process(settings) as killed:
            first = await thing.asked()
            await effect_under_way(thing.field)
            killed.kill()
        with worker_process(settings):
            # while nobody has noticed
            second = await thing.asked()
            await waiting_for_turn(thing.field)
            await client.post(f"/jobs/{first}/cancel/")
            await job_in(client, first, "REVOKED", seconds=10)
            await effect_under_way(thing.field)
    with worker_process(settings):
        job = await job_in(client, second, "SUCCESS")

    assert said(job, f"Job {first} is done") == 1


async def test_the_turn_of_a_worker_that_was_killed_is_that_of_its_next_attempt(
    thing: Thing, settings: Settings
) -> None:
    async with thing.held():
        with worker_process(settings) as killed:
            first = await thing.asked()
            await effect_under_way(thing.field)
            killed.kill()
    with worker_process(settings):
        second = await thing.asked()
        jobs = [await job_in(thing.client, job_id, "SUCCESS") for job_id in (first, second)]

    assert jobs[0]["finished_at"] < jobs[1]["finished_at"]
    assert said(jobs[1], f"Job {first} is done") == 1


async def test_one_that_was_paused_is_in_nobodys_way_and_its_effect_is_done_once(
    thing: Thing, worker: None
) -> None:
    client = thing.client
    async with thing.held():
        first = await thing.asked()
        await effect_under_way(thing.field)
        await client.post(f"/jobs/{first}/pause/")
        second = await thing.asked()
        await effect_under_way(thing.field, waiting=2)
    done = await job_in(client, second, "SUCCESS")
    await client.post(f"/jobs/{first}/resume/")
    resumed = await job_in(client, first, "SUCCESS")

    assert said(done, f"Job {first} is") == 0
    assert said(resumed, "now has 2 events" if thing.what == "regroup_events" else "Added ") == 1
    assert resumed["logs"]["stderr"] == []


async def test_ten_that_wait_leave_a_worker_with_few_places_free_for_another(
    thing: Thing, settings: Settings
) -> None:
    client, field = thing.client, thing.field
    other = await Thing.made(client, field, thing.what)
    async with working(settings.model_copy(update={"max_concurrent_activities": 2})):
        async with thing.held():
            jobs = [await thing.asked() for _ in range(10)]
            await waiting_for_turn(field, jobs=9)

            beside = await job_in(client, await other.asked(), "SUCCESS")
            assert {(await client.get(f"/jobs/{job_id}/")).json()["status"] for job_id in jobs} == {"STARTED"}
        ended = [await job_in(client, job_id, seconds=90) for job_id in jobs]

    assert said(beside, "waiting until") == 0
    assert {job["status"] for job in ended} == {"SUCCESS"}
