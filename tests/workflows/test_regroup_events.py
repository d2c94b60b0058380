"""Grouping captures into sessions as a job: over REST, from programs, two at once."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import httpx2
from temporalio.client import Client

from config import Settings
from db import grouping_rows
from tests.field import Field
from tests.waiting import job_in, until
from tests.workflows.test_runs import lines, stage

EVENING = datetime.fromisoformat("2024-06-01 22:00")
ZEROS = {
    "captures_grouped": 0,
    "events_created": 0,
    "events_touched": 0,
    "empty_events_deleted": 0,
    "duplicate_timestamps": 0,
    "ungrouped_captures": 0,
    "captures_missing_timestamp": 0,
}


async def station_of_two_nights(field: Field) -> tuple[int, int]:
    """A station with ten captures in each of two nights and one without a time; gives project and station."""
    project_id = await field.project()
    station_id = await field.station(project_id, "Station 1")
    for night in range(2):
        times = [EVENING + timedelta(days=night, minutes=number) for number in range(10)]
        await field.captures(project_id, station_id, times)
    await field.captures(project_id, station_id, [None])
    return project_id, station_id


async def asked(client: httpx2.AsyncClient, station_id: int) -> int:
    answer = await client.post(f"/deployments/{station_id}/regroup-sessions/")
    assert answer.status_code == 202, answer.text
    return int(answer.json()["job_id"])


async def regrouped(client: httpx2.AsyncClient, station_id: int) -> dict[str, Any]:
    return await job_in(client, await asked(client, station_id))


def counts(job: dict[str, Any]) -> dict[str, Any]:
    return {param["key"]: param["value"] for param in stage(job, "regroup_events")["params"]}


async def test_the_captures_of_a_station_are_grouped(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    project_id, station_id = await station_of_two_nights(field)

    answer = await client.post(f"/deployments/{station_id}/regroup-sessions/")
    job = await job_in(client, answer.json()["job_id"])

    assert answer.status_code == 202
    assert answer.json() == {"job_id": job["id"], "deployment_id": station_id, "project_id": project_id}
    assert job["name"] == f"Regroup sessions for deployment {station_id}"
    assert job["status"] == "SUCCESS"
    assert job["deployment"]["id"] == station_id
    assert counts(job) == ZEROS | {
        "captures_grouped": 20,
        "events_created": 2,
        "events_touched": 2,
        "captures_missing_timestamp": 1,
    }
    assert lines(job)[2:4] == [
        f"INFO Regrouping captures for deployment #{station_id} Station 1",
        f"INFO Deployment #{station_id} Station 1 now has 2 events after regrouping.",
    ]
    sessions = (await client.get(f"/events/?project_id={project_id}")).json()
    assert sorted(session["captures_count"] for session in sessions["results"]) == [10, 10]
    again = await regrouped(client, station_id)
    assert (counts(again)["events_created"], counts(again)["events_touched"]) == (0, 2)


async def test_the_project_says_after_which_pause_a_new_session_begins(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    project_id = await field.project()
    station_id = await field.station(project_id)
    await field.captures(project_id, station_id, [EVENING, EVENING + timedelta(hours=3)])
    async with field.database.transaction() as db:
        await db.execute("UPDATE projects SET session_time_gap_seconds = 4 * 3600")
    assert counts(await regrouped(client, station_id))["events_touched"] == 1

    async with field.database.transaction() as db:
        await db.execute("UPDATE projects SET session_time_gap_seconds = 0")
    job = await regrouped(client, station_id)

    assert counts(job)["events_touched"] == 2
    assert any("WARNING" in line and "7200 s" in line for line in lines(job))


async def test_a_job_without_a_station_fails_and_says_so(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    body = {
        "name": "Nothing",
        "project_id": await field.project(),
        "delay": 0,
        "job_type_key": "regroup_events",
    }
    answer = await client.post("/jobs/?start_now", json=body)

    job = await job_in(client, answer.json()["id"])

    assert job["status"] == "FAILURE"
    assert counts(job) == ZEROS
    assert "No deployment provided for regroup events job" in job["logs"]["stderr"][0]


async def test_two_jobs_for_one_station_group_it_one_after_the_other_and_the_second_says_that_it_waits(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    _, station_id = await station_of_two_nights(field)
    async with field.database.transaction() as db:
        await grouping_rows.lock(db, station_id)
        job_id = await asked(client, station_id)

        async def waits() -> bool:
            job = (await client.get(f"/jobs/{job_id}/")).json()
            return any("Another job is grouping" in line for line in lines(job))

        await until(waits, "a word that it waits")
        assert (await client.get(f"/jobs/{job_id}/")).json()["status"] == "STARTED"
        assert await field.read("SELECT id FROM events") == []
    job = await job_in(client, job_id)

    assert job["status"] == "SUCCESS"
    assert counts(job)["events_created"] == 2


async def test_many_at_once_for_one_station_come_to_what_one_does(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    _, station_id = await station_of_two_nights(field)

    jobs = await asyncio.gather(*(regrouped(client, station_id) for _ in range(8)))

    assert {job["status"] for job in jobs} == {"SUCCESS"}
    assert sum(counts(job)["events_created"] for job in jobs) == 2
    assert len(await field.read("SELECT id FROM events")) == 2


async def test_one_that_waits_for_another_can_be_cancelled(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    _, station_id = await station_of_two_nights(field)
    async with field.database.transaction() as db:
        await grouping_rows.lock(db, station_id)
        job_id = await asked(client, station_id)
        await job_in(client, job_id, "STARTED")
        await client.post(f"/jobs/{job_id}/cancel/")
        await job_in(client, job_id, "REVOKED", seconds=5)
    job = await regrouped(client, station_id)

    assert counts(job)["events_created"] == 2


async def test_a_program_starts_it_with_the_fields_of_the_jobs_api(
    client: httpx2.AsyncClient, field: Field, worker: None, temporal: Client, settings: Settings
) -> None:
    project_id, station_id = await station_of_two_nights(field)

    result = await temporal.execute_workflow(
        "regroup_events",
        {"project_id": project_id, "deployment_id": station_id},
        id=f"regroup-{settings.task_queue}",
        task_queue=f"{settings.task_queue}-jobs",
    )

    assert result["status"] == "SUCCESS"
    assert {param["key"]: param["value"] for param in result["stages"][0]["params"]}["events_created"] == 2
    assert (await client.get(f"/jobs/{result['job_id']}/")).json()["deployment"]["id"] == station_id


async def jobs_of(client: httpx2.AsyncClient, station_id: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await client.get(f"/jobs/?deployment={station_id}")).json()["results"]
    return found


async def saved(client: httpx2.AsyncClient, station_id: int) -> int:
    """Save the station under its own name; gives how many jobs there are for it then."""
    answer = await client.patch(f"/deployments/{station_id}/", json={"name": "Station 1"})
    assert answer.status_code == 200, answer.text
    jobs = await jobs_of(client, station_id)
    for job in jobs:
        await job_in(client, job["id"], "SUCCESS")
    return len(jobs)


async def test_saving_a_station_groups_it_again_if_its_sessions_are_not_what_its_captures_say(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    project_id, station_id = await station_of_two_nights(field)
    other_id = await field.station(project_id, "Station 2")
    elsewhere = await field.session(project_id, other_id, "2024-06-01")

    # captures without a session
    assert await saved(client, station_id) == 1
    [job] = await jobs_of(client, station_id)
    assert job["name"] == f"Regroup sessions for deployment {station_id}"
    # all is well
    assert await saved(client, station_id) == 1
    changes = (
        "UPDATE source_images SET timestamp = timestamp + interval '12 hours', updated_at = now() WHERE id = %(first)s",
        "UPDATE source_images SET event_id = %(elsewhere)s WHERE id = %(first)s",
        "DELETE FROM source_images WHERE id = %(first)s",
    )
    [row] = await field.read("SELECT min(id) AS id FROM source_images WHERE timestamp IS NOT NULL")
    for number, change in enumerate(changes, start=2):
        async with field.database.transaction() as db:
            await db.execute(change, {"first": row["id"], "elsewhere": elsewhere})
        assert await saved(client, station_id) == number, change
        assert await saved(client, station_id) == number, change


async def test_a_station_without_captures_is_saved_without_a_job(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    station_id = await field.station(await field.project(), "Station 1")

    assert await saved(client, station_id) == 0


async def test_the_size_of_one_picture_of_a_session_is_that_of_all(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    _, station_id = await station_of_two_nights(field)
    async with field.database.transaction() as db:
        await db.execute(
            """UPDATE source_images SET width = 4096, height = 2160
            WHERE timestamp = (SELECT min(timestamp) FROM source_images)"""
        )

    job = await regrouped(client, station_id)

    figures = {param["key"]: param["value"] for param in stage(job, "measure_captures")["params"]}
    # the other night has no source to read a picture from
    assert figures == {"captures_measured": 9, "sessions_not_measured": 0}
    rows = await field.read("SELECT width, height, count(*) AS n FROM source_images GROUP BY 1, 2 ORDER BY 3")
    assert [(row["width"], row["n"]) for row in rows] == [(4096, 10), (None, 11)]
