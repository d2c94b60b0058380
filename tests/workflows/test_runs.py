"""What a run lives through: a killed worker, cancellation at every point, being asked for twice."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus

from config import Settings
from db import explaining_rows, stage_rows
from db.connections import Database, one, value
from jobs.errors import RunEnded
from jobs.runs import JobRequest
from jobs.stages import StageSnapshot
from jobs.status import Status
from temporal.launcher import Launcher
from tests.field import Field
from tests.processes import worker_process
from tests.waiting import job_in, make_job, until
from worker import working

POPULATE = "populate_captures_collection"


def stage(job: dict[str, Any], key: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in job["progress"]["stages"] if each["key"] == key)
    return found


def lines(job: dict[str, Any]) -> list[str]:
    """The log, oldest line first, without times."""
    return [line.split("] ", 1)[1] for line in reversed(job["logs"]["stdout"])]


async def under_way(client: httpx2.AsyncClient, job_id: int, key: str) -> dict[str, Any]:
    """The job, once that stage is STARTED."""

    async def look() -> dict[str, Any] | None:
        job: dict[str, Any] = (await client.get(f"/jobs/{job_id}/")).json()
        found = [each for each in job["progress"]["stages"] if each["key"] == key]
        return job if found and found[0]["status"] == "STARTED" else None

    return await until(look, f"stage {key} of job {job_id} under way")


async def workflow_status(temporal: Client, workflow_id: str) -> WorkflowExecutionStatus | None:
    return (await temporal.get_workflow_handle(workflow_id).describe()).status


async def closed(temporal: Client, workflow_id: str) -> WorkflowExecutionStatus:
    """How the workflow ended, once it has."""

    async def look() -> WorkflowExecutionStatus | None:
        status = await workflow_status(temporal, workflow_id)
        return None if status is WorkflowExecutionStatus.RUNNING else status

    return await until(look, f"the end of workflow {workflow_id}")


# a worker that dies -------------------------------------------------------------------------------------------


async def test_a_delay_goes_on_where_it_was_after_the_worker_is_killed(
    client: httpx2.AsyncClient, field: Field, settings: Settings
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, delay=6)
    with worker_process(settings) as first:
        await under_way(client, job["id"], "delay")
        first.kill()
    with worker_process(settings):
        job = await job_in(client, job["id"], "SUCCESS")

    assert stage(job, "delay")["status"] == "SUCCESS"
    delays = [line for line in lines(job) if "out of" in line]
    assert delays == [f"INFO Delaying job {job['id']} for the {n} out of 6 seconds" for n in (2, 4, 6)]
    assert sum("Running job" in line for line in lines(job)) == 1


async def test_a_stage_is_done_again_after_the_worker_is_killed_in_the_middle(
    client: httpx2.AsyncClient, field: Field, settings: Settings, database: Database
) -> None:
    project_id, set_id = await field.small_set(nights=4)
    with worker_process(settings) as first:
        async with database.transaction() as holding:
            # the activity waits for this row in the middle of its effect
            await holding.execute(
                "SELECT 1 FROM source_image_collections WHERE id = %s FOR NO KEY UPDATE", (set_id,)
            )
            job = await make_job(client, project_id, set_id)
            await under_way(client, job["id"], POPULATE)
            first.kill()
    assert await field.members(set_id) == set()
    with worker_process(settings):
        job = await job_in(client, job["id"], "SUCCESS")

    assert len(await field.members(set_id)) == 4
    assert f"WARNING Going on with stage {POPULATE}, attempt 2" in lines(job)
    assert sum("Added 4 captures" in line for line in lines(job)) == 1


async def test_a_worker_that_is_told_to_stop_finishes_what_is_under_way(
    client: httpx2.AsyncClient, field: Field, settings: Settings
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, delay=4)
    with worker_process(settings) as first:
        await under_way(client, job["id"], "delay")
        first.stop()
        assert first.process is not None
        assert first.process.returncode == 0
    with worker_process(settings):
        job = await job_in(client, job["id"])

    assert job["status"] == "SUCCESS"


# asked for twice ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["run", "retry"])
async def test_two_requests_at_the_same_moment_give_one_run(
    client: httpx2.AsyncClient, field: Field, worker: None, word: str, database: Database
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, start=False)

    answers = await asyncio.gather(*(client.post(f"/jobs/{job['id']}/{word}/") for _ in range(8)))
    job = await job_in(client, job["id"])

    assert [answer.status_code for answer in answers] == [200] * 8
    async with database.transaction() as db:
        assert await value(db, "SELECT run FROM jobs WHERE id = %(id)s", {"id": job["id"]}) == 1
    assert sum("Running job" in line for line in lines(job)) == 1
    assert job["status"] == "SUCCESS"


async def test_run_and_retry_of_a_running_job_change_nothing(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, delay=30)
    await under_way(client, job["id"], "delay")

    for word in ("run", "retry"):
        answer = await client.post(f"/jobs/{job['id']}/{word}/")
        assert (answer.status_code, answer.json()["status"]) == (200, "STARTED")

    job = (await client.get(f"/jobs/{job['id']}/")).json()
    assert sum("Running job" in line for line in lines(job)) == 1
    await client.post(f"/jobs/{job['id']}/cancel/")


async def test_a_finished_job_runs_again_at_once_and_its_stages_start_over(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id)
    for again in range(1, 4):
        # the moment that the row says so, the workflow of the run before is still writing its last lines
        await job_in(client, job["id"], "SUCCESS")
        answer = await client.post(f"/jobs/{job['id']}/retry/")
        assert answer.json()["status"] == "PENDING"
        assert stage(answer.json(), POPULATE)["status"] == "CREATED"
        job = await job_in(client, job["id"], seconds=2)
        assert sum("Re-running job" in line for line in lines(job)) == again
        assert sum("Finished job" in line for line in lines(job)) == again + 1


# cancel -------------------------------------------------------------------------------------------------------


async def test_cancelling_a_running_job_revokes_it(
    client: httpx2.AsyncClient, field: Field, worker: None, temporal: Client
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, delay=60)
    await under_way(client, job["id"], "delay")

    answer = await client.post(f"/jobs/{job['id']}/cancel/")
    job = await job_in(client, job["id"], seconds=2)

    assert answer.json()["status"] == "CANCELING"
    assert job["status"] == "REVOKED"
    assert job["finished_at"] is not None
    assert float(job["duration"]) > 0
    assert stage(job, "delay")["status"] == "REVOKED"
    assert stage(job, POPULATE)["status"] == "CREATED"
    assert await closed(temporal, f"job-{job['id']}") is WorkflowExecutionStatus.CANCELED


async def test_cancelling_in_the_middle_of_an_effect_leaves_nothing_of_it(
    client: httpx2.AsyncClient, field: Field, worker: None, database: Database
) -> None:
    project_id, set_id = await field.small_set()
    async with database.transaction() as holding:
        await holding.execute(
            "SELECT 1 FROM source_image_collections WHERE id = %s FOR NO KEY UPDATE", (set_id,)
        )
        job = await make_job(client, project_id, set_id)
        await under_way(client, job["id"], POPULATE)
        await client.post(f"/jobs/{job['id']}/cancel/")
        job = await job_in(client, job["id"], seconds=2)

    assert job["status"] == "REVOKED"
    assert stage(job, POPULATE)["status"] == "REVOKED"

    async def nobody_works() -> bool:
        async with database.transaction() as db:
            row = await one(
                db,
                """SELECT count(*) AS n FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'nightjar worker' AND state <> 'idle'""",
                {},
            )
        return row == {"n": 0}

    await until(nobody_works, "the end of the worker's transaction")
    assert await field.members(set_id) == set()
    assert (await client.get(f"/jobs/{job['id']}/")).json() == job


async def test_cancelling_a_job_that_waits_for_a_worker_revokes_it_at_once(
    client: httpx2.AsyncClient, field: Field, settings: Settings, temporal: Client
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id)

    answer = await client.post(f"/jobs/{job['id']}/cancel/")

    assert answer.json()["status"] == "REVOKED"
    assert answer.json()["started_at"] is None
    assert answer.json()["finished_at"] is not None
    assert await closed(temporal, f"job-{job['id']}") is WorkflowExecutionStatus.TERMINATED
    async with working(settings):
        # and it can be run again, which is the only run that a worker then does
        await client.post(f"/jobs/{job['id']}/retry/")
        job = await job_in(client, job["id"])
    assert job["status"] == "SUCCESS"
    assert sum("Running job" in line for line in lines(job)) == 1


async def test_cancelling_a_job_that_was_never_started_revokes_it(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, start=False)

    job = (await client.post(f"/jobs/{job['id']}/cancel/")).json()

    assert job["status"] == "REVOKED"
    assert job["duration"] is None
    assert job["finished_at"] is not None


async def test_a_started_job_is_revoked_when_no_worker_is_alive(
    client: httpx2.AsyncClient, field: Field, settings: Settings, temporal: Client
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, delay=60)
    with worker_process(settings) as only:
        await under_way(client, job["id"], "delay")
        only.kill()

    await client.post(f"/jobs/{job['id']}/cancel/")
    job = await job_in(client, job["id"], seconds=3)

    assert job["status"] == "REVOKED"
    assert job["finished_at"] is not None
    assert await closed(temporal, f"job-{job['id']}") is WorkflowExecutionStatus.TERMINATED


async def test_cancelling_twice_or_after_the_end_changes_nothing(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    job = await job_in(client, (await make_job(client, project_id, set_id))["id"])

    for _ in range(2):
        answer = await client.post(f"/jobs/{job['id']}/cancel/")
        assert answer.status_code == 200
        assert answer.json() == job


async def test_a_late_writer_of_a_revoked_run_writes_nothing(
    client: httpx2.AsyncClient, field: Field, database: Database, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, delay=60)
    await under_way(client, job["id"], "delay")
    await client.post(f"/jobs/{job['id']}/cancel/")
    job = await job_in(client, job["id"], "REVOKED")

    late = StageSnapshot("delay", "Delay", Status.SUCCESS, 1.0)

    async def write() -> None:
        async with database.transaction() as db:
            await db.execute("UPDATE projects SET name = 'late'")
            await stage_rows.report(db, job["id"], 1, late)

    with pytest.raises(RunEnded):
        await write()

    assert (await client.get(f"/jobs/{job['id']}/")).json() == job


async def test_a_late_word_for_one_run_does_not_reach_the_next(
    client: httpx2.AsyncClient, field: Field, worker: None, temporal: Client, settings: Settings
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, delay=60)
    await under_way(client, job["id"], "delay")
    async with field.database.transaction() as db:
        known = await explaining_rows.read(db, job["id"])
    assert known is not None
    old = known.workflow
    await client.post(f"/jobs/{job['id']}/cancel/")
    await job_in(client, job["id"], "REVOKED")
    await client.post(f"/jobs/{job['id']}/retry/")
    await under_way(client, job["id"], "delay")

    launcher = Launcher(temporal, settings.task_queue)
    for late in (old, replace(old, execution=None)):
        await launcher.cancel(late)
        await launcher.terminate(late, "late")

    assert await workflow_status(temporal, f"job-{job['id']}") is WorkflowExecutionStatus.RUNNING
    assert (await client.get(f"/jobs/{job['id']}/")).json()["status"] == "STARTED"
    await client.post(f"/jobs/{job['id']}/cancel/")


async def test_a_workflow_that_lives_on_after_its_run_does_not_block_the_next(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, delay=300)
    await under_way(client, job["id"], "delay")
    async with field.database.transaction() as db:
        # as it is left when Temporal could not be told of the cancellation
        await db.execute("UPDATE jobs SET status = 'REVOKED', finished_at = now(), delay = 0")

    await client.post(f"/jobs/{job['id']}/retry/")
    job = await job_in(client, job["id"], seconds=15)

    assert job["status"] == "SUCCESS"
    # nor does the delay that the job has no more stay behind
    assert [each["key"] for each in job["progress"]["stages"]] == [POPULATE]


async def test_a_program_s_workflow_that_is_reset_goes_on_with_its_job(
    client: httpx2.AsyncClient, field: Field, worker: None, temporal: Client, settings: Settings
) -> None:
    project_id, set_id = await field.small_set()
    handle = await temporal.start_workflow(
        POPULATE,
        JobRequest(project_id=project_id, source_image_collection_id=set_id, delay=3),
        id=f"reset-{settings.task_queue}",
        task_queue=f"{settings.task_queue}-jobs",
    )

    async def made() -> dict[str, Any] | None:
        page = (await client.get("/jobs/?status=STARTED")).json()
        return page["results"][0] if page["results"] else None

    job = await until(made, "the job")

    async def recorded() -> bool:
        return (await handle.describe()).history_length > 4

    await until(recorded, "the first workflow task in the history")
    await temporal.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace="default",
            workflow_execution=WorkflowExecution(workflow_id=handle.id),
            workflow_task_finish_event_id=4,
            request_id="once",
        )
    )
    await job_in(client, job["id"], "SUCCESS")

    assert (await client.get("/jobs/")).json()["count"] == 1


# failure ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "kwargs", "reason"),
    [
        ("stratified_random", {}, "method: captures cannot be sampled by the method 'stratified_random'"),
        ("starred", {}, "method: captures cannot be sampled by the method 'starred'"),
        ("random", {"size": -1}, "size: must not be negative, got -1"),
        ("random", {"sise": 1}, "sise: unknown argument of the sampling method 'random'"),
        ("manual", {}, "image_ids: a value is required"),
        ("interval", {"exclude_events": "3"}, "exclude_events: expected a list of integers, got '3'"),
    ],
)
async def test_a_bad_sampling_fails_the_job_with_one_line_that_names_the_field(
    client: httpx2.AsyncClient,
    field: Field,
    worker: None,
    method: str,
    kwargs: dict[str, Any],
    reason: str,
) -> None:
    project_id, _ = await field.small_set()
    set_id = await field.capture_set(project_id, method, kwargs)

    job = await job_in(client, (await make_job(client, project_id, set_id))["id"])

    assert job["status"] == "FAILURE"
    assert job["logs"]["stderr"] == [f'Job #{job["id"]} "Populate" failed: {reason}']
    assert job["progress"]["errors"] == job["logs"]["stderr"]
    assert stage(job, POPULATE)["status"] == "FAILURE"
    assert lines(job)[-2:] == [
        f'ERROR Job #{job["id"]} "Populate" failed: {reason}',
        f"INFO Changing status of job {job['id']} to FAILURE",
    ]


async def test_a_job_without_a_capture_set_fails_and_says_so(
    client: httpx2.AsyncClient, field: Field, worker: None, temporal: Client
) -> None:
    project_id, _ = await field.small_set()

    job = await job_in(client, (await make_job(client, project_id, None))["id"])

    assert job["status"] == "FAILURE"
    assert job["logs"]["stderr"] == [
        f'Job #{job["id"]} "Populate" failed: No source image collection provided (source_image_collection_id)'
    ]
    assert await closed(temporal, f"job-{job['id']}") is WorkflowExecutionStatus.FAILED


# lots ---------------------------------------------------------------------------------------------------------


async def test_two_runs_of_a_random_method_differ(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    project_id, set_id = await field.small_set(nights=20, method="random", size=20)
    job = await job_in(client, (await make_job(client, project_id, set_id))["id"], "SUCCESS")
    first = await field.members(set_id)

    await client.post(f"/jobs/{job['id']}/retry/")
    await job_in(client, job["id"], "SUCCESS")

    second = await field.members(set_id)
    assert len(first) == len(second) == 20
    assert first != second
