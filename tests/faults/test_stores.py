"""Stores that throttle, break off, fall silent or refuse in the middle of a sync, and workers killed in one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from config import Settings
from storage import buckets
from tests.fake_s3 import Cut, FakeS3, Fault, Refusal, Silence
from tests.faults.scenes import said
from tests.field import Field
from tests.processes import worker_process
from tests.waiting import job_in, until
from tests.workflows.test_data_storage_sync import asked, counts, synced

OBJECTS = 20_000
PAGES = 20


@pytest.fixture
async def fake() -> AsyncIterator[FakeS3]:
    async with FakeS3(OBJECTS) as served:
        served.warm_up()
        yield served


async def station_of(field: Field, fake: FakeS3) -> int:
    """A station with all that there is."""
    project_id = await field.project()
    source_id = await field.row(
        "storage_sources", name="Bucket", project_id=project_id, **vars(fake.source("demo"))
    )
    return await field.row("deployments", name="Station 1", project_id=project_id, data_source_id=source_id)


async def everything_once(field: Field, job: dict[str, Any]) -> None:
    """Every object has become one capture, and was counted once."""
    found = counts(job)
    assert job["status"] == "SUCCESS", job["logs"]["stdout"][:5]
    assert (found["total_files"], found["files_listed"], found["added"], found["pages"]) == (
        OBJECTS,
        OBJECTS,
        OBJECTS,
        PAGES,
    )
    assert (found["failed"], found["changed"], found["missing"]) == (0, 0, 0)
    [row] = await field.read("SELECT count(*) AS n, count(DISTINCT path) AS paths FROM source_images")
    assert (row["n"], row["paths"]) == (OBJECTS, OBJECTS)
    assert await field.read("SELECT * FROM sync_sightings") == []


PASSING: dict[str, tuple[Fault, int, str]] = {
    # each attempt asks four times before it gives up
    "throttling": (Refusal(503, "SlowDown"), 8, "The fake store says SlowDown."),
    "an error of its own": (Refusal(500, "InternalError"), 4, "The fake store says InternalError."),
    "a connection that breaks": (Cut(), 1, "broke off"),
}


@pytest.mark.parametrize("case", PASSING.values(), ids=PASSING.keys())
async def test_what_passes_by_itself_is_tried_again_from_where_it_was(
    client: httpx2.AsyncClient, field: Field, worker: None, fake: FakeS3, case: tuple[Fault, int, str]
) -> None:
    fault, times, words = case
    station_id = await station_of(field, fake)
    fake.fail(fault, nth=15, times=times)

    job = await synced(client, station_id)

    await everything_once(field, job)
    assert fault.met == times
    # nothing that was written before is listed again, but for what was listed ahead of it
    assert fake.listings < 2 * PAGES + times
    assert said(job, "Going on with stage data_storage_sync") >= 1
    assert said(job, "ServiceUnavailable: Storage source #") >= 1
    assert said(job, words) >= 1


async def test_a_store_that_falls_silent_is_asked_again(
    client: httpx2.AsyncClient,
    field: Field,
    worker: None,
    fake: FakeS3,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(buckets, "ANSWER_WITHIN", timedelta(seconds=1))
    monkeypatch.setattr(buckets, "RETRY_FOR", timedelta(seconds=1))
    fake.fail(Silence(60), nth=15, times=2)

    job = await synced(client, await station_of(field, fake))

    await everything_once(field, job)
    assert said(job, "does not answer") >= 1


async def test_why_a_sync_does_not_move_is_that_its_store_is_down(
    client: httpx2.AsyncClient, field: Field, worker: None, fake: FakeS3
) -> None:
    fake.fail(Refusal(503, "SlowDown"), nth=5, times=100_000)
    job_id = await asked(client, await station_of(field, fake))

    async def down() -> dict[str, Any] | None:
        said: dict[str, Any] = (await client.get(f"/jobs/{job_id}/explain/")).json()
        return said if said["cause"] == "external_service_down" else None

    found = await until(down, "the cause")

    assert found["action_by"] == "service"
    assert "Storage source #" in found["summary"]
    assert "The fake store says SlowDown." in found["summary"]
    fake._faults.clear()
    await everything_once(field, await job_in(client, job_id))


async def test_a_store_that_takes_its_keys_back_ends_the_job_and_a_retry_takes_in_the_rest(
    client: httpx2.AsyncClient, field: Field, worker: None, fake: FakeS3
) -> None:
    fake.fail(Refusal(403, "AccessDenied"), nth=15)

    failed = await synced(client, await station_of(field, fake))
    await client.post(f"/jobs/{failed['id']}/retry/")
    job = await job_in(client, failed["id"])

    assert failed["status"] == "FAILURE"
    [error] = failed["logs"]["stderr"]
    assert "The store refuses the keys: The fake store says AccessDenied. (InvalidCredentials)" in error
    before = counts(failed)["added"]
    assert 0 < before < OBJECTS
    assert before % 1000 == 0
    assert (job["status"], counts(job)["total_files"]) == ("SUCCESS", OBJECTS)
    assert before + counts(job)["added"] == OBJECTS


@asynccontextmanager
async def stopped_in_the_middle(client: httpx2.AsyncClient, field: Field, fake: FakeS3) -> AsyncIterator[int]:
    """A sync that has written some pages, and waits for the store; gives its job."""
    fake.fail(Silence(600), nth=12)
    job_id = await asked(client, await station_of(field, fake))

    async def some() -> bool:
        rows = await field.read("SELECT count(*) AS n FROM source_images")
        return bool(rows[0]["n"] == 11_000)

    await until(some, "eleven pages")
    yield job_id


async def test_a_sync_whose_worker_is_killed_goes_on_at_its_page(
    client: httpx2.AsyncClient, field: Field, settings: Settings, fake: FakeS3
) -> None:
    with worker_process(settings) as first:
        async with stopped_in_the_middle(client, field, fake) as job_id:
            first.kill()
    with worker_process(settings):
        job = await job_in(client, job_id, seconds=60)

    await everything_once(field, job)
    # eleven, the one that never came, and nine more
    assert fake.listings == 12 + 9
    assert said(job, "attempt 2") == 1


async def test_a_sync_is_cancelled_at_once_while_it_waits_for_its_store(
    client: httpx2.AsyncClient, field: Field, worker: None, fake: FakeS3
) -> None:
    async with stopped_in_the_middle(client, field, fake) as job_id:
        await client.post(f"/jobs/{job_id}/cancel/")
        job = await job_in(client, job_id, "REVOKED", seconds=5)

    assert counts(job)["total_files"] == 11_000
    assert [stage["status"] for stage in job["progress"]["stages"]] == ["REVOKED", "CREATED", "CREATED"]


async def test_a_paused_sync_goes_on_at_its_page(
    client: httpx2.AsyncClient, field: Field, worker: None, fake: FakeS3
) -> None:
    fake.latency = 0.05
    job_id = await asked(client, await station_of(field, fake))

    async def begun() -> bool:
        return len(await field.read("SELECT 1 FROM source_images LIMIT 1")) == 1

    await until(begun, "the first page")
    await client.post(f"/jobs/{job_id}/pause/")

    async def at_rest() -> int | None:
        before = fake.listings
        rows = await field.read(
            "SELECT (params -> 0 ->> 'value')::int AS n FROM job_stages WHERE job_id = %(id)s AND key = %(key)s"
            " AND updated_at < clock_timestamp() - interval '1 second'",
            id=job_id,
            key="data_storage_sync",
        )
        return rows[0]["n"] if rows and before == fake.listings else None

    await until(at_rest, "the pause")
    await client.post(f"/jobs/{job_id}/resume/")

    await everything_once(field, await job_in(client, job_id))


async def test_progress_is_known_from_the_second_sync_on(
    client: httpx2.AsyncClient, field: Field, worker: None, fake: FakeS3
) -> None:
    fake.fail(Silence(600), nth=12)
    station_id = await station_of(field, fake)

    async def page(job_id: int) -> dict[str, Any] | None:
        job: dict[str, Any] = (await client.get(f"/jobs/{job_id}/")).json()
        stages = job["progress"]["stages"]
        return stages[0] if stages and counts(job)["files_listed"] == 11_000 else None

    seen = []
    for _ in range(2):
        job_id = await asked(client, station_id)
        stage = await until(lambda: page(job_id), "eleven pages")  # noqa: B023 - awaited here
        seen.append(stage["progress"])
        await client.post(f"/jobs/{job_id}/cancel/")
        await job_in(client, job_id, "REVOKED")
        if len(seen) == 1:
            await synced(client, station_id)
            fake.fail(Silence(600), nth=12)

    assert seen == [0.0, 0.55]
