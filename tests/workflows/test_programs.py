"""Jobs started and stopped without REST: by a program, and by Temporal's own command line."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from config import Settings
from db.connections import Database
from embedded.temporal import binary
from jobs.runs import JobRequest, JobResult
from jobs.status import Status
from tests.field import Field
from tests.processes import ROOT, environment
from tests.waiting import job_in, make_job, until

TYPE = "populate_captures_collection"


async def run_program(*command: str | Path, settings: Settings) -> str:
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        env=environment(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode()


async def newest_job(client: httpx2.AsyncClient) -> dict[str, Any]:
    page = (await client.get("/jobs/?limit=1")).json()
    job: dict[str, Any] = page["results"][0]
    return job


async def execute(temporal: Client, settings: Settings, request: JobRequest, workflow_id: str) -> JobResult:
    result: JobResult = await temporal.execute_workflow(
        TYPE,
        request,
        id=workflow_id,
        task_queue=f"{settings.task_queue}-jobs",
        result_type=JobResult,
    )
    return result


async def test_the_example_starts_a_job_that_appears_over_rest(
    client: httpx2.AsyncClient, field: Field, settings: Settings, worker: None
) -> None:
    project_id, set_id = await field.small_set(nights=7)

    output = await run_program(
        sys.executable,
        ROOT / "examples" / "start_from_python.py",
        str(project_id),
        str(set_id),
        settings=settings,
    )

    job = await job_in(client, (await newest_job(client))["id"])
    assert output == f"Job {job['id']}: SUCCESS, 7 captures\n"
    assert job["name"] == "Populate from a program"
    assert job["source_image_collection"]["id"] == set_id
    assert job["logs"]["stdout"][0].endswith(f'Finished job #{job["id"]} "Populate from a program" (SUCCESS)')


async def test_the_result_of_a_workflow_is_the_job_as_it_ended(
    temporal: Client, field: Field, settings: Settings, worker: None
) -> None:
    project_id, set_id = await field.small_set(nights=3)
    request = JobRequest(project_id=project_id, source_image_collection_id=set_id)

    result = await execute(temporal, settings, request, f"mine-{settings.task_queue}")

    assert result.status is Status.SUCCESS
    assert result.run == 1
    assert result.values(TYPE) == {"captures_added": 3}


async def test_a_program_can_run_a_job_that_rest_made_and_not_one_that_runs(
    client: httpx2.AsyncClient, temporal: Client, field: Field, settings: Settings, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, start=False)

    result = await execute(temporal, settings, JobRequest(job_id=job["id"]), f"once-{job['id']}")
    assert (result.job_id, result.run) == (job["id"], 1)

    await client.patch(f"/jobs/{job['id']}/", json={"delay": 60})
    await client.post(f"/jobs/{job['id']}/retry/")
    await job_in(client, job["id"], "STARTED")
    with pytest.raises(WorkflowFailureError) as failure:
        await execute(temporal, settings, JobRequest(job_id=job["id"]), f"twice-{job['id']}")
    assert "run 2 is STARTED" in str(failure.value.cause.__cause__)
    await client.post(f"/jobs/{job['id']}/cancel/")


@pytest.mark.parametrize(
    ("request_of", "words"),
    [
        (lambda project_id: JobRequest(), "project_id: needed where no job_id is given"),
        (lambda project_id: JobRequest(project_id=999_999), "project_id: no such row: 999999"),
        (
            lambda project_id: JobRequest(project_id=project_id, source_image_collection_id=999_999),
            "source_image_collection_id: no such row: 999999",
        ),
        (lambda project_id: JobRequest(job_id=999_999_999), "No job has the id 999999999"),
    ],
)
async def test_a_request_that_does_not_fit_fails_and_makes_no_job(
    client: httpx2.AsyncClient,
    temporal: Client,
    field: Field,
    settings: Settings,
    worker: None,
    request_of: Any,
    words: str,
) -> None:
    project_id, _ = await field.small_set()

    with pytest.raises(WorkflowFailureError) as failure:
        await execute(temporal, settings, request_of(project_id), f"bad-{settings.task_queue}")

    cause = failure.value.cause.__cause__
    assert isinstance(cause, ApplicationError)
    assert cause.message == words
    assert (await client.get("/jobs/")).json()["count"] == 0


async def test_the_command_line_of_temporal_starts_and_cancels_jobs(
    client: httpx2.AsyncClient, field: Field, settings: Settings, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    at = ["--address", settings.temporal_address, "--workflow-id", f"cli-{settings.task_queue}"]
    request = json.dumps({"project_id": project_id, "source_image_collection_id": set_id, "delay": 60})
    queue = ["--type", TYPE, "--task-queue", f"{settings.task_queue}-jobs", "--input", request]
    await run_program(binary(), "workflow", "start", *at, *queue, settings=settings)

    async def made() -> bool:
        return bool((await client.get("/jobs/")).json()["count"])

    await until(made, "the job of the workflow")
    job = await job_in(client, (await newest_job(client))["id"], "STARTED")
    assert job["name"] == "Populate captures collection"

    await run_program(binary(), "workflow", "cancel", *at, settings=settings)
    job = await job_in(client, job["id"], seconds=5)
    assert job["status"] == "REVOKED"
    assert job["finished_at"] is not None


async def test_rest_cancels_a_job_that_a_program_started(
    client: httpx2.AsyncClient, temporal: Client, field: Field, settings: Settings, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    request = JobRequest(project_id=project_id, source_image_collection_id=set_id, delay=60)
    running = asyncio.create_task(execute(temporal, settings, request, f"rest-{settings.task_queue}"))

    async def started() -> dict[str, Any] | None:
        page = (await client.get("/jobs/?status=STARTED")).json()
        return page["results"][0] if page["results"] else None

    job = await until(started, "the job")
    await client.post(f"/jobs/{job['id']}/cancel/")

    assert (await job_in(client, job["id"], seconds=5))["status"] == "REVOKED"
    with pytest.raises(WorkflowFailureError):
        await running


async def test_a_run_is_found_by_its_search_attributes_and_tells_of_itself(
    client: httpx2.AsyncClient, temporal: Client, field: Field, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id)
    await job_in(client, job["id"], "SUCCESS")

    async def found() -> Any:
        query = (
            f"JobId = {job['id']} AND JobStatus = 'SUCCESS' AND ProjectId = {project_id} AND JobProgress = 1"
        )
        return [each async for each in temporal.list_workflows(query)]

    workflows = await until(found, "the run by its search attributes")
    assert [each.id for each in workflows] == [f"job-{job['id']}"]
    description = await temporal.get_workflow_handle(f"job-{job['id']}").describe()
    assert await description.static_summary() == f"#{job['id']} Populate"
    metadata: WorkflowMetadata = await temporal.get_workflow_handle(f"job-{job['id']}").query(
        "__temporal_workflow_metadata", result_type=WorkflowMetadata
    )
    assert "**SUCCESS**, 100%" in metadata.current_details
    assert "| Populate captures collection | SUCCESS | 100% | Captures added: 5 |" in metadata.current_details


async def test_a_long_stage_tells_its_workflow_how_far_it_is(
    client: httpx2.AsyncClient, temporal: Client, field: Field, database: Database, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    async with database.transaction() as holding:
        # the activity waits for this row in the middle of its effect
        await holding.execute(
            "SELECT 1 FROM source_image_collections WHERE id = %s FOR NO KEY UPDATE", (set_id,)
        )
        job = await make_job(client, project_id, set_id)

        async def told() -> bool:
            metadata: WorkflowMetadata = await temporal.get_workflow_handle(f"job-{job['id']}").query(
                "__temporal_workflow_metadata", result_type=WorkflowMetadata
            )
            return "| STARTED | 10% | Captures added: 0 |" in metadata.current_details

        await until(told, "the progress in the current details", seconds=10)
    await job_in(client, job["id"], "SUCCESS")
