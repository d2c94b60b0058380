"""A request that is sent again with the same Idempotency-Key changes nothing twice, whatever dies in between."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import httpx2
import pytest

from config import Settings
from db import idempotency_rows
from db.connections import value
from tests.field import Field, Person
from tests.processes import api_process
from tests.waiting import job_in, until


def body_of(project_id: int, set_id: int, **more: Any) -> dict[str, Any]:
    return {
        "name": "Populate",
        "delay": 0,
        "project_id": project_id,
        "source_image_collection_id": set_id,
        "job_type_key": "populate_captures_collection",
        **more,
    }


def keyed(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


async def jobs_count(field: Field) -> int:
    async with field.database.transaction() as db:
        return int(await value(db, "SELECT count(*) FROM jobs", {}))


async def keys_count(field: Field) -> int:
    async with field.database.transaction() as db:
        return int(await value(db, "SELECT count(*) FROM idempotency_keys", {}))


# the same request again ---------------------------------------------------------------------------------------


async def test_the_same_request_again_is_given_the_stored_answer(
    client: httpx2.AsyncClient, field: Field
) -> None:
    body = body_of(*await field.small_set())

    first = await client.post("/jobs/", json=body, headers=keyed("a"))
    await client.patch(f"/jobs/{first.json()['id']}/", json={"name": "Another name"})
    second = await client.post("/jobs/", json=body, headers=keyed("a"))

    assert first.status_code == second.status_code == 201
    assert second.content == first.content
    assert second.headers["location"] == first.headers["location"] == first.json()["details"]
    assert second.headers["content-type"] == first.headers["content-type"]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert await jobs_count(field) == 1


async def test_a_body_is_the_same_however_it_is_written(client: httpx2.AsyncClient, field: Field) -> None:
    body = body_of(*await field.small_set())

    first = await client.post("/jobs/", json=body, headers=keyed("a"))
    turned = await client.post("/jobs", json=dict(reversed(body.items())), headers=keyed("a"))

    assert turned.json()["id"] == first.json()["id"]
    assert turned.headers["idempotency-replayed"] == "true"


async def test_a_key_is_refused_for_another_request(client: httpx2.AsyncClient, field: Field) -> None:
    body = body_of(*await field.small_set())
    await client.post("/jobs/", json=body, headers=keyed("a"))

    answers = [
        await client.post("/jobs/", json={**body, "name": "Another"}, headers=keyed("a")),
        await client.post("/jobs/?start_now", json=body, headers=keyed("a")),
        await client.post(
            f"/captures/collections/{body['source_image_collection_id']}/populate/", headers=keyed("a")
        ),
    ]

    for answer in answers:
        assert answer.status_code == 422
        assert answer.json() == {"detail": "This Idempotency-Key was used for another request."}
    assert await jobs_count(field) == 1


async def test_a_request_that_is_being_answered_is_not_begun_again(
    client: httpx2.AsyncClient, field: Field, admin: Person
) -> None:
    body = body_of(*await field.small_set())

    async with field.database.transaction() as db:
        assert await idempotency_rows.hold(db, admin.id, "a")
        held = await client.post("/jobs/", json=body, headers=keyed("a"))
        other = await client.post("/jobs/", json=body, headers=keyed("b"))
    freed = await client.post("/jobs/", json=body, headers=keyed("a"))

    assert (held.status_code, held.headers["retry-after"]) == (409, "1")
    assert held.json() == {"detail": "A request with this Idempotency-Key is being worked on."}
    assert other.status_code == freed.status_code == 201
    assert await jobs_count(field) == 2


async def test_many_at_the_same_moment_make_one_job(client: httpx2.AsyncClient, field: Field) -> None:
    body = body_of(*await field.small_set())

    answers = await asyncio.gather(*(client.post("/jobs/", json=body, headers=keyed("a")) for _ in range(8)))

    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {201, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    fresh = [
        each for each in answers if each.status_code == 201 and "idempotency-replayed" not in each.headers
    ]
    assert len(fresh) == 1
    assert await jobs_count(field) == 1


async def test_an_answer_is_kept_for_a_day(client: httpx2.AsyncClient, field: Field) -> None:
    body = body_of(*await field.small_set())
    ids = []
    for age in ("0", "23 hours 59 minutes", "24 hours 1 minute"):
        async with field.database.transaction() as db:
            await db.execute("UPDATE idempotency_keys SET created_at = now() - %s::interval", (age,))
        answer = await client.post("/jobs/", json=body, headers=keyed("a"))
        ids.append(answer.json()["id"])

    assert ids[0] == ids[1] != ids[2]
    assert await keys_count(field) == 1
    # and what came last is kept from its own time on, also for another body than the first
    again = await client.post("/jobs/", json=body, headers=keyed("a"))
    assert again.json()["id"] == ids[2]


async def test_the_keys_of_two_users_do_not_meet(
    client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient, field: Field
) -> None:
    project_id, set_id = await field.small_set()
    other = await field.person("manager@example.org", ProjectManager=project_id)
    body = body_of(project_id, set_id)

    mine = await client.post("/jobs/", json=body, headers=keyed("a"))
    theirs = await anonymous.post("/jobs/", json=body, headers={**other.headers, **keyed("a")})

    assert mine.status_code == theirs.status_code == 201
    assert "idempotency-replayed" not in theirs.headers
    assert mine.json()["id"] != theirs.json()["id"]


async def test_a_key_that_cannot_be_one_is_refused(client: httpx2.AsyncClient, field: Field) -> None:
    body = body_of(*await field.small_set())

    for key in (b"", b"k" * 256, "\u00e9".encode(), b"a\tb", "\u0661".encode()):
        answer = await client.post("/jobs/", json=body, headers={b"Idempotency-Key": key})
        assert answer.status_code == 400, key
        assert answer.json() == {"Idempotency-Key": ["Expected 1 to 255 printable ASCII characters."]}
    longest = await client.post("/jobs/", json=body, headers=keyed("k" * 255))

    assert longest.status_code == 201
    assert await jobs_count(field) == 1


async def test_errors_are_not_kept(client: httpx2.AsyncClient, field: Field) -> None:
    body = body_of(*await field.small_set())

    refused = await client.post("/jobs/", json={**body, "name": ""}, headers=keyed("a"))
    absent = await client.post("/jobs/999999/run/", headers=keyed("a"))
    made = await client.post("/jobs/", json=body, headers=keyed("a"))

    assert (refused.status_code, absent.status_code, made.status_code) == (400, 404, 201)
    assert "idempotency-replayed" not in made.headers


async def test_only_a_post_of_somebody_takes_a_key(
    client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient, field: Field
) -> None:
    body = body_of(*await field.small_set())
    job = (await client.post("/jobs/", json=body)).json()

    names = []
    for name in ("First", "Second"):
        assert (await client.get("/jobs/", headers=keyed("a"))).status_code == 200
        answer = await client.patch(f"/jobs/{job['id']}/", json={"name": name}, headers=keyed("a"))
        names.append(answer.json()["name"])

    assert names == ["First", "Second"]
    answer = await anonymous.post("/jobs/", json=body, headers=keyed("a"))
    assert answer.status_code == 401
    assert await keys_count(field) == 0


# actions ------------------------------------------------------------------------------------------------------


async def test_a_retry_sent_again_runs_the_job_once_more_only(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    body = body_of(*await field.small_set())
    job_id = (await client.post("/jobs/?start_now", json=body, headers=keyed("create"))).json()["id"]
    await job_in(client, job_id, "SUCCESS")

    first = await client.post(f"/jobs/{job_id}/retry/", headers=keyed("retry"))
    await job_in(client, job_id, "SUCCESS")
    second = await client.post(f"/jobs/{job_id}/retry/", headers=keyed("retry"))
    again = await client.post("/jobs/?start_now", json=body, headers=keyed("create"))

    assert first.json()["status"] == second.json()["status"] == again.json()["status"] == "PENDING"
    assert second.content == first.content
    assert second.headers["idempotency-replayed"] == "true"
    job = await job_in(client, job_id, "SUCCESS")
    assert sum("Running job" in line for line in job["logs"]["stdout"]) == 2


async def test_run_and_cancel_sent_again_answer_as_before(client: httpx2.AsyncClient, field: Field) -> None:
    body = body_of(*await field.small_set())
    job_id = (await client.post("/jobs/", json=body)).json()["id"]

    for word, status in (
        ("run", "PENDING"),
        ("cancel", "REVOKED"),
        ("run", "PENDING"),
        ("cancel", "REVOKED"),
    ):
        answer = await client.post(f"/jobs/{job_id}/{word}/", headers=keyed(f"{word} it"))
        assert (answer.status_code, answer.json()["status"]) == (200, status)

    async with field.database.transaction() as db:
        assert await value(db, "SELECT run FROM jobs", {}) == 1


async def test_a_run_that_is_waited_for_says_when_it_is_not_begun_again(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    body = body_of(*await field.small_set())
    job_id = (await client.post("/jobs/", json=body)).json()["id"]

    answers = [
        await client.post(f"/jobs/{job_id}/run/?no_async", headers=keyed("a"), timeout=60) for _ in range(2)
    ]

    assert [answer.json()["status"] for answer in answers] == ["SUCCESS"] * 2
    assert [answer.headers.get("idempotency-replayed") for answer in answers] == [None, "true"]
    assert sum("Running job" in line for line in answers[1].json()["logs"]["stdout"]) == 1


async def test_a_capture_set_is_filled_by_one_job_however_often_it_is_asked(
    client: httpx2.AsyncClient, field: Field
) -> None:
    _, set_id = await field.small_set()

    answers = [
        await client.post(f"/captures/collections/{set_id}/populate/", headers=keyed("a")) for _ in range(3)
    ]

    assert [answer.status_code for answer in answers] == [200] * 3
    assert len({answer.content for answer in answers}) == 1
    assert await jobs_count(field) == 1


# a process that dies ------------------------------------------------------------------------------------------


@asynccontextmanager
async def silence() -> AsyncIterator[str]:
    """An address that takes connections and never says a word."""

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while await reader.read(65536):
                pass
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_a_key_holds_when_the_api_is_killed_between_commit_and_answer(
    settings: Settings, field: Field, admin: Person, worker: None
) -> None:
    body = body_of(*await field.small_set())
    headers = {**admin.headers, **keyed("only once")}

    async def committed() -> bool:
        return await jobs_count(field) == 1

    async with silence() as nobody:
        with api_process(settings.model_copy(update={"temporal_address": nobody})) as (api, address):
            async with httpx2.AsyncClient(
                base_url=f"{address}/api/v2", headers=headers, timeout=20
            ) as client:
                asking = asyncio.create_task(client.post("/jobs/?start_now", json=body))
                # the request goes on for two seconds, in which it tries to start the workflow
                await until(committed, "the job's row")
                assert not asking.done()
                api.kill()
                with pytest.raises(httpx2.TransportError):
                    await asking
    async with field.database.transaction() as db:
        job_id = await value(db, "SELECT id FROM jobs", {})
    with api_process(settings) as (_, address):
        async with httpx2.AsyncClient(base_url=f"{address}/api/v2", headers=headers, timeout=20) as client:
            again = await client.post("/jobs/?start_now", json=body)
            job = await job_in(client, job_id)

    assert (again.status_code, again.json()["id"]) == (201, job_id)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["location"].endswith(f"/jobs/{job_id}/")
    assert await jobs_count(field) == 1
    assert job["status"] == "SUCCESS"
    assert sum("Running job" in line for line in job["logs"]["stdout"]) == 1
    async with field.database.transaction() as db:
        assert await value(db, "SELECT run FROM jobs", {}) == 1
