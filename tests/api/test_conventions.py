"""What holds for every address: validators, request ids, links, formats, limits, health and documentation."""

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from temporalio.client import Client

from config import Settings
from db.connections import every
from embedded.ports import free_port
from tests.conftest import serving
from tests.field import Field, Person
from tests.golden import recorded
from tests.waiting import job_in, make_job

STRONG = re.compile(r'"[0-9a-f]{32}"\Z')
VARY = "Accept, Accept-Language, origin, Accept-Encoding"
PLAIN = {"Accept-Encoding": "identity"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@asynccontextmanager
async def calling(settings: Settings, person: Person, **changed: Any) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an API with other settings."""
    async with (
        serving(settings.model_copy(update=changed)) as address,
        httpx2.AsyncClient(base_url=f"{address}/api/v2", headers=person.headers, timeout=20) as client,
    ):
        yield client


@pytest.fixture
async def job(client: httpx2.AsyncClient, field: Field) -> dict[str, Any]:
    """A job that was not started."""
    return await make_job(client, *await field.small_set(nights=1), start=False)


# ETag ---------------------------------------------------------------------------------------------------------


async def test_whatever_is_read_has_a_strong_validator(
    client: httpx2.AsyncClient, job: dict[str, Any]
) -> None:
    lists = list((await client.get("/")).json().values())
    project = job["project"]["id"]
    paths = ["/", *(f"{path}?project_id={project}" for path in lists), job["details"], "/users/me/"]
    assert len(paths) > 10

    for path in paths:
        answer = await client.get(path, headers=PLAIN)
        assert answer.status_code == 200, path
        assert STRONG.match(answer.headers["etag"]), path
        again = await client.get(path, headers={**PLAIN, "If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b""), path


async def test_who_has_the_newest_version_is_not_sent_it_again(
    client: httpx2.AsyncClient, job: dict[str, Any]
) -> None:
    path = f"/jobs/{job['id']}/"
    tag = (await client.get(path, headers=PLAIN)).headers["etag"]
    packed = f'{tag[:-1]}-gzip"'

    for known in (tag, f"W/{tag}", f'"other", {tag}', "*", packed):
        answer = await client.get(path, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        # the validator of the version that the caller has
        assert answer.headers["etag"] == (packed if known == packed else tag)
        assert answer.headers["vary"] == VARY
        assert not {"content-type", "content-length"} & set(answer.headers)
    for unknown in ('"other"', tag.strip('"'), ""):
        answer = await client.get(path, headers={"If-None-Match": unknown})
        assert answer.json()["id"] == job["id"]
    await client.patch(path, json={"name": "New"})
    assert (await client.get(path, headers={"If-None-Match": tag})).json()["name"] == "New"


async def test_only_the_version_that_the_caller_knows_is_changed(
    client: httpx2.AsyncClient, job: dict[str, Any]
) -> None:
    path = f"/jobs/{job['id']}/"
    old = (await client.get(path)).headers["etag"]
    whole = {"name": "Put", "delay": 0, "project_id": job["project"]["id"]}
    assert (await client.patch(path, json={"name": "New"})).status_code == 200

    for method, address, body in (
        ("PUT", path, whole),
        ("PATCH", path, {"name": "Newer"}),
        ("DELETE", path, None),
        ("POST", f"{path}run/", None),
        ("POST", f"{path}retry/", None),
        ("POST", f"{path}cancel/", None),
        ("POST", f"/captures/collections/{job['source_image_collection']['id']}/populate/", None),
    ):
        refused = await client.request(method, address, json=body, headers={"If-Match": old})
        assert refused.status_code == 412, address
        assert list(refused.json()) == ["detail"]
    now = (await client.get(path)).json()
    assert (now["name"], now["status"]) == ("New", "CREATED")
    assert (await client.get("/jobs/")).json()["count"] == 1


async def test_a_change_with_the_newest_validator_is_made(
    client: httpx2.AsyncClient, job: dict[str, Any]
) -> None:
    path = f"/jobs/{job['id']}/"
    whole = {"name": "Put", "delay": 0, "project_id": job["project"]["id"]}

    async def newest(**headers: str) -> str:
        tag: str = (await client.get(path, headers=headers)).headers["etag"]
        return tag

    assert (await newest()).endswith('-gzip"')
    for method, address, body, status in (
        ("PATCH", path, {"name": "New"}, 200),
        ("PUT", path, whole, 200),
        ("POST", f"{path}run/", None, 200),
        ("POST", f"{path}cancel/", None, 200),
    ):
        for form in ("{packed}", '"other", {plain}', "*"):
            # the version that the change before has made
            known = form.format(packed=await newest(), plain=await newest(**PLAIN))
            answer = await client.request(method, address, json=body, headers={"If-Match": known})
            assert answer.status_code == status, (method, form)
    weak = await client.patch(path, json={"name": "x"}, headers={"If-Match": f"W/{await newest(**PLAIN)}"})
    assert weak.status_code == 412
    assert (await client.delete(path, headers={"If-Match": await newest()})).status_code == 204


async def test_of_two_changes_of_one_version_one_is_made(
    client: httpx2.AsyncClient, job: dict[str, Any]
) -> None:
    path = f"/jobs/{job['id']}/"
    for turn in range(5):
        tag = (await client.get(path)).headers["etag"]
        names = [f"{turn} {number}" for number in range(4)]
        answers = await asyncio.gather(
            *(client.patch(path, json={"name": name}, headers={"If-Match": tag}) for name in names)
        )
        assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
        (won,) = [answer.json()["name"] for answer in answers if answer.status_code == 200]
        assert (await client.get(path)).json()["name"] == won


# X-Request-ID -------------------------------------------------------------------------------------------------


async def test_every_answer_says_which_request_it_is_to(
    client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient, job: dict[str, Any]
) -> None:
    path = f"/jobs/{job['id']}/"
    for status, sending in (
        (200, client.get(path, headers={"X-Request-ID": "moth-1"})),
        (304, client.get(path, headers={"X-Request-ID": "moth-1", "If-None-Match": "*"})),
        (400, client.post("/jobs/", json={}, headers={"X-Request-ID": "moth-1"})),
        (401, anonymous.post("/jobs/", json={}, headers={"X-Request-ID": "moth-1"})),
        (404, client.get("/nothing/", headers={"X-Request-ID": "moth-1"})),
        (404, client.get("/jobs/?format=xml", headers={"X-Request-ID": "moth-1"})),
        (405, client.put("/jobs/", json={}, headers={"X-Request-ID": "moth-1"})),
        (406, client.get(path, headers={"X-Request-ID": "moth-1", "Accept": "text/csv"})),
        (413, client.post("/jobs/", content=b" " * 3_000_000, headers={"X-Request-ID": "moth-1"})),
        (415, client.post("/jobs/", content="x", headers={"X-Request-ID": "moth-1"})),
    ):
        answer = await sending
        assert answer.status_code == status
        assert answer.headers.get_list("x-request-id") == ["moth-1"]


async def test_a_request_id_that_cannot_be_one_is_replaced(anonymous: httpx2.AsyncClient) -> None:
    made = set()
    for given in (None, b"", b"two words", b"a\tb", b"x" * 129, "n\u00e4".encode()):
        headers = {} if given is None else {b"X-Request-ID": given}
        answer = await anonymous.get("/jobs/", headers=headers)
        assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"]), given
        made.add(answer.headers["x-request-id"])
    longest = await anonymous.get("/jobs/", headers={"X-Request-ID": "x" * 128})

    assert len(made) == 6
    assert longest.headers["x-request-id"] == "x" * 128


async def test_the_log_and_the_workflow_of_a_job_name_the_requests_behind_them(
    client: httpx2.AsyncClient, job: dict[str, Any], field: Field, temporal: Client, worker: None
) -> None:
    path = f"/jobs/{job['id']}"
    for word in ("run", "retry"):
        assert (await client.post(f"{path}/{word}/", headers={"X-Request-ID": f"{word}-id"})).is_success
        await job_in(client, job["id"], "SUCCESS")
        memo = await (await temporal.get_workflow_handle(f"job-{job['id']}").describe()).memo()
        assert memo["request_id"] == f"{word}-id"
    other = await make_job(client, job["project"]["id"], None, start=False)
    await client.post(f"/jobs/{other['id']}/cancel/", headers={"X-Request-ID": "cancel-id"})

    async with field.database.transaction() as db:
        statement = "SELECT job_id, message, context ->> 'request_id' AS request FROM job_logs ORDER BY id"
        said = [(row["job_id"], row["request"], row["message"]) for row in await every(db, statement, {})]
    ran = [(who, message) for job_id, who, message in said if job_id == job["id"] and who]
    assert [who for who, _ in ran] == ["run-id"] * 2 + ["retry-id"] * 3
    assert ran[0][1].startswith("Running job")
    assert ran[2][1].startswith("Re-running job")
    assert [who for job_id, who, _ in said if job_id == other["id"]] == ["cancel-id"]


# a defect of ours ---------------------------------------------------------------------------------------------


async def test_what_nobody_foresaw_is_answered_in_json_without_a_trace(
    client: httpx2.AsyncClient, job: dict[str, Any], field: Field
) -> None:
    async with field.database.transaction() as db:
        await db.execute("DROP TABLE job_logs")

    answer = await client.get(f"/jobs/{job['id']}/", headers={"X-Request-ID": "moth-500"})

    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers.get_list("x-request-id") == ["moth-500"]
    assert answer.json() == {"detail": "Internal server error.", "request_id": "moth-500"}
    # and the process goes on
    assert (await client.get("/jobs/")).status_code == 200


# links --------------------------------------------------------------------------------------------------------


def links_of(answer: httpx2.Response) -> dict[str, str]:
    """The `Link` header: addresses by relation."""
    found = re.findall(r'<([^>]*)>; rel="([a-z]+)"', answer.headers["link"])
    return {relation: address for address, relation in found}


async def test_a_page_names_its_neighbours_in_a_header(
    client: httpx2.AsyncClient, job: dict[str, Any], field: Field
) -> None:
    project = job["project"]["id"]
    for _ in range(4):
        await make_job(client, project, None, start=False)
    root = f"{client.base_url}jobs/"

    first = await client.get(f"/jobs/?project_id={project}&limit=2&ordering=name")
    middle = await client.get(links_of(first)["next"])
    last = await client.get(links_of(first)["last"])

    query = f"ordering=name&project_id={project}"
    assert links_of(first) == {
        "next": f"{root}?limit=2&offset=2&{query}",
        "first": f"{root}?limit=2&{query}",
        "last": f"{root}?limit=2&offset=4&{query}",
    }
    assert list(links_of(middle)) == ["next", "prev", "first", "last"]
    assert links_of(middle)["prev"] == links_of(first)["first"]
    assert "next" not in links_of(last)
    assert len(last.json()["results"]) == 1
    for answer in (first, middle, last):
        page, links = answer.json(), links_of(answer)
        assert (page["next"], page["previous"]) == (links.get("next"), links.get("prev"))
    empty = await client.get("/jobs/?search=nothing")
    assert list(links_of(empty)) == ["first"]


async def test_what_is_made_says_where_it_is(client: httpx2.AsyncClient, job: dict[str, Any]) -> None:
    project = job["project"]["id"]
    for path, body in (
        ("/jobs/", {"name": "x", "delay": 0, "project_id": project, "job_type_key": job["job_type"]["key"]}),
        ("/captures/collections/", {"name": "x", "project": project, "method": "full"}),
    ):
        made = await client.post(path, json=body)
        assert made.status_code == 201
        assert made.headers["location"] == made.json()["details"]
        assert (await client.get(made.headers["location"])).json()["name"] == "x"


# forms of an answer -------------------------------------------------------------------------------------------


async def test_a_long_answer_is_packed_for_who_asks(client: httpx2.AsyncClient, job: dict[str, Any]) -> None:
    path = f"/jobs/{job['id']}/"

    plain = await client.get(path, headers=PLAIN)
    packed = await client.get(path, headers={"Accept-Encoding": "gzip"})
    short = await client.get("/jobs/?search=nothing", headers={"Accept-Encoding": "gzip"})

    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in short.headers
    assert int(packed.headers["content-length"]) < len(plain.content)
    assert packed.content == plain.content
    assert packed.headers["etag"] == f'{plain.headers["etag"][:-1]}-gzip"'


async def test_head_is_get_without_the_body(
    client: httpx2.AsyncClient, job: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    for path in ("/jobs/", f"/jobs/{job['id']}/", f"/jobs/{job['id']}", "/jobs.json", "/jobs/999/"):
        for encoding in ("identity", "gzip"):
            headers = {"Accept-Encoding": encoding, "X-Request-ID": "same"}
            got = await client.get(path, headers=headers)
            head = await client.head(path, headers=headers)
            assert (head.status_code, head.content) == (got.status_code, b"")
            for each in (got, head):
                del each.headers["date"]
            assert head.headers == got.headers
    wrong = await client.head(f"/jobs/{job['id']}/run/")
    assert (wrong.status_code, wrong.content) == (405, b"")
    # and the server has no complaint about the length of such an answer
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


async def test_options_describe_a_list_as_recorded(
    client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient, job: dict[str, Any]
) -> None:
    for name, path, method in (
        ("options_jobs_admin", "/jobs/", "POST"),
        ("options_job_admin", f"/jobs/{job['id']}/", "PUT"),
    ):
        known = recorded(name)
        answer = await client.options(path)
        body = answer.json()
        assert answer.status_code == 200
        assert answer.headers["allow"] == known.headers["allow"]
        assert list(body) == list(known.body)
        for key in ("name", "renders", "parses"):
            assert body[key] == known.body[key]
        assert body["description"]
        assert list(body["actions"]) == [method]
        ours, theirs = body["actions"][method], known.body["actions"][method]
        # `params` is ours: programs may give a job arguments of its type; so is the pause
        assert [each for each in ours if each not in ("params", "paused_at")] == list(theirs)
        for field, said in theirs.items():
            for key in ("required", "read_only", "label"):
                assert ours[field][key] == said[key], (field, key)
        nobody = (await anonymous.options(path)).json()
        assert nobody == {key: value for key, value in body.items() if key != "actions"}


async def test_options_say_what_may_be_done_with_an_action(
    client: httpx2.AsyncClient, job: dict[str, Any]
) -> None:
    answer = await client.options(f"/jobs/{job['id']}/run/")

    assert answer.headers["allow"] == "POST, OPTIONS"
    assert list(answer.json()) == ["name", "description", "renders", "parses"]
    wrong = await client.options("/jobs/", headers={"Authorization": "Token 0123"})
    assert (wrong.status_code, wrong.json()) == (401, {"detail": "Invalid token."})


def addresses_in(value: Any) -> list[str]:
    """Every address in a body."""
    if isinstance(value, dict):
        return [each for inner in value.values() for each in addresses_in(inner)]
    if isinstance(value, list):
        return [each for inner in value for each in addresses_in(inner)]
    return [value] if isinstance(value, str) and value.startswith("http") else []


async def test_an_address_that_ends_in_json_gives_addresses_that_do(
    client: httpx2.AsyncClient, job: dict[str, Any]
) -> None:
    await make_job(client, job["project"]["id"], None, start=False)
    one = await client.get(f"/jobs/{job['id']}.json")
    page = await client.get("/jobs.json?limit=1")

    for answer in (one, page):
        assert answer.status_code == 200
        found = [urlsplit(address).path for address in addresses_in(answer.json())]
        assert len(found) >= 3
        assert [path for path in found if not path.endswith(".json")] == []
    assert page.json()["next"] == f"{client.base_url}jobs.json?limit=1&offset=1"
    assert links_of(page)["next"] == page.json()["next"]
    for address in (page.json()["next"], *addresses_in(one.json())):
        assert (await client.get(address)).status_code == 200
    # for a person too: the suffix says more than the header
    assert (await client.get("/jobs.json", headers=BROWSER)).headers["content-type"] == "application/json"


async def test_a_form_that_nobody_writes_is_refused(client: httpx2.AsyncClient, job: dict[str, Any]) -> None:
    job_id = job["id"]
    for path in ("/jobs.xml", f"/jobs/{job_id}.xml", "/jobs/?format=xml", f"/jobs/{job_id}/?format=csv"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."}), path
    for accept in ("text/csv", "application/xml, image/png"):
        answer = await client.get("/jobs/", headers={"Accept": accept})
        assert answer.status_code == 406
        assert answer.json() == {"detail": "Could not satisfy the request Accept header."}
    for accept in ("*/*", "application/*", "text/csv, application/json;q=0.1", "APPLICATION/JSON", ""):
        answer = await client.get("/jobs/", headers={"Accept": accept})
        assert answer.headers["content-type"] == "application/json", accept


async def test_no_form_of_an_address_is_redirected(client: httpx2.AsyncClient, job: dict[str, Any]) -> None:
    job_id, set_id = job["id"], job["source_image_collection"]["id"]
    body = {
        "name": "x",
        "delay": 0,
        "project_id": job["project"]["id"],
        "job_type_key": job["job_type"]["key"],
    }

    for method, path, status in (
        ("GET", "", 200),
        ("GET", "/jobs", 200),
        ("GET", "/jobs?ids_only=1", 200),
        ("GET", f"/jobs/{job_id}", 200),
        ("GET", "/users/me", 200),
        ("POST", "/jobs", 201),
        ("PATCH", f"/jobs/{job_id}", 200),
        ("POST", f"/jobs/{job_id}/run", 200),
        ("POST", f"/jobs/{job_id}/cancel", 200),
        ("POST", f"/captures/collections/{set_id}/populate", 200),
        ("DELETE", f"/jobs/{job_id}", 204),
    ):
        given = body if method in ("POST", "PATCH") else None
        answer = await client.request(method, path, json=given, follow_redirects=False)
        assert answer.status_code == status, (method, path)


# pages for people ---------------------------------------------------------------------------------------------


async def test_a_browser_is_shown_a_page(client: httpx2.AsyncClient, job: dict[str, Any]) -> None:
    evil = """<script>alert("x")</script> & 'more' https://x/"onclick=y {0} {body}"""
    await client.patch(f"/jobs/{job['id']}/", json={"name": evil})
    path = f"/jobs/{job['id']}/"

    # browsers take gzip
    answer = await client.get(path, headers={**BROWSER, "Accept-Encoding": "gzip"})

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["vary"] == VARY
    assert "<script" not in answer.text
    assert "&lt;script&gt;alert(\\&quot;x\\&quot;)&lt;/script&gt;" in answer.text
    assert f'<a href="{job["details"]}">{job["details"]}</a>' in answer.text
    tags = re.findall(r"<a [^>]*>", answer.text)
    assert all(re.fullmatch(r'<a href="[^"\s]*">', tag) for tag in tags)
    assert "HTTP 200" in answer.text


async def test_a_page_leads_to_the_same_in_json_and_keeps_the_status(
    client: httpx2.AsyncClient, job: dict[str, Any]
) -> None:
    await make_job(client, job["project"]["id"], None, start=False)

    page = await client.get("/jobs/?limit=1&ordering=name", headers=BROWSER)
    raw = re.findall(r'<a href="([^"]*)">as JSON</a>', page.text)[0].replace("&amp;", "&")
    assert raw == "/api/v2/jobs/?limit=1&ordering=name&format=json"
    answer = await client.get(raw.removeprefix("/api/v2"), headers=BROWSER)

    assert answer.headers["content-type"] == "application/json"
    assert len(answer.json()["results"]) == 1
    assert answer.json()["next"].replace("format=json&", "").replace("&", "&amp;") in page.text
    for path, status in (("/jobs/999/", 404), (f"/jobs/{job['id']}/run/", 405), ("/jobs/?status=x", 400)):
        answer = await client.get(path, headers=BROWSER)
        assert answer.status_code == status
    # a script that says what it reads gets it
    both = await client.get("/jobs/", headers={"Accept": "application/json, text/html"})
    assert both.headers["content-type"] == "application/json"
    posted = await client.post("/jobs/", json={}, headers=BROWSER)
    assert (posted.status_code, posted.headers["content-type"]) == (400, "application/json")


async def test_the_format_that_was_asked_for_is_in_the_addresses(
    client: httpx2.AsyncClient, job: dict[str, Any]
) -> None:
    for format_ in ("api", "json"):
        answer = await client.get(f"/jobs/{job['id']}/?format={format_}")
        assert answer.headers["content-type"] == "application/json"
        found = addresses_in(answer.json())
        assert len(found) >= 3
        assert all(address.endswith(f"/?format={format_}") for address in found)
    page = await client.get("/jobs/?format=api", headers=BROWSER)
    assert page.headers["content-type"].startswith("text/html")
    as_json = await client.get("/jobs/?format=json", headers=BROWSER)
    assert as_json.headers["content-type"] == "application/json"


# pages elsewhere ----------------------------------------------------------------------------------------------


async def test_pages_elsewhere_may_not_call_unless_somebody_says_so(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/jobs/", headers={"Origin": "https://moths.example.org"})
    asked = await client.options(
        "/jobs/", headers={"Origin": "https://moths.example.org", "Access-Control-Request-Method": "POST"}
    )

    for each in (answer, asked):
        assert each.status_code == 200
        assert not [name for name in each.headers if name.startswith("access-control")]


async def test_pages_of_the_origins_in_the_settings_may_call(
    settings: Settings, admin: Person, field: Field
) -> None:
    origin = "https://moths.example.org"
    origins = f" {origin} , http://localhost:3000"
    async with calling(settings, admin, cors_origins=origins) as client:
        answer = await client.get("/jobs/", headers={"Origin": origin})
        stranger = await client.get("/jobs/", headers={"Origin": "https://elsewhere.example.org"})
        refused = await client.post("/jobs/", json={}, headers={"Origin": origin})
        wanted = {
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "authorization, if-match, idempotency-key, content-type",
        }
        preflight = await client.options("/jobs/1/", headers={"Origin": origin, **wanted})
        unknown = await client.options("/jobs/1/", headers={"Origin": "https://x.example.org", **wanted})

    for each in (answer, refused, preflight):
        assert each.headers["access-control-allow-origin"] == origin
        assert "access-control-allow-credentials" not in each.headers
    assert "access-control-allow-origin" not in stranger.headers
    assert "access-control-allow-origin" not in unknown.headers
    assert set(answer.headers["access-control-expose-headers"].split(", ")) >= {
        "ETag",
        "Idempotency-Replayed",
        "Link",
        "Location",
        "Retry-After",
        "X-Request-ID",
    }
    assert preflight.status_code == 200
    assert "PATCH" in preflight.headers["access-control-allow-methods"]
    for name in ("authorization", "if-match", "idempotency-key"):
        assert name in preflight.headers["access-control-allow-headers"].lower()


# long bodies --------------------------------------------------------------------------------------------------


async def test_a_body_may_be_so_long_and_no_longer(settings: Settings, admin: Person, field: Field) -> None:
    project_id = await field.project()
    body = {"name": "x", "delay": 0, "project_id": project_id, "job_type_key": "populate_captures_collection"}

    async def pieces(content: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(content), 500):
            yield content[start : start + 500]

    json_type = {"Content-Type": "application/json"}
    async with calling(settings, admin, max_body_bytes=2000) as client:
        for length, status in ((2000, 201), (2001, 413), (100_000, 413)):
            content = json.dumps(body).encode().ljust(length)
            for sent in (content, pieces(content)):
                answer = await client.post("/jobs/", content=sent, headers=json_type)
                assert answer.status_code == status, length
                if status == 413:
                    detail = "The request body is too large: at most 2000 bytes."
                    assert answer.json() == {"detail": detail}
                    assert answer.headers["x-request-id"]
        assert (await client.get("/jobs/")).json()["count"] == 2


# health -------------------------------------------------------------------------------------------------------


async def test_the_process_says_how_it_is(address: str, settings: Settings) -> None:
    async with httpx2.AsyncClient(base_url=address, timeout=20) as client:
        alive = await client.get("/livez")
        ready = await client.get("/readyz")
        version = (await client.get("/version")).json()

    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "reasons": []})
    assert list(version) == ["name", "version", "api", "database_revision"]
    assert (version["name"], version["api"]) == ("nightjar", "v2")


async def test_a_database_of_another_revision_is_not_worked_with(address: str, field: Field) -> None:
    async with httpx2.AsyncClient(base_url=address, timeout=20) as client:
        newest = (await client.get("/version")).json()["database_revision"]
        async with field.database.transaction() as db:
            await db.execute("UPDATE alembic_version SET version_num = '0000'")
        behind = await client.get("/readyz")
        async with field.database.transaction() as db:
            await db.execute("DROP TABLE alembic_version")
        bare = await client.get("/readyz")
        alive = await client.get("/livez")

    reason = f"the database is at revision 0000, {newest} is needed: nightjar doctor --fix"
    assert (behind.status_code, behind.json()) == (503, {"status": "unavailable", "reasons": [reason]})
    assert (bare.status_code, bare.json()["status"]) == (503, "unavailable")
    assert alive.status_code == 200


async def test_without_temporal_requests_are_taken(settings: Settings, admin: Person) -> None:
    nowhere = f"127.0.0.1:{free_port()}"
    async with calling(settings, admin, temporal_address=nowhere) as client:
        ready = await client.get(str(client.base_url.copy_with(path="/readyz")))

    reason = "Temporal cannot be reached: jobs are taken, and start when it is back"
    assert (ready.status_code, ready.json()) == (200, {"status": "degraded", "reasons": [reason]})


# documentation ------------------------------------------------------------------------------------------------


async def test_the_documentation_needs_no_other_host(anonymous: httpx2.AsyncClient) -> None:
    for path in ("/schema/", "/schema"):
        document = (await anonymous.get(path)).json()
        assert document["openapi"].startswith("3.")
        assert "/api/v2/jobs/{item_id}/run/" in document["paths"]
    page = await anonymous.get("/docs/")
    assert page.headers["content-type"].startswith("text/html")
    loaded = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page.text)

    assert len(loaded) >= 3
    assert "url: '/api/v2/schema/'" in page.text
    assert "//" not in re.sub(r"<!--.*?-->", "", page.text).replace("</", "<")
    for path in loaded:
        assert path.startswith("/api/v2/docs/files/")
        answer = await anonymous.get(str(anonymous.base_url.copy_with(path=path)))
        assert answer.status_code == 200, path
        assert answer.content


async def test_a_packed_body_is_what_it_says(address: str) -> None:
    # read as it comes over the wire, without a client that unpacks
    async with (
        httpx2.AsyncClient(base_url=address, timeout=20) as client,
        client.stream("GET", "/api/v2/schema/", headers={"Accept-Encoding": "gzip"}) as answer,
    ):
        packed = b"".join([chunk async for chunk in answer.aiter_raw()])

    assert len(packed) == int(answer.headers["content-length"])
    assert json.loads(gzip.decompress(packed))["info"]["title"] == "Nightjar"
