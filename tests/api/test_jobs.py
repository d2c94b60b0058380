"""Jobs over HTTP: shapes, edits, paging, permissions and errors."""

import json
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from tests.field import Field, Person
from tests.waiting import job_in, make_job

GOLDEN = Path(__file__).parent.parent / "data" / "golden"
ROLES = ("BasicMember", "Researcher", "Identifier", "MLDataManager", "ProjectManager")


def golden(name: str) -> dict[str, Any]:
    """A recorded pair of request and response."""
    pair: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())
    return pair


def shape(value: Any) -> Any:
    """Keys in order and kinds of values; texts and numbers themselves left out."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value and isinstance(value[0], dict) else []
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return type(value).__name__
    return "number"


# shapes -------------------------------------------------------------------------------------------------------


async def test_a_new_job_has_the_recorded_shape(client: httpx2.AsyncClient, field: Field) -> None:
    project_id, set_id = await field.small_set()
    recorded = {**golden("jobs_post_created")["response"]["body"], "paused_at": None}

    job = await make_job(client, project_id, set_id, start=False)

    assert list(job) == list(recorded)
    assert json.dumps(shape(job)) == json.dumps(shape(recorded))
    assert job["status"] == "CREATED"
    assert job["progress"] == {
        "summary": {"status": "CREATED", "progress": 0.0},
        "stages": [],
        "errors": [],
        "logs": [],
    }


async def test_a_finished_job_has_the_recorded_shape(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    recorded = golden("job_detail_populate_last_and_random_from_each_event")["response"]["body"]

    job = await job_in(client, (await make_job(client, project_id, set_id))["id"])

    assert json.dumps(shape(job)) == json.dumps(shape({**recorded, "paused_at": None}))


async def test_a_list_has_the_recorded_envelope_and_no_logs(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    job = await job_in(client, (await make_job(client, project_id, set_id))["id"])
    recorded = golden("jobs_list_single")["response"]["body"]

    page = (await client.get(f"/jobs/?project_id={project_id}")).json()

    assert list(page) == list(recorded)
    assert page["user_permissions"] == ["create"]
    assert list(page["results"][0]) == [key for key in job if key != "result"]
    assert page["results"][0]["logs"] == {"stdout": [], "stderr": []}
    assert page["results"][0]["progress"]["logs"] == []


async def test_pages_lead_to_each_other(client: httpx2.AsyncClient, field: Field) -> None:
    project_id, set_id = await field.small_set()
    made = [(await make_job(client, project_id, set_id, start=False))["id"] for _ in range(5)]

    first = (await client.get(f"/jobs/?project_id={project_id}&limit=2")).json()
    second = (await client.get(first["next"])).json()
    last = (await client.get(second["next"])).json()

    assert [job["id"] for page in (first, second, last) for job in page["results"]] == made[::-1]
    assert first["count"] == 5
    assert first["previous"] is None
    assert last["next"] is None
    assert second["previous"].endswith(f"/jobs/?limit=2&project_id={project_id}")
    assert first["next"].endswith(f"/jobs/?limit=2&offset=2&project_id={project_id}")


async def test_links_carry_the_format_of_the_request(client: httpx2.AsyncClient, field: Field) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, start=False)

    answer = (await client.get(f"/jobs/{job['id']}/?format=json")).json()

    assert answer["details"] == f"{job['details']}?format=json"
    assert answer["project"]["details"].endswith("?format=json")


async def test_both_slash_forms_are_answered_without_a_redirect(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, start=False)

    for path in (f"/jobs/{job['id']}", f"/jobs/{job['id']}/", "/jobs", "/jobs?limit=1"):
        assert (await client.get(path)).status_code == 200


async def test_the_log_is_newest_first_and_as_long_as_asked_for(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    job = await job_in(client, (await make_job(client, project_id, set_id))["id"])

    short = (await client.get(f"/jobs/{job['id']}/?logs_limit=3")).json()

    assert short["logs"]["stdout"] == job["logs"]["stdout"][:3]
    for bad, message in (
        ("0", "Ensure this value is greater than or equal to 1."),
        ("5001", "Ensure this value is less than or equal to 5000."),
        ("x", "A valid integer is required."),
    ):
        answer = await client.get(f"/jobs/{job['id']}/?logs_limit={bad}")
        assert (answer.status_code, answer.json()) == (400, {"logs_limit": [message]})


# create and edit ----------------------------------------------------------------------------------------------


async def test_the_ids_of_a_body_may_be_texts_as_the_web_page_sends_them(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id, set_id = await field.small_set()

    job = await make_job(client, project_id, set_id, start=False, delay="5")
    texts = await make_job(client, str(project_id), str(set_id), start=False)  # type: ignore[arg-type]

    assert job["delay"] == 5
    assert job["progress"]["stages"][0]["key"] == "delay"
    assert job["progress"]["stages"][0]["params"][0]["value"] == 5
    assert texts["source_image_collection"]["id"] == set_id


async def test_a_form_may_be_sent(client: httpx2.AsyncClient, field: Field) -> None:
    project_id, set_id = await field.small_set()
    form = {
        "name": "From a form",
        "delay": "0",
        "project_id": str(project_id),
        "source_image_collection_id": str(set_id),
        "job_type_key": "populate_captures_collection",
    }

    answer = await client.post("/jobs/", data=form)

    assert answer.status_code == 201
    # a form cannot say false: what it leaves out is
    assert answer.json()["shuffle"] is False


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("start_now", "PENDING"),
        ("start_now=", "PENDING"),
        ("start_now=no", "PENDING"),
        ("start_now=false", "CREATED"),
    ],
)
async def test_start_now_is_read_as_the_web_page_writes_it(
    client: httpx2.AsyncClient, field: Field, query: str, status: str
) -> None:
    project_id, set_id = await field.small_set()
    body = {
        "name": "x",
        "delay": 0,
        "project_id": project_id,
        "source_image_collection_id": set_id,
        "job_type_key": "populate_captures_collection",
        "start_now": True,
    }

    assert (await client.post(f"/jobs/?{query}", json=body)).json()["status"] == status


@pytest.mark.parametrize(
    "name",
    [
        "jobs_post_400_empty",
        "jobs_post_400_json",
        "jobs_post_400_list",
        "jobs_post_400_name_blank",
        "jobs_post_400_name_type",
        "jobs_post_400_no_name",
        "jobs_post_400_shuffle",
        "jobs_post_400_collection_unknown",
        "jobs_post_400_image_unknown",
        "jobs_post_415",
    ],
)
async def test_a_bad_body_is_refused_in_the_recorded_words(
    client: httpx2.AsyncClient, field: Field, name: str
) -> None:
    project_id, set_id = await field.small_set()
    pair = golden(name)
    sent, headers = pair["request"], pair["request"].get("headers", {})
    content = sent["raw"] if "raw" in sent else json.dumps(_ours(sent["json"], project_id, set_id))
    headers.setdefault("Content-Type", "application/json")

    answer = await client.post("/jobs/", content=content, headers=headers)

    assert answer.status_code == pair["response"]["status"]
    assert answer.json() == pair["response"]["body"]
    assert answer.headers["allow"] == pair["response"]["headers"]["allow"]
    assert (await client.get("/jobs/")).json()["count"] == 0


def _ours(body: Any, project_id: int, set_id: int) -> Any:
    """A recorded body with the ids of this server."""
    if not isinstance(body, dict):
        return body
    ids = {"project_id": project_id, "source_image_collection_id": set_id}
    return {key: ids[key] if key in ids and value != 999999 else value for key, value in body.items()}


async def test_an_unknown_job_type_is_refused_by_name(client: httpx2.AsyncClient, field: Field) -> None:
    project_id, _ = await field.small_set()
    body = {"name": "x", "delay": 0, "project_id": project_id, "job_type_key": "make_coffee"}

    answer = await client.post("/jobs/", json=body)

    assert answer.status_code == 400
    assert "make_coffee" in answer.json()["job_type_key"][0]


async def test_a_patch_changes_what_is_sent_and_a_put_needs_the_rest(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, start=False)

    patched = (await client.patch(f"/jobs/{job['id']}/", json={"name": "New", "status": "SUCCESS"})).json()
    put = await client.put(f"/jobs/{job['id']}/", json={"name": "Put"})

    assert (patched["name"], patched["status"], patched["limit"]) == ("New", "CREATED", None)
    assert (put.status_code, put.json()) == (400, golden("jobs_put_400")["response"]["body"])
    whole = {"name": "Put", "delay": 0, "project_id": project_id}
    assert (await client.put(f"/jobs/{job['id']}/", json=whole)).json()["name"] == "Put"


async def test_a_delay_given_later_shows_as_a_stage(client: httpx2.AsyncClient, field: Field) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, start=False)

    job = (await client.patch(f"/jobs/{job['id']}/", json={"delay": 7})).json()

    assert [stage["key"] for stage in job["progress"]["stages"]] == ["delay"]


async def test_a_job_cannot_move_to_another_project(client: httpx2.AsyncClient, field: Field) -> None:
    project_id, set_id = await field.small_set()
    other = await field.project("Other")
    job = await make_job(client, project_id, set_id, start=False)

    assert (await client.patch(f"/jobs/{job['id']}/", json={"project_id": other})).status_code == 404


async def test_a_deleted_job_is_gone_and_so_is_its_run(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, delay=60)
    await job_in(client, job["id"], "STARTED")

    answer = await client.delete(f"/jobs/{job['id']}/")

    assert (answer.status_code, answer.content) == (204, b"")
    assert (await client.get(f"/jobs/{job['id']}/")).status_code == 404


# who may do what ----------------------------------------------------------------------------------------------


async def with_role(address: str, field: Field, project_id: int, role: str) -> httpx2.AsyncClient:
    person = await field.person(
        f"{role.lower()}@example.org", superuser=False, password=None, **{role: project_id}
    )
    return httpx2.AsyncClient(base_url=f"{address}/api/v2", headers=person.headers, timeout=20)


@pytest.mark.parametrize(
    ("role", "create", "start", "edit", "permissions"),
    [
        ("BasicMember", 201, 403, 403, []),
        ("Researcher", 201, 403, 403, []),
        ("Identifier", 201, 403, 403, []),
        ("MLDataManager", 201, 201, 200, ["run", "update"]),
        ("ProjectManager", 201, 201, 200, ["run", "update"]),
    ],
)
async def test_roles_hold_the_permissions_of_the_table(
    address: str, field: Field, role: str, create: int, start: int, edit: int, permissions: list[str]
) -> None:
    project_id, set_id = await field.small_set()
    body = {
        "name": "x",
        "delay": 0,
        "project_id": project_id,
        "source_image_collection_id": set_id,
        "job_type_key": "populate_captures_collection",
    }
    async with await with_role(address, field, project_id, role) as member:
        made = await member.post("/jobs/", json=body)
        assert made.status_code == create
        assert sorted(made.json()["user_permissions"]) == permissions
        started = await member.post("/jobs/?start_now", json=body)
        assert started.status_code == start
        job_id = made.json()["id"]
        assert (await member.patch(f"/jobs/{job_id}/", json={"name": "y"})).status_code == edit
        allowed = 200 if start == 201 else 403
        for word in ("run", "retry", "cancel"):
            assert (await member.post(f"/jobs/{job_id}/{word}/")).status_code == allowed
        assert (await member.delete(f"/jobs/{job_id}/")).status_code == 403
        if start == 403:
            assert started.json() == {"detail": "You do not have permission to run this job."}
            # nothing is half written: the job that could not be started was not made
            assert (await member.get("/jobs/")).json()["count"] == 1


async def test_anonymous_reads_and_does_not_write(
    anonymous: httpx2.AsyncClient, client: httpx2.AsyncClient, field: Field
) -> None:
    project_id, set_id = await field.small_set()
    job = await make_job(client, project_id, set_id, start=False)

    read = await anonymous.get(f"/jobs/{job['id']}/")
    assert (read.status_code, read.json()["user_permissions"]) == (200, [])
    for method, path in (
        ("POST", "/jobs/"),
        ("PATCH", f"/jobs/{job['id']}/"),
        ("DELETE", f"/jobs/{job['id']}/"),
        ("POST", f"/jobs/{job['id']}/run/"),
        ("POST", f"/captures/collections/{set_id}/populate/"),
    ):
        answer = await anonymous.request(method, path, json={})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Token"
        assert answer.json() == {"detail": "Authentication credentials were not provided."}


async def test_a_draft_project_is_invisible_to_outsiders(
    address: str, anonymous: httpx2.AsyncClient, client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project(draft=True)
    job = await make_job(client, project_id, None, start=False)
    outsider: Person = await field.person("outsider@example.org")

    for headers in ({}, outsider.headers):
        assert (await anonymous.get(f"/jobs/{job['id']}/", headers=headers)).status_code == 404
        assert (await anonymous.post(f"/jobs/{job['id']}/run/", headers=headers)).status_code == 404
        assert (await anonymous.get("/jobs/", headers=headers)).json()["count"] == 0
    async with await with_role(address, field, project_id, "BasicMember") as member:
        assert (await member.get(f"/jobs/{job['id']}/")).status_code == 200
        assert (await member.get("/jobs/")).json()["count"] == 1


@pytest.mark.parametrize(
    ("header", "status", "detail"),
    [
        ("Token", 401, "Invalid token header. No credentials provided."),
        ("Token a b", 401, "Invalid token header. Token string should not contain spaces."),
        ("Token 0000", 401, "Invalid token."),
        ("Bearer abc", 200, None),
    ],
)
async def test_tokens_are_read_as_recorded(
    anonymous: httpx2.AsyncClient, header: str, status: int, detail: str | None
) -> None:
    answer = await anonymous.get("/jobs/", headers={"Authorization": header})

    assert answer.status_code == status
    if detail is not None:
        assert answer.json() == {"detail": detail}
        assert answer.headers["www-authenticate"] == "Token"


async def test_logging_in_and_out(anonymous: httpx2.AsyncClient, field: Field) -> None:
    await field.person("moth@example.org", password="sphinx")
    refused = golden("auth_login_400_unknown")["response"]

    for wrong in (
        {"email": "moth@example.org", "password": "x"},
        {"email": "n@example.org", "password": "x"},
        {},
    ):
        answer = await anonymous.post("/auth/token/login/", json=wrong)
        assert (answer.status_code, answer.json()) == (400, refused["body"])
    answer = await anonymous.post(
        "/auth/token/login/", json={"email": "MOTH@example.org", "password": "sphinx"}
    )
    headers = {"Authorization": f"Token {answer.json()['auth_token']}"}
    assert (await anonymous.get("/users/me/", headers=headers)).json()["email"] == "moth@example.org"
    assert (await anonymous.post("/auth/token/logout/", headers=headers)).status_code == 204
    assert (await anonymous.get("/users/me/", headers=headers)).status_code == 401


async def test_tokens_are_kept_as_hashes_only(field: Field) -> None:
    person = await field.person("moth@example.org", password="sphinx")

    async with field.database.transaction() as db:
        cursor = await db.execute("SELECT u::text || t::text AS kept FROM users u JOIN auth_tokens t ON true")
        kept = [row["kept"] for row in await cursor.fetchall()]

    assert kept
    assert not any(person.token in row or "sphinx" in row for row in kept)


@pytest.mark.parametrize("job_id", ["abc", "0", "-1", "999999999999999999999999", "1e3", "\u0661"])
async def test_an_id_that_cannot_be_is_not_found(client: httpx2.AsyncClient, job_id: str) -> None:
    answer = await client.get(f"/jobs/{job_id}/")

    assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})


async def test_a_wrong_method_is_refused_with_what_is_allowed(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/jobs/1/run/")

    assert (answer.status_code, answer.json()) == (405, {"detail": 'Method "GET" not allowed.'})
    assert answer.headers["allow"] == "POST, OPTIONS"


async def test_a_list_takes_as_many_queries_for_many_jobs_as_for_one(
    client: httpx2.AsyncClient, field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    project_id, set_id = await field.small_set()
    statements: list[str] = []
    execute = psycopg.AsyncCursor.execute

    async def counted(cursor: Any, query: Any, *rest: Any, **named: Any) -> Any:
        statements.append(str(query))
        return await execute(cursor, query, *rest, **named)

    monkeypatch.setattr(psycopg.AsyncCursor, "execute", counted)
    counts = []
    for _ in range(2):
        for _ in range(10):
            await make_job(client, project_id, set_id, start=False, delay=1)
        statements.clear()
        page = (await client.get("/jobs/?limit=100")).json()
        # the pool tries its connections with an empty statement; the outbox relay asks what waits at any moment
        counts.append(sum(bool(text) and "asked_at" not in text for text in statements))
        assert len(page["results"]) == 10 * len(counts)

    # who calls, how many there are, and the page with everything on it
    assert counts == [3, 3]
