"""A workflow that Temporal's own `workflow pause` holds: it is told so of, and is in nobody else's way.

The verb is off by default, and the client library knows no such state: it refuses the whole description.
"""

from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
from temporalio.api.workflowservice.v1 import (
    PauseWorkflowExecutionRequest,
    UnpauseWorkflowExecutionRequest,
)
from temporalio.client import Client

from config import Settings
from embedded.temporal import EmbeddedTemporal
from jobs.search_attributes import TYPE_NAMES
from temporal.connection import connect
from temporal.executions import describe
from tests.conftest import serving
from tests.field import Field, Person
from tests.waiting import job_in, until
from tests.workflows.test_sweeping import delayed, long_ago, sweep
from worker import working


@pytest.fixture(scope="module")
def pausing_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTemporal]:
    """A Temporal in which workflows can be paused."""
    folder = tmp_path_factory.mktemp("pausing")
    server = EmbeddedTemporal(
        folder / "temporal.sqlite",
        folder / "temporal.log",
        TYPE_NAMES,
        dynamic_config={"frontend.WorkflowPauseEnabled": "true"},
    )
    server.start(0, 0)
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture
def settings(settings: Settings, pausing_server: EmbeddedTemporal) -> Settings:
    return settings.model_copy(update={"temporal_address": pausing_server.address})


@pytest.fixture
async def client(settings: Settings, admin: Person) -> AsyncIterator[httpx2.AsyncClient]:
    async with (
        serving(settings) as address,
        httpx2.AsyncClient(base_url=f"{address}/api/v2", headers=admin.headers, timeout=20) as client,
    ):
        yield client


async def pause(temporal: Client, job_id: int) -> None:
    """What `temporal workflow pause` does; returns once the workflow is paused."""
    workflow_id = f"job-{job_id}"
    await temporal.workflow_service.pause_workflow_execution(
        PauseWorkflowExecutionRequest(namespace=temporal.namespace, workflow_id=workflow_id, reason="a look")
    )

    async def paused() -> bool:
        found = await describe(temporal, workflow_id)
        return found is not None and found.status == "PAUSED"

    await until(paused, "the workflow is paused")


async def unpause(temporal: Client, job_id: int) -> None:
    await temporal.workflow_service.unpause_workflow_execution(
        UnpauseWorkflowExecutionRequest(namespace=temporal.namespace, workflow_id=f"job-{job_id}")
    )


async def test_a_paused_workflow_is_explained_and_its_run_stays_open(
    client: httpx2.AsyncClient, field: Field, settings: Settings
) -> None:
    temporal = await connect(settings)
    async with working(settings):
        job_id = await delayed(client, field)
        await pause(temporal, job_id)
        await long_ago(field, job_id)

        explained = await client.get(f"/jobs/{job_id}/explain/")
        swept = await sweep(temporal, settings)
        job = (await client.get(f"/jobs/{job_id}/")).json()

    assert explained.status_code == 200
    assert (explained.json()["cause"], explained.json()["action_by"]) == ("paused", "operator")
    assert (swept.looked_at, swept.ended, swept.failed) == (1, 0, 0)
    assert job["status"] == "STARTED"


async def test_a_paused_workflow_keeps_the_sweep_from_no_other_run(
    client: httpx2.AsyncClient, field: Field, settings: Settings
) -> None:
    temporal = await connect(settings)
    async with working(settings):
        paused, ended = await delayed(client, field), await delayed(client, field)
        await pause(temporal, paused)
        await temporal.get_workflow_handle(f"job-{ended}").terminate(reason="over")
        for job_id in (paused, ended):
            await long_ago(field, job_id)

        swept = await sweep(temporal, settings)

        assert (swept.looked_at, swept.ended) == (2, 1)
        await job_in(client, ended, "REVOKED")


async def test_a_paused_workflow_can_be_cancelled_and_its_job_run_again(
    client: httpx2.AsyncClient, field: Field, settings: Settings
) -> None:
    temporal = await connect(settings)
    async with working(settings):
        job_id = await delayed(client, field)
        await pause(temporal, job_id)

        cancelled = await client.post(f"/jobs/{job_id}/cancel/")
        await job_in(client, job_id, "REVOKED")
        async with field.database.transaction() as db:
            await db.execute("UPDATE jobs SET delay = 0")
        again = await client.post(f"/jobs/{job_id}/retry/")
        await job_in(client, job_id, "SUCCESS")

    assert (cancelled.status_code, again.status_code) == (200, 200)


async def test_a_workflow_that_is_let_go_on_goes_on(
    client: httpx2.AsyncClient, field: Field, settings: Settings
) -> None:
    temporal = await connect(settings)
    async with working(settings):
        job_id = await delayed(client, field)
        await pause(temporal, job_id)
        await unpause(temporal, job_id)

        async def works() -> bool:
            return bool((await client.get(f"/jobs/{job_id}/explain/")).json()["cause"] == "delayed")

        await until(works, "the delay goes on")
        await client.delete(f"/jobs/{job_id}/")
