"""What was asked for while Temporal was away is carried there when it is back; a dead database is a quick 503."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx2
import pytest

from config import Settings
from embedded.ports import free_port
from tests.conftest import serving
from tests.field import Field, Person
from tests.waiting import job_in, make_job
from worker import working


@asynccontextmanager
async def passage(port: int, to: str) -> AsyncIterator[None]:
    """A TCP port that leads to another: open it and the far end is there."""
    host, _, far_port = to.rpartition(":")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    open_ends: list[asyncio.StreamWriter] = []

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(host, int(far_port))
        open_ends.extend((writer, far_writer))
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer), return_exceptions=True)

    server = await asyncio.start_server(meet, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
        for end in open_ends:
            end.close()
        await server.wait_closed()


@pytest.fixture
async def detour(settings: Settings) -> Settings:
    """Settings whose Temporal is behind a port that nothing listens on yet."""
    return settings.model_copy(update={"temporal_address": f"127.0.0.1:{free_port()}"})


async def test_a_job_asked_for_while_temporal_is_away_runs_once_it_is_back(
    settings: Settings, detour: Settings, field: Field, admin: Person
) -> None:
    project_id, set_id = await field.small_set()
    async with (
        working(settings),
        serving(detour) as address,
        httpx2.AsyncClient(base_url=f"{address}/api/v2", headers=admin.headers, timeout=20) as client,
    ):
        asked = time.monotonic()
        job = await make_job(client, project_id, set_id)
        answered_in = time.monotonic() - asked
        assert job["status"] == "PENDING"
        assert answered_in < 4
        async with passage(int(detour.temporal_address.rpartition(":")[2]), settings.temporal_address):
            job = await job_in(client, job["id"], "SUCCESS", seconds=20)

    assert sum("Running job" in line for line in job["logs"]["stdout"]) == 1


async def test_a_job_that_never_reached_temporal_can_be_cancelled(
    detour: Settings, field: Field, admin: Person
) -> None:
    project_id, set_id = await field.small_set()
    async with (
        serving(detour) as address,
        httpx2.AsyncClient(base_url=f"{address}/api/v2", headers=admin.headers, timeout=20) as client,
    ):
        job = await make_job(client, project_id, set_id)
        job = (await client.post(f"/jobs/{job['id']}/cancel/")).json()

    assert job["status"] == "REVOKED"


async def test_the_relay_of_an_api_that_died_after_the_commit_is_another_api(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, start=False)
    async with field.database.transaction() as db:
        # as a request leaves it that is killed between its commit and the start of the workflow
        await db.execute(
            "UPDATE jobs SET status = 'PENDING', run = 1, asked_at = now() WHERE id = %s", (job["id"],)
        )

    job = await job_in(client, job["id"], seconds=10)

    assert job["status"] == "SUCCESS"


async def test_a_database_out_of_reach_is_a_quick_503(settings: Settings) -> None:
    nowhere = f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/nothing"
    async with (
        serving(settings.model_copy(update={"database_url": nowhere})) as address,
        httpx2.AsyncClient(base_url=address, timeout=20) as client,
    ):
        asked = time.monotonic()
        answer = await client.get("/api/v2/jobs/")
        answered_in = time.monotonic() - asked
        ready = await client.get("/readyz")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answered_in < 5
    assert (ready.status_code, ready.json()["reasons"]) == (503, ["the database cannot be used: PoolTimeout"])
