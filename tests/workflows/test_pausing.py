"""Pause and resume: nothing new is begun, what is under way is finished, and nothing is forgotten meanwhile."""

import asyncio
from typing import Any

import httpx2
from temporalio.client import Client

from config import Settings
from db.connections import Database
from tests.conftest import serving
from tests.faults.scenes import effect_under_way
from tests.field import Field, Person
from tests.passages import Passage
from tests.processes import worker_process
from tests.waiting import job_in, make_job, until
from tests.workflows.test_runs import POPULATE, lines, stage, under_way
from worker import working


async def post(client: httpx2.AsyncClient, job_id: int, word: str) -> dict[str, Any]:
    answer = await client.post(f"/jobs/{job_id}/{word}/")
    assert answer.status_code == 200, answer.text
    job: dict[str, Any] = answer.json()
    return job


def held_in(job: dict[str, Any]) -> list[str]:
    """The stages that say that the job is paused."""
    return [
        each["key"]
        for each in job["progress"]["stages"]
        if any(param["key"] == "paused_since" for param in each["params"])
    ]


async def details(temporal: Client, job_id: int) -> str:
    """What the Temporal Web UI shows of the job."""
    answer: str = await temporal.get_workflow_handle(f"job-{job_id}").query("__temporal_workflow_metadata")
    return str(answer)


async def test_a_paused_delay_stands_still_and_goes_on_when_it_is_resumed(
    client: httpx2.AsyncClient, field: Field, worker: None, temporal: Client
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, delay=2)
    await under_way(client, job["id"], "delay")

    paused = await post(client, job["id"], "pause")
    assert paused["status"] == "STARTED"
    assert paused["paused_at"] is not None
    assert held_in(paused) == ["delay"]

    async def shown() -> bool:
        return "paused" in await details(temporal, job["id"])

    await until(shown, "the pause in the workflow's details")
    await asyncio.sleep(3)  # longer than the delay
    still = (await client.get(f"/jobs/{job['id']}/")).json()
    assert (still["status"], stage(still, POPULATE)["status"]) == ("STARTED", "CREATED")

    resumed = await post(client, job["id"], "resume")
    assert (resumed["paused_at"], held_in(resumed)) == (None, [])
    job = await job_in(client, job["id"], "SUCCESS")
    assert held_in(job) == []
    assert [line for line in lines(job) if "ausing" in line or "esuming" in line] == [
        f"INFO Pausing job {job['id']}: what is under way is finished, nothing new is begun",
        f"INFO Resuming job {job['id']}",
    ]


async def test_what_is_under_way_is_finished(
    client: httpx2.AsyncClient, field: Field, worker: None, database: Database
) -> None:
    project_id, set_id = await field.small_set()
    async with database.transaction() as holding:
        await holding.execute(
            "SELECT 1 FROM source_image_collections WHERE id = %s FOR NO KEY UPDATE", (set_id,)
        )
        job = await make_job(client, project_id, set_id)
        await under_way(client, job["id"], POPULATE)
        # the filling itself, not only the turn before it
        await effect_under_way(field)
        assert held_in(await post(client, job["id"], "pause")) == [POPULATE]

    job = await job_in(client, job["id"], "SUCCESS")
    assert job["paused_at"] is None
    assert len(await field.members(set_id)) > 0


async def test_a_job_paused_while_it_waits_begins_nothing_once_it_is_claimed(
    client: httpx2.AsyncClient, field: Field, settings: Settings
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id)
    assert (await post(client, job["id"], "pause"))["status"] == "PENDING"

    async with working(settings):
        await job_in(client, job["id"], "STARTED")
        await asyncio.sleep(1)
        assert stage((await client.get(f"/jobs/{job['id']}/")).json(), POPULATE)["status"] == "CREATED"
        await post(client, job["id"], "resume")
        await job_in(client, job["id"], "SUCCESS")


async def test_a_pause_survives_every_worker_and_is_resumed_by_the_next(
    client: httpx2.AsyncClient, field: Field, settings: Settings
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, delay=4)
    with worker_process(settings) as first:
        await under_way(client, job["id"], "delay")
        await post(client, job["id"], "pause")
        first.kill()
    with worker_process(settings):
        await asyncio.sleep(5)
        paused = (await client.get(f"/jobs/{job['id']}/")).json()
        assert (paused["status"], stage(paused, POPULATE)["status"]) == ("STARTED", "CREATED")
        await post(client, job["id"], "resume")
        job = await job_in(client, job["id"], "SUCCESS")
    assert sum("Running job" in line for line in lines(job)) == 1


async def test_a_job_resumed_while_temporal_is_away_goes_on_when_it_is_back(
    settings: Settings, field: Field, admin: Person, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    way = Passage(settings.temporal_address)
    await way.open()
    detour = settings.model_copy(update={"temporal_address": way.address})
    async with (
        serving(detour) as address,
        httpx2.AsyncClient(base_url=f"{address}/api/v2", headers=admin.headers, timeout=20) as client,
    ):
        job = await make_job(client, project_id, set_id, delay=1)
        await post(client, job["id"], "pause")
        await job_in(client, job["id"], "STARTED")
        await way.cut()
        await post(client, job["id"], "resume")
        await way.open()
        await job_in(client, job["id"], "SUCCESS")
    await way.cut()


async def test_a_paused_job_can_be_cancelled_and_run_again(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, delay=1)
    await post(client, job["id"], "pause")
    await job_in(client, job["id"], "STARTED")

    await post(client, job["id"], "cancel")
    job = await job_in(client, job["id"], "REVOKED", seconds=5)
    assert job["paused_at"] is None

    await post(client, job["id"], "retry")
    job = await job_in(client, job["id"])
    assert job["status"] == "SUCCESS"


async def test_pausing_what_does_not_run_and_resuming_what_is_not_paused_changes_nothing(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    created = await make_job(client, project_id, set_id, start=False)
    over = await job_in(client, (await make_job(client, project_id, set_id))["id"], "SUCCESS")
    waiting = await make_job(client, project_id, set_id, delay=60)
    await under_way(client, waiting["id"], "delay")
    paused = await post(client, waiting["id"], "pause")

    for word in ("pause", "resume"):
        assert (await post(client, created["id"], word))["status"] == "CREATED"
        assert await post(client, over["id"], word) == over
    again = await post(client, waiting["id"], "pause")
    assert (again["paused_at"], len(lines(again))) == (paused["paused_at"], len(lines(paused)))
    await post(client, waiting["id"], "cancel")


async def test_a_job_can_be_paused_and_resumed_by_signals(
    client: httpx2.AsyncClient, field: Field, worker: None, temporal: Client
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, delay=3)
    await under_way(client, job["id"], "delay")
    handle = temporal.get_workflow_handle(f"job-{job['id']}")

    await handle.signal("pause")

    async def paused() -> bool:
        return (await client.get(f"/jobs/{job['id']}/")).json()["paused_at"] is not None

    await until(paused, "the pause in the row")
    await handle.signal("resume")
    job = await job_in(client, job["id"], "SUCCESS")
    assert sum("esuming" in line for line in lines(job)) == 1
