"""Why is it not moving? Each cause, provoked for real, as `explain/` says it."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities import run_records
from activities.reporter import StageReporter, reporting
from activities.resources import Resources
from config import Settings
from db.connections import Database
from diagnosis.explanation import Cause
from jobs.errors import ServiceUnavailable
from jobs.runs import ClaimedRun, JobRequest
from tests.conftest import serving
from tests.field import Field, Person
from tests.passages import passage
from tests.processes import worker_process
from tests.waiting import job_in, make_job, until
from tests.workflows.test_runs import POPULATE, under_way
from worker import HEARTBEAT_EVERY, working
from workflows.populate_captures_collection import POPULATE as STAGE
from workflows.registry import WORKFLOWS
from workflows.sandbox import runner

Said = dict[str, Any]
Work = Callable[[StageReporter], Awaitable[None]]


async def explained(client: httpx2.AsyncClient, job_id: int) -> Said:
    """What is said of the job, in the time that is promised for it (and some for a busy machine)."""
    began = time.monotonic()
    answer = await client.get(f"/jobs/{job_id}/explain/")
    assert time.monotonic() - began < 4
    assert answer.status_code == 200, answer.text
    said: Said = answer.json()
    assert said["id"] == job_id
    return said


async def explained_as(client: httpx2.AsyncClient, job_id: int, cause: Cause) -> Said:
    """The same, once the cause is that one."""
    seen: Said = {}

    async def look() -> Said | None:
        seen.update(await explained(client, job_id))
        return dict(seen) if seen["cause"] == cause else None

    try:
        return await until(look, f"job {job_id} explained as {cause}")
    except AssertionError as error:
        raise AssertionError(f"{error}; it is {seen}") from None


def evidence(said: Said) -> dict[str, Any]:
    return {each["what"]: each["value"] for each in said["evidence"]}


@asynccontextmanager
async def working_at(
    settings: Settings, temporal: Client, database: Database, work: Work
) -> AsyncIterator[None]:
    """A worker whose one stage does that."""
    resources = Resources(database)

    @activity.defn(name=POPULATE)
    async def carry_out(run: ClaimedRun) -> None:
        async with reporting(resources, STAGE, run) as report:
            await work(report)

    async with Worker(
        temporal,
        task_queue=f"{settings.task_queue}-jobs",
        workflows=WORKFLOWS,
        activities=[*run_records.activities(resources), carry_out],
        workflow_runner=runner(),
        max_heartbeat_throttle_interval=HEARTBEAT_EVERY,
        default_heartbeat_throttle_interval=HEARTBEAT_EVERY,
    ):
        yield


@asynccontextmanager
async def held(database: Database, set_id: int) -> AsyncIterator[None]:
    """While this lasts, whoever fills the set waits in the middle of it."""
    async with database.transaction() as holding:
        await holding.execute(
            "SELECT 1 FROM source_image_collections WHERE id = %s FOR NO KEY UPDATE", (set_id,)
        )
        yield


# before it begins -----------------------------------------------------------------------------------------------


async def test_a_job_that_nobody_started(client: httpx2.AsyncClient, field: Field) -> None:
    job = await make_job(client, *await field.small_set(), start=False)

    assert await explained(client, job["id"]) == {
        "id": job["id"],
        "status": "CREATED",
        "cause": "not_started",
        "summary": "Not started yet: nobody has asked for it to run",
        "since": job["created_at"],
        "action_by": "owner",
        "evidence": [],
    }


async def test_no_worker_runs(client: httpx2.AsyncClient, field: Field, settings: Settings) -> None:
    job = await make_job(client, *await field.small_set())

    said = await explained_as(client, job["id"], Cause.NO_WORKER)

    queue = f"{settings.task_queue}-jobs"
    assert said["summary"] == f"No worker is running: ask an operator to start one (queue {queue})"
    assert (said["status"], said["action_by"]) == ("PENDING", "operator")
    assert evidence(said)["workers that asked for work in the last minute"] == "none"
    async with working(settings):
        await job_in(client, job["id"], "SUCCESS")
        assert (await explained(client, job["id"]))["summary"] == "Done"


async def test_a_worker_that_was_killed_is_not_taken_for_one_that_will_come(
    client: httpx2.AsyncClient, field: Field, settings: Settings
) -> None:
    project_id, set_id = await field.small_set()
    with worker_process(settings) as only:
        await job_in(client, (await make_job(client, project_id, set_id))["id"], "SUCCESS")
        only.kill()
    job = await make_job(client, project_id, set_id)

    said = await explained_as(client, job["id"], Cause.NO_WORKER)

    # Temporal still has it on its list
    assert evidence(said)["workers that asked for work in the last minute"] != "none"


async def test_waiting_behind_others(
    client: httpx2.AsyncClient, field: Field, settings: Settings, database: Database
) -> None:
    project_id, set_id = await field.small_set()
    async with working(settings.model_copy(update={"max_concurrent_activities": 1})):
        async with held(database, set_id):
            first = await make_job(client, project_id, set_id)
            await under_way(client, first["id"], POPULATE)
            others = [await make_job(client, project_id, set_id) for _ in range(3)]

            for number, job in enumerate(others, start=1):
                said = await explained_as(client, job["id"], Cause.WAITING_BEHIND_OTHERS)
                assert said["summary"] == f"Waiting behind {number} job{'s' if number > 1 else ''}"
                assert said["action_by"] == "nobody"
                assert evidence(said)["jobs asked for earlier, not over yet"] == number
        for job in (first, *others):
            await job_in(client, job["id"], "SUCCESS")


async def test_a_job_behind_others_whose_worker_was_killed_waits_for_nobody(
    client: httpx2.AsyncClient, field: Field, settings: Settings, database: Database
) -> None:
    project_id, set_id = await field.small_set()
    async with held(database, set_id):
        with worker_process(settings.model_copy(update={"max_concurrent_activities": 1})) as only:
            first = await make_job(client, project_id, set_id)
            await under_way(client, first["id"], POPULATE)
            behind = await make_job(client, project_id, set_id)
            await explained_as(client, behind["id"], Cause.WAITING_BEHIND_OTHERS)
            only.kill()

        said = await explained_as(client, behind["id"], Cause.NO_WORKER)

    assert said["action_by"] == "operator"


async def test_a_delay(client: httpx2.AsyncClient, field: Field, worker: None) -> None:
    job = await make_job(client, *await field.small_set(), delay=3000)

    said = await explained_as(client, job["id"], Cause.DELAYED)

    assert said["summary"] == "Delayed: begins in 50 min, as it was asked to"
    began = datetime.fromisoformat((await client.get(f"/jobs/{job['id']}/")).json()["started_at"])
    assert datetime.fromisoformat(said["since"]) == began
    until_then = datetime.fromisoformat(evidence(said)["until"])
    assert abs(until_then - began - timedelta(seconds=3000)) < timedelta(seconds=30)
    await client.post(f"/jobs/{job['id']}/cancel/")


# Temporal -------------------------------------------------------------------------------------------------------


async def test_temporal_is_away(settings: Settings, field: Field, admin: Person) -> None:
    project_id, set_id = await field.small_set()
    async with passage(settings.temporal_address) as way:
        detour = settings.model_copy(update={"temporal_address": way.address})
        async with (
            working(settings),
            serving(detour) as address,
            httpx2.AsyncClient(base_url=f"{address}/api/v2", headers=admin.headers, timeout=20) as client,
        ):
            running = await make_job(client, project_id, set_id, delay=600)
            await under_way(client, running["id"], "delay")
            await way.cut()
            waiting = await make_job(client, project_id, set_id)

            said = await explained(client, waiting["id"])
            assert (said["cause"], said["action_by"]) == ("waiting_for_temporal", "operator")
            assert said["summary"].startswith("Waiting for Temporal, which cannot be reached")
            assert evidence(said)["Temporal"]
            said = await explained(client, running["id"])
            assert (said["cause"], said["action_by"]) == ("temporal_unreachable", "operator")

            await way.open()
            await job_in(client, waiting["id"], "SUCCESS")
            await explained_as(client, running["id"], Cause.DELAYED)
            await client.post(f"/jobs/{running['id']}/cancel/")
            await job_in(client, running["id"], "REVOKED")


async def test_temporal_hangs(settings: Settings, field: Field, admin: Person) -> None:
    async with passage(settings.temporal_address) as way:
        detour = settings.model_copy(update={"temporal_address": way.address})
        async with (
            serving(detour) as address,
            httpx2.AsyncClient(base_url=f"{address}/api/v2", headers=admin.headers, timeout=20) as client,
        ):
            job = await make_job(client, *await field.small_set())
            await explained_as(client, job["id"], Cause.NO_WORKER)
            way.freeze()

            said = await explained(client, job["id"])

            assert said["cause"] == "waiting_for_temporal"
            way.thaw()
            await explained_as(client, job["id"], Cause.NO_WORKER)


async def test_a_workflow_that_was_terminated(
    client: httpx2.AsyncClient, field: Field, worker: None, temporal: Client
) -> None:
    job = await make_job(client, *await field.small_set(), delay=600)
    await under_way(client, job["id"], "delay")

    await temporal.get_workflow_handle(f"job-{job['id']}").terminate(reason="too many moths")
    said = await explained_as(client, job["id"], Cause.EXECUTION_GONE)

    assert said["summary"].startswith("Its workflow ended (terminated) without a word")
    assert said["status"] == "STARTED"
    assert said["since"] is not None


@workflow.defn(name=POPULATE)
class OfAnotherRelease:
    """A workflow whose code cannot go on."""

    @workflow.run
    async def run(self, request: JobRequest) -> None:
        raise RuntimeError("no such stage\nsecret of line two")


async def test_code_that_does_not_fit(
    client: httpx2.AsyncClient, field: Field, settings: Settings, temporal: Client
) -> None:
    job = await make_job(client, *await field.small_set())
    async with Worker(
        temporal,
        task_queue=f"{settings.task_queue}-jobs",
        workflows=[OfAnotherRelease],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        said = await explained_as(client, job["id"], Cause.WORKFLOW_TASK_FAILING)

    assert said["summary"] == "The workers' code does not fit this job: ask an operator (no such stage)"
    assert said["action_by"] == "operator"
    assert evidence(said)["attempt"] > 1


# under way ------------------------------------------------------------------------------------------------------


async def test_working(
    client: httpx2.AsyncClient, field: Field, settings: Settings, temporal: Client, database: Database
) -> None:
    done = asyncio.Event()

    async def work(report: StageReporter) -> None:
        report.progress(0.25)
        report.set("Captures added", 12)
        await done.wait()

    job = await make_job(client, *await field.small_set())
    async with working_at(settings, temporal, database, work):

        async def told() -> Said | None:
            said = await explained(client, job["id"])
            return said if "progress per second" in evidence(said) else None

        said = await until(told, "a rate")
        done.set()
        await job_in(client, job["id"], "SUCCESS")

    assert (said["cause"], said["action_by"]) == ("working", "nobody")
    assert said["summary"].startswith("Working: 25 % of Populate captures collection, about ")
    known = evidence(said)
    assert known["Captures added"] == 12
    assert known["worker"].startswith(f"{os.getpid()}@")
    # as much again as there was, for each of the three quarters that are left
    passed = 0.25 / known["progress per second"]
    assert known["seconds left, about"] == pytest.approx(3 * passed, abs=1)


@pytest.mark.parametrize(
    ("error", "cause", "action_by", "summary"),
    [
        (
            ApplicationError("connection refused\nSELECT moths", type="OperationalError"),
            Cause.RETRYING,
            "nobody",
            "connection refused (attempt ",
        ),
        (
            ApplicationError(
                str(ServiceUnavailable("Moth finder", "HTTP 502")), type=ServiceUnavailable.__name__
            ),
            Cause.EXTERNAL_SERVICE_DOWN,
            "service",
            "Moth finder does not answer: HTTP 502. Trying again ",
        ),
    ],
    ids=["an error of ours", "somebody else's service"],
)
async def test_trying_again(
    client: httpx2.AsyncClient,
    field: Field,
    settings: Settings,
    temporal: Client,
    database: Database,
    error: ApplicationError,
    cause: Cause,
    action_by: str,
    summary: str,
) -> None:
    mended = False

    async def work(report: StageReporter) -> None:
        if not mended:
            raise error

    job = await make_job(client, *await field.small_set())
    async with working_at(settings, temporal, database, work):
        said = await explained_as(client, job["id"], cause)
        mended = True
        job = await job_in(client, job["id"], "SUCCESS")

    assert summary in said["summary"]
    assert "Trying again " in said["summary"]
    assert said["action_by"] == action_by
    assert said["since"] is not None
    known = evidence(said)
    assert known["attempt"] > 1
    assert "SELECT" not in str(said)
    assert known["last error"] == error.message.split("\n")[0]


async def test_a_worker_that_hangs_or_dies_in_the_middle(
    client: httpx2.AsyncClient, field: Field, settings: Settings, database: Database
) -> None:
    project_id, set_id = await field.small_set()
    async with held(database, set_id):
        with worker_process(settings) as first:
            job = await make_job(client, project_id, set_id)
            await under_way(client, job["id"], POPULATE)
            os.kill(first.pid, signal.SIGSTOP)
            said = await explained_as(client, job["id"], Cause.HEARTBEAT_STALLED)
            first.kill()
        gone = await explained_as(client, job["id"], Cause.NO_WORKER)
    with worker_process(settings):
        await job_in(client, job["id"], "SUCCESS")

    assert said["summary"].startswith(f"The worker {first.pid}@")
    assert "another one goes on with the job in about " in said["summary"]
    assert said["action_by"] == "nobody"
    assert gone["action_by"] == "operator"


async def test_cancelling(
    client: httpx2.AsyncClient, field: Field, settings: Settings, database: Database
) -> None:
    job = await make_job(client, *await field.small_set(), delay=600)
    async with working(settings):
        await under_way(client, job["id"], "delay")
        async with database.transaction() as holding:
            # nobody can close the run as long as this lasts
            await holding.execute("SELECT 1 FROM job_stages WHERE job_id = %s FOR UPDATE", (job["id"],))
            await client.post(f"/jobs/{job['id']}/cancel/")
            said = await explained(client, job["id"])
        await job_in(client, job["id"], "REVOKED")
        ended = await explained(client, job["id"])

    assert (said["status"], said["cause"], said["action_by"]) == ("CANCELING", "cancelling", "nobody")
    assert said["summary"] == "Cancelling: it ends within a few seconds, and nothing more is written for it"
    assert (ended["cause"], ended["action_by"]) == ("ended", "owner")
    assert ended["summary"] == "Cancelled: run it again to start over"


async def test_paused(client: httpx2.AsyncClient, field: Field, worker: None) -> None:
    job = await make_job(client, *await field.small_set(), delay=600)
    await under_way(client, job["id"], "delay")

    paused = (await client.post(f"/jobs/{job['id']}/pause/")).json()
    said = await explained(client, job["id"])
    await client.post(f"/jobs/{job['id']}/resume/")

    assert (said["cause"], said["action_by"], said["since"]) == ("paused", "owner", paused["paused_at"])
    assert said["summary"] == "Paused: nothing new is begun until it is resumed"
    await explained_as(client, job["id"], Cause.DELAYED)
    await client.post(f"/jobs/{job['id']}/cancel/")


# afterwards -----------------------------------------------------------------------------------------------------


async def test_a_job_that_failed(client: httpx2.AsyncClient, field: Field, worker: None) -> None:
    project_id, _ = await field.small_set()
    set_id = await field.capture_set(project_id, "random", {"size": -1})
    job = await job_in(client, (await make_job(client, project_id, set_id))["id"], "FAILURE")

    said = await explained(client, job["id"])

    assert (said["cause"], said["action_by"], said["since"]) == ("ended", "owner", job["finished_at"])
    assert (
        said["summary"] == f'Failed: Job #{job["id"]} "Populate" failed: size: must not be negative, got -1'
    )


# the address ----------------------------------------------------------------------------------------------------


async def test_times_are_those_of_the_zone_that_is_set(
    settings: Settings, field: Field, admin: Person
) -> None:
    async with (
        serving(settings.model_copy(update={"time_zone": "America/Montreal"})) as address,
        httpx2.AsyncClient(base_url=f"{address}/api/v2", headers=admin.headers, timeout=20) as client,
    ):
        job = await make_job(client, *await field.small_set(), start=False)

        assert (await explained(client, job["id"]))["since"] == job["created_at"]


async def test_the_address_is_like_every_other(client: httpx2.AsyncClient, field: Field) -> None:
    job = await make_job(client, *await field.small_set(), start=False)
    path = f"/jobs/{job['id']}/explain"

    first = await client.get(path)
    again = await client.get(f"{path}/", headers={"If-None-Match": first.headers["etag"]})
    head = await client.head(f"{path}/")
    options = await client.options(f"{path}/")
    posted = await client.post(f"{path}/")
    unknown = await client.get("/jobs/7000000/explain/")

    assert again.status_code == 304
    assert (head.status_code, head.content) == (200, b"")
    assert (options.status_code, options.headers["allow"]) == (200, "GET, HEAD, OPTIONS")
    assert posted.status_code == 405
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Not found."})
