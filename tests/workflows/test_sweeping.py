"""The sweep: runs whose workflow is gone are closed with a word of why, and what was never started is."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus

from config import Settings
from temporal import schedules
from tests.field import Field
from tests.waiting import job_in, make_job, until
from tests.workflows.test_runs import POPULATE, closed, lines, stage, under_way, workflow_status
from worker import working
from workflows.sweep import NAME, SweepReport


async def sweep(temporal: Client, settings: Settings) -> SweepReport:
    """One sweep, as the Schedule starts it."""
    result: SweepReport = await temporal.execute_workflow(
        NAME,
        id=f"sweep-{uuid.uuid4()}",
        task_queue=f"{settings.task_queue}-jobs",
        result_type=SweepReport,
    )
    return result


async def long_ago(field: Field, job_id: int) -> None:
    """As if nothing had been heard of the job for a minute."""
    async with field.database.transaction() as db:
        await db.execute(
            "UPDATE jobs SET asked_at = now() - interval '1 minute', started_at = started_at - interval '1 minute'"
            " WHERE id = %s",
            (job_id,),
        )
        await db.execute(
            "UPDATE job_stages SET updated_at = now() - interval '1 minute' WHERE job_id = %s", (job_id,)
        )


async def delayed(client: httpx2.AsyncClient, field: Field) -> int:
    """A job that waits in its delay; the delay is reported every ten seconds."""
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, delay=300)
    await under_way(client, job["id"], "delay")
    return int(job["id"])


async def test_a_workflow_terminated_in_the_web_ui_leaves_a_revoked_job_that_says_so(
    client: httpx2.AsyncClient, field: Field, worker: None, temporal: Client, settings: Settings
) -> None:
    job_id = await delayed(client, field)
    await temporal.get_workflow_handle(f"job-{job_id}").terminate(reason="too many moths")
    await long_ago(field, job_id)

    swept = await sweep(temporal, settings)
    job = await job_in(client, job_id, "REVOKED")

    assert (swept.looked_at, swept.ended) == (1, 1)
    assert any(
        line.startswith("WARNING Its workflow was terminated in Temporal by") and "too many moths" in line
        for line in lines(job)
    )
    assert job["finished_at"] is not None
    assert stage(job, "delay")["status"] == "REVOKED"
    assert (await sweep(temporal, settings)).looked_at == 0
    # and it can be run again
    async with field.database.transaction() as db:
        await db.execute("UPDATE jobs SET delay = 0")
    await client.post(f"/jobs/{job_id}/retry/")
    await job_in(client, job_id, "SUCCESS")


async def test_a_workflow_terminated_before_it_was_claimed_leaves_a_revoked_job(
    client: httpx2.AsyncClient, field: Field, temporal: Client, settings: Settings
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id)
    await temporal.get_workflow_handle(f"job-{job['id']}").terminate()
    await long_ago(field, job["id"])

    async with working(settings):
        await sweep(temporal, settings)
        job = await job_in(client, job["id"])

    assert job["status"] == "REVOKED"
    assert job["started_at"] is None


async def test_a_workflow_that_ended_while_the_answer_to_its_start_was_lost_is_not_started_anew(
    client: httpx2.AsyncClient, field: Field, temporal: Client, settings: Settings
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id)
    handle = temporal.get_workflow_handle(f"job-{job['id']}")
    first = (await handle.describe()).run_id
    await handle.terminate()
    async with field.database.transaction() as db:
        # as it is when the API did not hear that its start came about: the relay delivers it once more
        await db.execute("UPDATE jobs SET launched_at = NULL, asked_at = now() - interval '1 minute'")

    async def carried() -> bool:
        return (await field.read("SELECT launched_at FROM jobs"))[0]["launched_at"] is not None

    await until(carried, "the start carried over")
    async with working(settings):
        await sweep(temporal, settings)
        job = await job_in(client, job["id"])

    assert (await handle.describe()).run_id == first
    assert job["status"] == "REVOKED"


async def test_a_waiting_run_whose_workflow_temporal_has_lost_is_started(
    client: httpx2.AsyncClient, field: Field, worker: None, temporal: Client, settings: Settings
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, start=False)
    async with field.database.transaction() as db:
        # as it is when Temporal's store was lost after the start was carried over
        await db.execute(
            """UPDATE jobs SET status = 'PENDING', run = 1, launched_at = now(),
            asked_at = now() - interval '1 minute'"""
        )

    swept = await sweep(temporal, settings)
    job = await job_in(client, job["id"], "SUCCESS")

    assert swept.started == 1
    assert sum("Running job" in line for line in lines(job)) == 1


async def test_a_run_under_way_that_temporal_knows_nothing_of_fails_and_says_so(
    client: httpx2.AsyncClient, field: Field, worker: None, temporal: Client, settings: Settings
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, start=False)
    async with field.database.transaction() as db:
        await db.execute(
            """UPDATE jobs SET status = 'STARTED', run = 1, asked_at = now() - interval '1 minute',
            started_at = now() - interval '1 minute', workflow_id = 'gone', workflow_run_id = %s""",
            (str(uuid.uuid4()),),
        )

    await sweep(temporal, settings)
    job = await job_in(client, job["id"])

    assert job["status"] == "FAILURE"
    assert "Temporal knows nothing of its workflow" in job["logs"]["stderr"][0]


async def test_a_workflow_that_timed_out_leaves_a_failed_job(
    client: httpx2.AsyncClient, field: Field, worker: None, temporal: Client, settings: Settings
) -> None:
    project_id, set_id = await field.small_set()
    handle = await temporal.start_workflow(
        POPULATE,
        {"project_id": project_id, "source_image_collection_id": set_id, "delay": 60},
        id=f"short-{settings.task_queue}",
        task_queue=f"{settings.task_queue}-jobs",
        execution_timeout=timedelta(seconds=2),
    )
    assert await closed(temporal, handle.id) is WorkflowExecutionStatus.TIMED_OUT
    job_id = (await client.get("/jobs/")).json()["results"][0]["id"]
    await long_ago(field, job_id)

    await sweep(temporal, settings)
    job = await job_in(client, job_id)

    assert job["status"] == "FAILURE"
    assert "timed out" in job["logs"]["stderr"][0]


async def test_a_healthy_job_is_left_alone_however_long_nothing_was_heard_of_it(
    client: httpx2.AsyncClient, field: Field, worker: None, temporal: Client, settings: Settings
) -> None:
    job_id = await delayed(client, field)
    await long_ago(field, job_id)

    swept = await sweep(temporal, settings)

    assert (swept.looked_at, swept.ended, swept.started) == (1, 0, 0)
    assert (await client.get(f"/jobs/{job_id}/")).json()["status"] == "STARTED"
    await client.post(f"/jobs/{job_id}/cancel/")


async def test_a_workflow_that_was_reset_is_still_the_job_s_and_can_be_cancelled(
    client: httpx2.AsyncClient, field: Field, worker: None, temporal: Client, settings: Settings
) -> None:
    job_id = await delayed(client, field)
    handle = temporal.get_workflow_handle(f"job-{job_id}")

    async def recorded() -> bool:
        return (await handle.describe()).history_length > 4

    await until(recorded, "the first workflow task in the history")
    first = (await handle.describe()).run_id
    await temporal.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace="default",
            workflow_execution=WorkflowExecution(workflow_id=handle.id),
            workflow_task_finish_event_id=4,
            request_id="once",
        )
    )
    await long_ago(field, job_id)

    swept = await sweep(temporal, settings)
    second = (await handle.describe()).run_id

    assert second != first
    assert swept.ended == 0
    rows = await field.read("SELECT status, workflow_run_id FROM jobs WHERE id = %(id)s", id=job_id)
    assert rows == [{"status": "STARTED", "workflow_run_id": second}]
    await client.post(f"/jobs/{job_id}/cancel/")
    await job_in(client, job_id, "REVOKED", seconds=5)
    assert await closed(temporal, handle.id) is not WorkflowExecutionStatus.RUNNING


async def test_a_cancelled_run_that_nobody_closes_is_closed(
    client: httpx2.AsyncClient, field: Field, worker: None, temporal: Client, settings: Settings
) -> None:
    job_id = await delayed(client, field)
    async with field.database.transaction() as db:
        # as an API leaves it that was killed after the commit, when no other is there
        await db.execute("UPDATE jobs SET status = 'CANCELING', asked_at = now() + interval '1 hour'")
        await db.execute("UPDATE job_stages SET updated_at = now() - interval '1 minute'")
    async with field.database.transaction() as db:
        await db.execute(
            "UPDATE jobs SET asked_at = now() - interval '1 minute', started_at = now() - interval '1 hour'"
        )

    await sweep(temporal, settings)

    job = await job_in(client, job_id, "REVOKED")
    assert job["finished_at"] is not None
    assert await closed(temporal, f"job-{job_id}") is not WorkflowExecutionStatus.RUNNING


@pytest.fixture
async def swept_settings(settings: Settings, temporal: Client) -> AsyncIterator[Settings]:
    """Settings with a Schedule, which is removed at the end."""
    yield settings.model_copy(update={"sweep_every": 1.0})
    await temporal.get_schedule_handle(schedules.schedule_id(settings.task_queue)).delete()


async def test_the_schedule_is_made_by_the_first_worker_and_kept_by_the_next(
    client: httpx2.AsyncClient, field: Field, swept_settings: Settings, temporal: Client
) -> None:
    async with working(swept_settings):
        project_id, set_id = await field.small_set()
        job = await make_job(client, project_id, set_id, delay=300)
        await under_way(client, job["id"], "delay")
        handle = temporal.get_schedule_handle(schedules.schedule_id(swept_settings.task_queue))
        await asyncio.gather(
            *(schedules.ensure(temporal, swept_settings.task_queue, timedelta(seconds=2)) for _ in range(3))
        )
        spec = (await handle.describe()).schedule.spec
        assert [each.every for each in spec.intervals] == [timedelta(seconds=2)]

        await temporal.get_workflow_handle(f"job-{job['id']}").terminate()
        await long_ago(field, job["id"])
        job = await job_in(client, job["id"])

    assert job["status"] == "REVOKED"
    assert await workflow_status(temporal, f"job-{job['id']}") is WorkflowExecutionStatus.TERMINATED
