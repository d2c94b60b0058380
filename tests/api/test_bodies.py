"""Bodies of requests: JSON, forms, and what is neither (contract 1.6, 1.7)."""

import json
from itertools import product
from typing import Any

import httpx2

from tests.field import Field
from tests.golden import recorded

PATHS = ("/jobs/", "/captures/collections/")


async def post(
    client: httpx2.AsyncClient,
    path: str,
    content: bytes | str,
    media_type: str | None = "application/json",
) -> httpx2.Response:
    headers = {} if media_type is None else {"Content-Type": media_type}
    return await client.post(path, content=content, headers=headers)


def job(project_id: int, **more: Any) -> dict[str, Any]:
    return {
        "name": "Populate",
        "delay": 0,
        "project_id": project_id,
        "job_type_key": "populate_captures_collection",
        **more,
    }


async def test_broken_json_is_answered_as_recorded(client: httpx2.AsyncClient) -> None:
    exchange = recorded("jobs_post_400_json")

    response = await post(client, "/jobs/", exchange.request["raw"])

    assert (response.status_code, response.json()) == (exchange.status, exchange.body)


async def test_a_list_is_answered_as_recorded(client: httpx2.AsyncClient) -> None:
    exchange = recorded("jobs_post_400_list")

    response = await client.post("/jobs/", json=exchange.request["json"])

    assert (response.status_code, response.json()) == (exchange.status, exchange.body)


async def test_a_media_type_that_nobody_reads_is_answered_as_recorded(client: httpx2.AsyncClient) -> None:
    exchange = recorded("jobs_post_415")

    response = await post(client, "/jobs/", exchange.request["raw"], "text/plain")

    assert (response.status_code, response.json()) == (exchange.status, exchange.body)


async def test_what_is_no_json_is_refused(client: httpx2.AsyncClient) -> None:
    bodies: dict[str, bytes] = {
        "cut off": b'{"name": "a',
        "single quotes": b"{'name': 'a'}",
        "not a number": b'{"delay": NaN}',
        "infinity": b'{"delay": -Infinity}',
        "raw NUL": b'{"name": "a\x00"}',
        "only NUL": b"\x00",
        "latin-1": '{"name": "Käfer"}'.encode("latin-1"),
        "UTF-16": '{"name": "a"}'.encode("utf-16"),
        "byte order mark": '{"name": "a"}'.encode("utf-8-sig"),
        "surrogate as UTF-8": b'{"name": "\xed\xa0\x80"}',
        "two values": b"{}{}",
        "a number of too many digits": b'{"delay": ' + b"9" * 5000 + b"}",
        "nested too deeply": b'{"kwargs":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    }

    answers = {}
    for path, name in product(PATHS, bodies):
        response = await post(client, path, bodies[name])
        answer = response.json()
        answers[path, name] = (response.status_code, list(answer), str(answer.get("detail"))[:18])

    assert answers == dict.fromkeys(product(PATHS, bodies), (400, ["detail"], "JSON parse error -"))


async def test_json_that_is_no_dictionary_is_refused(client: httpx2.AsyncClient) -> None:
    kinds = {"[]": "list", '"text"': "str", "1": "int", "1.5": "float", "true": "bool", "null": "NoneType"}

    answers = {}
    for path, body in product(PATHS, kinds):
        response = await post(client, path, body)
        answers[path, body] = (response.status_code, response.json())

    assert answers == {
        (path, body): (
            400,
            {"non_field_errors": [f"Invalid data. Expected a dictionary, but got {kinds[body]}."]},
        )
        for path, body in product(PATHS, kinds)
    }


async def test_other_media_types_are_refused_by_name(client: httpx2.AsyncClient) -> None:
    types = ("text/plain", "application/xml", "application/json5", "application/vnd.api+json", "nonsense", "")

    answers = {}
    for path, media_type in product(PATHS, (*types, None)):
        response = await post(client, path, "{}", media_type)
        answers[path, media_type] = (response.status_code, response.json())

    assert answers == {
        (path, media_type): (415, {"detail": f'Unsupported media type "{media_type or ""}" in request.'})
        for path, media_type in product(PATHS, (*types, None))
    }


async def test_the_media_type_of_json_may_have_capitals_and_parameters(
    client: httpx2.AsyncClient, field: Field
) -> None:
    body = json.dumps(job(await field.project(), name="Käfer"), ensure_ascii=False).encode()

    for media_type in ("application/json; charset=utf-8", "Application/JSON", "application/json;x=y"):
        response = await post(client, "/jobs/", body, media_type)
        assert response.status_code == 201, response.text
        assert response.json()["name"] == "Käfer"


async def test_no_body_is_an_empty_one_whatever_its_media_type(client: httpx2.AsyncClient) -> None:
    for path, media_type in product(PATHS, (None, "application/json", "text/plain")):
        empty = await client.post(path, json={})
        response = await post(client, path, b"", media_type)
        assert (response.status_code, response.json()) == (400, empty.json())
        assert "This field is required." in response.json()["name"]


async def test_of_a_key_that_comes_twice_the_last_value_counts(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    body = json.dumps(job(project_id))[:-1] + ', "name": "Second"}'

    response = await post(client, "/jobs/", body)

    assert response.json()["name"] == "Second"


async def test_jobs_and_sets_can_be_made_by_forms(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    job_fields = {key: str(value) for key, value in job(project_id, name="Käfer & Co").items()}
    set_fields = {"name": "Set", "project": str(project_id), "method": "detections_only"}
    # a part without a file name is a field
    job_parts = {key: (None, value.encode()) for key, value in job_fields.items()}
    set_parts = {key: (None, value.encode()) for key, value in set_fields.items()}

    answers = [
        await client.post("/jobs/", data=job_fields),
        await client.post("/jobs/", files=job_parts),
        await client.post("/captures/collections/", data=set_fields),
        await client.post("/captures/collections/", files=set_parts),
    ]

    assert [answer.status_code for answer in answers] == [201] * 4
    assert [answer.json()["name"] for answer in answers] == ["Käfer & Co", "Käfer & Co", "Set", "Set"]
    assert [answer.json()["method"] for answer in answers[2:]] == ["detections_only"] * 2


async def test_a_form_that_leaves_shuffle_out_means_no(client: httpx2.AsyncClient, field: Field) -> None:
    given = job(await field.project())

    by_form = await client.post("/jobs/", data={key: str(value) for key, value in given.items()})
    by_json = await client.post("/jobs/", json=given)
    said = await client.post(
        "/jobs/", data={**{key: str(value) for key, value in given.items()}, "shuffle": "on"}
    )

    assert (by_form.json()["shuffle"], by_json.json()["shuffle"], said.json()["shuffle"]) == (
        False,
        True,
        True,
    )


async def test_an_empty_field_of_a_form_is_null(client: httpx2.AsyncClient, field: Field) -> None:
    given = {**job(await field.project()), "limit": "", "deployment_id": "", "pipeline_id": ""}

    response = await client.post("/jobs/", data={key: str(value) for key, value in given.items()})

    assert response.status_code == 201, response.text
    assert [response.json()[key] for key in ("limit", "deployment", "pipeline")] == [None] * 3


async def test_forms_are_checked_as_json_is(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    good = {key: str(value) for key, value in job(project_id).items()}
    good_set = {"name": "Set", "project": str(project_id)}

    empty = await client.post("/jobs/", data={"status": "SUCCESS"})
    null = await client.post("/jobs/", data={**good, "name": "a\x00"})
    twice = await post(
        client,
        "/jobs/",
        f"name=A&name=B&delay=soon&project_id={project_id}",
        "application/x-www-form-urlencoded",
    )
    upload = await client.post("/jobs/", data=good, files={"limit": ("limit.txt", b"5")})
    upload_set = await client.post("/captures/collections/", data=good_set, files={"name": ("a.jpg", b"5")})

    assert list(empty.json()) == ["name", "delay", "project_id"]
    assert null.json() == {"name": ["Null characters are not allowed."]}
    assert twice.json() == {"delay": ["A valid integer is required."]}
    assert upload.json() == {"limit": ["A valid integer is required."]}
    assert upload_set.json() == {"name": ["Not a valid string."]}
    assert {each.status_code for each in (empty, null, twice, upload, upload_set)} == {400}


async def test_forms_that_cannot_be_read_are_refused(client: httpx2.AsyncClient) -> None:
    bodies = [
        (b"--x\r\n", "multipart/form-data"),
        (b"nothing", "multipart/form-data; boundary=x"),
        (b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\na', "multipart/form-data; boundary=x"),
        (b"%ff%fe=%zz&&==", "application/x-www-form-urlencoded"),
        (b"\xff\xfe\x00", "application/x-www-form-urlencoded; charset=nonsense"),
    ]

    for path, (body, media_type) in product(PATHS, bodies):
        response = await post(client, path, body, media_type)
        assert response.status_code == 400, (body, response.text)
        assert response.json()


async def test_nothing_is_made_by_a_body_that_is_refused(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()

    await post(client, "/jobs/", json.dumps(job(project_id))[:-1])
    await client.post("/jobs/", json=job(project_id, limit="x"))
    await client.post("/jobs/", json=[job(project_id)])
    jobs = (await client.get("/jobs/")).json()
    await client.post("/captures/collections/", json={"name": "Set", "project": project_id, "method": "nth"})
    sets = (await client.get("/captures/collections/")).json()

    assert jobs["count"] == sets["count"] == 0


async def test_nested_values_are_refused_or_kept_but_never_a_defect(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()

    def body(name: str, depth: int) -> str:
        deep = "[" * depth + "]" * depth
        value = f'{{"a": {deep}}}' if name in ("kwargs", "params") else deep
        known = f'"name": "X", "delay": 0, "project": {project_id}, "project_id": {project_id}'
        return f'{{{known}, "{name}": {value}}}'

    # where reading, writing and printing values end, each at a depth of its own
    for depth in (200, 253, 254, 900, 940, 960, 980, 1000):
        for path, name in product(PATHS, ("project_id", "method", "kwargs", "params")):
            response = await post(client, path, body(name, depth))
            assert response.status_code in (201, 400), (path, name, depth, response.text)


async def test_anonymous_cannot_write(anonymous: httpx2.AsyncClient, field: Field) -> None:
    exchange = recorded("jobs_post_401_anon")
    project_id = await field.project()

    for path, body in (
        ("/jobs/", job(project_id)),
        ("/captures/collections/", {"name": "S", "project": 1}),
    ):
        response = await anonymous.post(path, json=body)
        assert (response.status_code, response.json()) == (401, exchange.body)
        assert response.headers["www-authenticate"] == exchange.headers["www-authenticate"] == "Token"


async def test_an_unknown_token_is_answered_as_recorded(anonymous: httpx2.AsyncClient, field: Field) -> None:
    exchange = recorded("jobs_post_401_badtoken")
    body = job(await field.project())

    response = await anonymous.post("/jobs/", json=body, headers={"Authorization": f"Token {'0' * 40}"})

    assert (response.status_code, response.json()) == (401, exchange.body)
    assert response.headers["www-authenticate"] == exchange.headers["www-authenticate"]
