"""What fault tests set up: servers behind passages, clients, and what became of a job in PostgreSQL and Temporal."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx2
from temporalio.client import Client, WorkflowExecutionStatus

from config import Settings
from db.connections import Row
from tests.field import Field, Person
from tests.passages import Passage, passage
from tests.waiting import job_in, until

FINAL = ("SUCCESS", "FAILURE", "REVOKED")


def with_database_at(settings: Settings, address: str) -> Settings:
    """The same settings, but PostgreSQL is reached at that host:port."""
    url = urlsplit(settings.database_url)
    account = url.netloc.rpartition("@")[0]
    moved = url._replace(netloc=f"{account}@{address}").geturl()
    return settings.model_copy(update={"database_url": moved})


def with_temporal_at(settings: Settings, address: str) -> Settings:
    """The same settings, but Temporal is reached at that host:port."""
    return settings.model_copy(update={"temporal_address": address})


def database_address(settings: Settings) -> str:
    """host:port of PostgreSQL."""
    return urlsplit(settings.database_url).netloc.rpartition("@")[2]


@asynccontextmanager
async def database_passage(settings: Settings) -> AsyncIterator[tuple[Passage, Settings]]:
    """A passage to PostgreSQL, and the settings of a process that takes it."""
    async with passage(database_address(settings)) as way:
        yield way, with_database_at(settings, way.address)


@asynccontextmanager
async def temporal_passage(settings: Settings) -> AsyncIterator[tuple[Passage, Settings]]:
    """A passage to Temporal, and the settings of a process that takes it."""
    async with passage(settings.temporal_address) as way:
        yield way, with_temporal_at(settings, way.address)


@asynccontextmanager
async def client_at(address: str, person: Person, **headers: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of the API at that address; patient, so that a slow answer is seen as one."""
    async with httpx2.AsyncClient(
        base_url=f"{address}/api/v2", headers={**person.headers, **headers}, timeout=60
    ) as client:
        yield client


@asynccontextmanager
async def set_held(field: Field, set_id: int) -> AsyncIterator[None]:
    """While the block runs, whoever fills that capture set waits in the middle of its effect."""
    async with field.database.transaction() as db:
        await db.execute("SELECT 1 FROM source_image_collections WHERE id = %s FOR NO KEY UPDATE", (set_id,))
        yield


def messages(job: dict[str, Any]) -> list[str]:
    """The lines of a job's log without time and level, oldest first."""
    return [line.split("] ", 1)[1].split(" ", 1)[1] for line in reversed(job["logs"]["stdout"])]


def said(job: dict[str, Any], words: str) -> int:
    """How many lines of the job's log have those words."""
    return sum(words in line for line in messages(job))


def ran_once(job: dict[str, Any]) -> bool:
    """Whether the log tells of one execution from beginning to end, and of no error."""
    begun, done, ended = (said(job, words) for words in ("Running job", "Added ", "Finished job"))
    return (job["status"], begun, done, ended, job["logs"]["stderr"]) == ("SUCCESS", 1, 1, 1, [])


async def effect_under_way(field: Field, waiting: int = 1) -> None:
    """Until that many sessions of workers wait for a lock, in the middle of their effects."""

    async def look() -> bool:
        rows = await field.read(
            """SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database()
            AND application_name = 'nightjar worker' AND wait_event_type = 'Lock'"""
        )
        return bool(rows[0]["n"] >= waiting)

    await until(look, f"{waiting} effects under way")


async def waiting_for_turn(field: Field, jobs: int = 1) -> None:
    """Until that many jobs wait for another that does the same to the same thing."""

    async def look() -> bool:
        rows = await field.read("SELECT count(*) AS n FROM job_stages WHERE waits_for IS NOT NULL")
        return bool(rows[0]["n"] >= jobs)

    await until(look, f"{jobs} jobs that wait for their turn")


async def row_of(field: Field, job_id: int) -> Row:
    """The job's row as it is."""
    return (await field.read("SELECT * FROM jobs WHERE id = %(job_id)s", job_id=job_id))[0]


async def written_of(field: Field, job_id: int) -> list[Row]:
    """Everything that is written about a job: to compare with later."""
    rows = await field.read("SELECT * FROM jobs WHERE id = %(job_id)s", job_id=job_id)
    for table in ("job_stages", "job_logs"):
        rows += await field.read(
            f"SELECT * FROM {table} WHERE job_id = %(job_id)s ORDER BY 1, 2", job_id=job_id
        )
    return rows


async def ended(temporal: Client, workflow_id: str) -> WorkflowExecutionStatus:
    """How a workflow ended, once it has."""

    async def look() -> WorkflowExecutionStatus | None:
        status = (await temporal.get_workflow_handle(workflow_id).describe()).status
        return None if status is WorkflowExecutionStatus.RUNNING else status

    return await until(look, f"the end of workflow {workflow_id}", seconds=90)


async def all_in(client: httpx2.AsyncClient, job_ids: list[int], seconds: float = 60) -> list[dict[str, Any]]:
    """The jobs, once all of them have ended."""
    return [await job_in(client, job_id, *FINAL, seconds=seconds) for job_id in job_ids]


async def lose(way: Passage, fault: str) -> None:
    """Cut the passage, or freeze it."""
    if fault == "cut":
        await way.cut()
    else:
        way.freeze()


async def sets_of_one_project(field: Field, number: int) -> tuple[int, list[int]]:
    """A project with fifty captures in five nights, and so many sets: the first takes one a night, the others all."""
    project_id, set_id = await field.small_set()
    more = [await field.capture_set(project_id, "full", {}, name=f"Set {each}") for each in range(1, number)]
    return project_id, [set_id, *more]
