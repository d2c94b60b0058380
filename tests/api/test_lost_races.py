"""What a request needs is deleted while it is answered: 400 that names the field, or 404; never an error of ours."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from config import Settings
from db import project_rows
from tests.api.test_errors import waits, waits_for
from tests.field import Field
from tests.stores import folder_in

MEMBERSHIPS = 0x6D656D62657273
"""The lock of who changes what is in capture sets, and of who deletes sets or captures."""
NOT_FOUND = (404, {"detail": "Not found."})


@dataclass(frozen=True)
class Ids:
    """One of each, all of one project, as ids by table."""

    by_table: dict[str, int]

    def __getitem__(self, table: str) -> int:
        return self.by_table[table]


@pytest.fixture
async def ids(client: httpx2.AsyncClient, field: Field) -> Ids:
    project = await field.project()
    station = await field.station(project)
    session = await field.session(project, station, "2024-06-01")
    night = datetime(2024, 6, 1, 22)  # noqa: DTZ001
    [capture] = await field.captures(project, station, [night], session_id=session)
    source = await field.row("storage_sources", name="Bucket", bucket="moths", project_id=project)
    await field.read("UPDATE deployments SET data_source_id = %(source)s RETURNING id", source=source)
    person = await field.person("member@example.org", BasicMember=project)
    [member] = await field.read("SELECT id FROM project_members WHERE user_id = %(id)s", id=person.id)
    return Ids(
        {
            "projects": project,
            "deployments": station,
            "events": session,
            "source_images": capture,
            "storage_sources": source,
            "source_image_collections": await field.capture_set(project),
            "sites": await field.row("sites", name="Site", project_id=project),
            "devices": await field.row("devices", name="Device", project_id=project),
            "pipelines": await field.pipeline("Moths", "moths"),
            "project_members": member["id"],
        }
    )


async def overtaken(
    field: Field, table: str, row_id: int, request: Awaitable[httpx2.Response]
) -> tuple[int, Any]:
    """The answer to a request that waits for a deletion, which is then committed."""
    async with field.database.transaction() as deleting:
        await deleting.execute(f"DELETE FROM {table} WHERE id = %s", (row_id,))
        asked = asyncio.ensure_future(request)
        await waits(field, deleting)
    answer = await asked
    return answer.status_code, answer.json() if answer.content else None


def no_more(field_name: str, row_id: int) -> tuple[int, Any]:
    return 400, {field_name: [f'Invalid pk "{row_id}" - object does not exist.']}


PATHS = {
    "deployments": "deployments",
    "events": "events",
    "source_images": "captures",
    "storage_sources": "storage",
    "source_image_collections": "captures/collections",
    "sites": "deployments/sites",
    "devices": "deployments/devices",
    "projects": "projects",
}
JOB = {"name": "Some job", "delay": 0, "job_type_key": "populate_captures_collection"}
REFERENCES_OF_JOBS = [
    ("project_id", "projects"),
    ("source_image_collection_id", "source_image_collections"),
    ("source_image_single_id", "source_images"),
    ("deployment_id", "deployments"),
    ("pipeline_id", "pipelines"),
]
CREATES: list[tuple[str, dict[str, Any], str, str]] = [
    # where, what is sent beside references, which reference, to a row of which table
    *(("jobs/", JOB, name, table) for name, table in REFERENCES_OF_JOBS),
    *(("jobs/?start_now", JOB, name, table) for name, table in REFERENCES_OF_JOBS),
    ("deployments/", {"name": "New"}, "project_id", "projects"),
    ("deployments/", {"name": "New"}, "device_id", "devices"),
    ("deployments/", {"name": "New"}, "research_site_id", "sites"),
    ("deployments/", {"name": "New"}, "data_source_id", "storage_sources"),
    ("deployments/sites/", {"name": "New"}, "project", "projects"),
    ("deployments/devices/", {"name": "New"}, "project", "projects"),
    ("storage/", {"name": "New", "bucket": "new"}, "project", "projects"),
    ("captures/collections/", {"name": "New"}, "project", "projects"),
    ("captures/", {"path": "new.jpg"}, "deployment_id", "deployments"),
    ("captures/", {"path": "new.jpg"}, "event_id", "events"),
    ("events/", {"start": "2024-07-01T22:00:00"}, "deployment_id", "deployments"),
]


def body_of(path: str, sent: dict[str, Any], name: str, table: str, ids: Ids) -> dict[str, Any]:
    """What is sent, with the references that it needs."""
    needed = {
        "jobs": {"project_id": ids["projects"]},
        "deployments": {"project_id": ids["projects"]},
        "captures": {"deployment_id": ids["deployments"]},
    }.get(path.partition("/?")[0].rstrip("/"), {})
    return {**sent, **needed, name: ids[table]}


@pytest.mark.parametrize(("path", "sent", "name", "table"), CREATES)
async def test_a_new_thing_that_names_what_is_being_deleted_is_refused_by_its_field(
    client: httpx2.AsyncClient,
    field: Field,
    ids: Ids,
    path: str,
    sent: dict[str, Any],
    name: str,
    table: str,
) -> None:
    body = body_of(path, sent, name, table, ids)

    answer = await overtaken(field, table, ids[table], client.post(f"/{path}", json=body))

    assert answer == no_more(name, ids[table])


@pytest.mark.parametrize(
    ("path", "sent"),
    [("captures", {"path": "new.jpg"}), ("events", {"start": "2024-07-01T22:00:00"})],
)
async def test_what_belongs_to_a_station_is_refused_by_it_while_the_project_is_being_deleted(
    client: httpx2.AsyncClient, field: Field, ids: Ids, path: str, sent: dict[str, Any]
) -> None:
    body = {**sent, "deployment_id": ids["deployments"]}

    answer = await overtaken(field, "projects", ids["projects"], client.post(f"/{path}/", json=body))

    assert answer == no_more("deployment_id", ids["deployments"])


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_a_project_that_names_a_pipeline_that_is_being_deleted_is_refused_by_its_settings(
    client: httpx2.AsyncClient, field: Field, ids: Ids, method: str
) -> None:
    pipeline = ids["pipelines"]
    body = {"name": "New", "settings": {"default_processing_pipeline_id": pipeline}}
    address = "/projects/" if method == "POST" else f"/projects/{ids['projects']}/"
    request = client.request(method, address, json=body)

    reason = f'default_processing_pipeline_id: Invalid pk "{pipeline}" - object does not exist.'
    assert await overtaken(field, "pipelines", pipeline, request) == (400, {"settings": [reason]})


async def test_a_storage_source_that_is_deleted_while_it_is_tested_is_not_found(
    client: httpx2.AsyncClient, field: Field, ids: Ids, settings: Settings
) -> None:
    bucket = folder_in(Path(settings.storage_roots))
    await bucket.put({"20230801120000.jpg": b"x"})
    source = {**vars(bucket.source), "name": "Folder", "project_id": ids["projects"]}
    source_id = await field.row("storage_sources", **source)
    request = client.post(f"/storage/{source_id}/test/", json={})

    assert await overtaken(field, "storage_sources", source_id, request) == NOT_FOUND


async def test_nobody_is_taken_into_a_project_that_is_being_deleted(
    client: httpx2.AsyncClient, field: Field, ids: Ids
) -> None:
    await field.person("new@example.org")
    body = {"email": "new@example.org", "role_id": "BasicMember"}
    request = client.post(f"/projects/{ids['projects']}/members/", json=body)

    assert await overtaken(field, "projects", ids["projects"], request) == NOT_FOUND


@pytest.mark.parametrize("table", sorted(PATHS))
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_changing_or_deleting_what_is_being_deleted_is_answered_not_found(
    client: httpx2.AsyncClient, field: Field, ids: Ids, table: str, method: str
) -> None:
    change = {"start": "2024-06-01T20:00:00"} if table == "events" else {"name": "Another"}
    body = None if method == "DELETE" else {"path": "another.jpg"} if table == "source_images" else change
    request = client.request(method, f"/{PATHS[table]}/{ids[table]}/", json=body)

    assert await overtaken(field, table, ids[table], request) == NOT_FOUND


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_a_member_who_is_being_removed_is_not_found(
    client: httpx2.AsyncClient, field: Field, ids: Ids, method: str
) -> None:
    address = f"/projects/{ids['projects']}/members/{ids['project_members']}/"
    body = None if method == "DELETE" else {"role_id": "Researcher"}
    request = client.request(method, address, json=body)

    assert await overtaken(field, "project_members", ids["project_members"], request) == NOT_FOUND


async def test_a_job_that_is_being_deleted_is_not_found_by_who_changes_its_delay(
    client: httpx2.AsyncClient, field: Field, ids: Ids
) -> None:
    body = {**JOB, "project_id": ids["projects"]}
    job = (await client.post("/jobs/", json=body)).json()
    request = client.patch(f"/jobs/{job['id']}/", json={"delay": 5})

    assert await overtaken(field, "jobs", job["id"], request) == NOT_FOUND


async def test_a_token_that_is_being_taken_back_is_not_found(
    client: httpx2.AsyncClient, field: Field
) -> None:
    token = (await client.post("/users/me/tokens/", json={"name": "laptop"})).json()
    request = client.delete(f"/users/me/tokens/{token['id']}/")

    assert await overtaken(field, "auth_tokens", token["id"], request) == NOT_FOUND


@pytest.mark.parametrize(
    ("path", "name", "changed", "table"),
    [
        ("deployments", "device_id", "deployments", "devices"),
        ("deployments", "research_site_id", "deployments", "sites"),
        ("deployments", "data_source_id", "deployments", "storage_sources"),
        ("captures", "event_id", "source_images", "events"),
        ("captures", "deployment_id", "source_images", "deployments"),
        ("events", "deployment_id", "events", "deployments"),
    ],
)
async def test_a_change_that_names_what_is_being_deleted_is_refused_by_its_field(
    client: httpx2.AsyncClient, field: Field, ids: Ids, path: str, name: str, changed: str, table: str
) -> None:
    project = ids["projects"]
    other = {
        "devices": field.row("devices", name="Other", project_id=project),
        "sites": field.row("sites", name="Other", project_id=project),
        "storage_sources": field.row("storage_sources", name="Other", bucket="other", project_id=project),
        "events": field.session(project, ids["deployments"], "2024-06-02"),
        "deployments": field.station(project, "Other"),
    }
    row_id = await other.pop(table)
    for unused in other.values():
        unused.close()
    request = client.patch(f"/{path}/{ids[changed]}/", json={name: row_id})

    assert await overtaken(field, table, row_id, request) == no_more(name, row_id)


@pytest.mark.parametrize(
    ("action", "table", "deleted"),
    [
        ("captures/collections/{}/populate/", "source_image_collections", "source_image_collections"),
        ("captures/collections/{}/populate/", "source_image_collections", "projects"),
        ("captures/collections/{}/add/", "source_image_collections", "source_image_collections"),
        ("captures/collections/{}/remove/", "source_image_collections", "source_image_collections"),
        ("captures/collections/{}/add/", "source_image_collections", "source_images"),
        ("captures/collections/{}/remove/", "source_image_collections", "source_images"),
        ("captures/{}/star/", "source_images", "source_images"),
        ("captures/{}/unstar/", "source_images", "source_images"),
        ("captures/{}/star/", "source_images", "projects"),
        ("deployments/{}/sync/", "deployments", "deployments"),
        ("deployments/{}/sync/", "deployments", "projects"),
        ("deployments/{}/regroup-sessions/", "deployments", "deployments"),
        ("deployments/{}/regroup-sessions/", "deployments", "projects"),
    ],
)
async def test_an_action_on_what_is_being_deleted_is_answered_not_found(
    client: httpx2.AsyncClient, field: Field, ids: Ids, action: str, table: str, deleted: str
) -> None:
    request = client.post(f"/{action.format(ids[table])}", json={"source_image": ids["source_images"]})

    assert await overtaken(field, deleted, ids[deleted], request) == NOT_FOUND
    assert await field.read("SELECT 1 FROM jobs") == []
    assert await field.read("SELECT 1 FROM source_image_collection_images") == []


async def test_syncing_all_stations_leaves_out_one_that_is_being_deleted(
    client: httpx2.AsyncClient, field: Field, ids: Ids
) -> None:
    other = await field.station(ids["projects"], "Other")
    await field.read("UPDATE deployments SET data_source_id = %(id)s RETURNING id", id=ids["storage_sources"])
    request = client.post(f"/deployments/sync-all/?project_id={ids['projects']}")

    status, body = await overtaken(field, "deployments", ids["deployments"], request)

    assert (status, body["queued"]) == (200, 1)
    assert await field.read("SELECT deployment_id FROM jobs") == [{"deployment_id": other}]


async def test_all_stations_of_a_project_that_is_being_deleted_are_not_found(
    client: httpx2.AsyncClient, field: Field, ids: Ids
) -> None:
    request = client.post(f"/deployments/sync-all/?project_id={ids['projects']}")

    assert await overtaken(field, "projects", ids["projects"], request) == NOT_FOUND


async def test_a_key_that_was_sent_with_a_lost_race_may_be_sent_again(
    client: httpx2.AsyncClient, field: Field, ids: Ids
) -> None:
    key = {"Idempotency-Key": "once"}
    body = {"name": "New", "project_id": ids["projects"], "device_id": ids["devices"]}
    request = client.post("/deployments/", json=body, headers=key)
    assert await overtaken(field, "devices", ids["devices"], request) == no_more("device_id", ids["devices"])

    again = await client.post("/deployments/", json=body, headers=key)

    assert (again.status_code, again.json()) == no_more("device_id", ids["devices"])


async def test_a_flag_of_a_project_that_is_no_more_is_as_usual(field: Field) -> None:
    async with field.database.transaction() as db:
        assert await project_rows.flag(db, 4711, "async_pipeline_workers", True) is True


async def test_a_request_that_deadlocks_with_others_is_done_again(
    client: httpx2.AsyncClient, field: Field, ids: Ids
) -> None:
    path = f"/captures/{ids['source_images']}/star/"
    set_id = (await client.post(path)).json()["collection"]
    await client.post(f"/captures/{ids['source_images']}/unstar/")

    async with field.database.transaction() as other:
        # so it is always the request that PostgreSQL undoes
        await other.execute("SET LOCAL deadlock_timeout = '1h'")
        await other.execute("SELECT 1 FROM source_image_collections WHERE id = %s FOR UPDATE", (set_id,))
        async with field.database.transaction() as third:
            await third.execute("SELECT pg_advisory_xact_lock(%s)", (MEMBERSHIPS,))
            asked = asyncio.create_task(client.post(path))
            await waits(field, third)
            # the request holds the project's row, and waits for the third; now the other waits for the request
            [backend] = await field.read(
                "SELECT pid FROM pg_stat_activity WHERE %(pid)s = ANY(pg_blocking_pids(pid))",
                pid=third.info.backend_pid,
            )
            wanting = asyncio.create_task(
                other.execute("SELECT 1 FROM projects WHERE id = %s FOR UPDATE", (ids["projects"],))
            )
            await waits_for(field, backend["pid"])
        # the third is gone: now the request waits for the other
        await wanting
    answer = await asked

    assert (answer.status_code, answer.json()) == (200, {"collection": set_id, "total_images": 1})
