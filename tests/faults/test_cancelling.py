"""Cancel in every state: the job ends REVOKED, with its times, and nothing of its run is written any more."""

import asyncio
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
    temporal_passage,
    written_of,
)
from tests.faults.test_starting import sets_of_one_project
from tests.field import Field, Person
from tests.processes import worker_process
from tests.waiting import job_in, make_job
from worker import working


async def cancelled(client: httpx2.AsyncClient, job_id: int, *, begun: bool, seconds: float = 20) -> dict[str, Any]:
    """The job after its cancellation: REVOKED, and with a duration exactly if a worker had begun it."""
    answer = await client.post(f"/jobs/{job_id}/cancel/")
    assert answer.status_code == 200
    assert answer.json()["status"] in ("CANCELING", "REVOKED")
    job = await job_in(client, job_id, "REVOKED", seconds=seconds)
    assert job["finished_at"] is not None
    assert (job["started_at"] is not None) == begun
    assert (job["duration"] is not None and float(job["duration"]) > 0) == begun
    assert job["logs"]["stderr"] == []
    return job


async def stays(client: httpx2.AsyncClient, field: Field, job_id: int) -> None:
    """Cancelling again changes nothing, in the answer and in the rows."""
    written = await written_of(field, job_id)
    before = (await client.get(f"/jobs/{job_id}/")).json()
    answers = await asyncio.gather(*(client.post(f"/jobs/{job_id}/cancel/") for _ in range(4)))
    assert [answer.json() for answer in answers] == [before] * 4
    assert await written_of(field, job_id) == written


STATES = {"waiting": False, "delaying": True, "working": True}


@pytest.mark.parametrize("state", STATES)
async def test_a_job_is_cancelled_while_temporal_is_away(
    settings: Settings, field: Field, admin: Person, temporal: Client, state: str
) -> None:
    project_id, (held, free) = await sets_of_one_project(field, 2)
    async with (
        temporal_passage(settings) as (way, behind),
        serving(behind) as address,
        client_at(address, admin) as client,
        set_held(field, held),
    ):
        if state == "waiting":
            job_id = (await make_job(client, project_id, free))["id"]
        else:
            await client.get(f"{address}/readyz")
        async with working(behind):
            if state != "waiting":
                set_id, delay = (held, 0) if state == "working" else (free, 300)
                job_id = (await make_job(client, project_id, set_id, delay=delay))["id"]
                await job_in(client, job_id, "STARTED")
                if state == "working":
                    await effect_under_way(field)
            else:
                job_id = (await make_job(client, project_id, held))["id"]
                job_id = await waiting_job(client, project_id, free)
            way.freeze()
            began = asyncio.get_running_loop().time()
            await cancelled(client, job_id, begun=STATES[state])
            assert asyncio.get_running_loop().time() - began < 10
            await stays(client, field, job_id)
            written = await written_of(field, job_id)
            way.thaw()
            assert await ended(temporal, f"job-{job_id}") is not WorkflowExecutionStatus.COMPLETED
    assert await written_of(field, job_id) == written
    assert await field.members(free) == set()
    assert await field.members(held) == set()
