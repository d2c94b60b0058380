"""Testing a storage source, against a real S3 server (domain 3.6)."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from config import Settings
from embedded.ports import free_port
from storage.sources import Source
from tests.field import Field
from tests.storage.test_buckets import filled
from tests.stores import folder_in


async def saved(client: httpx2.AsyncClient, field: Field, source: Source, **more: Any) -> int:
    """The source as people would save it; gives its id."""
    body = {**vars(source), "name": "Bucket", "project": await field.project(), **more}
    answer = await client.post("/storage/", json=body)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["id"])


async def test_a_source_that_works_says_what_lies_in_it(
    client: httpx2.AsyncClient, field: Field, s3: Source
) -> None:
    source = await filled(s3, "dep/notes.txt", "dep/night/20230801120000.jpg")
    storage_id = await saved(client, field, source)

    answer = await client.post(
        f"/storage/{storage_id}/test/", json={"subdir": "dep", "regex_filter": r"\.jpe?g$"}
    )

    assert answer.status_code == 200
    found = answer.json()
    assert 0 < found.pop("latency") <= found.pop("total_time")
    url = found.pop("first_file_found")
    assert found == {
        "connection_successful": True,
        "prefix_exists": True,
        "error_code": None,
        "error_message": None,
        "files_checked": 1,
        "full_uri": f"s3://moths/{source.prefix}/dep/?regex=%5C.jpe%3Fg%24",
    }
    # signed, since the bucket has no public address: anybody can fetch it for a week, and the secret is not in it
    assert httpx2.get(url).content == b"dep/night/20230801120000.jpg"
    assert "X-Amz-Expires=604800" in url
    assert source.secret_key not in answer.text


async def test_a_public_address_is_what_captures_are_fetched_from(
    client: httpx2.AsyncClient, field: Field, s3: Source
) -> None:
    source = await filled(s3, "a.jpg")
    storage_id = await saved(client, field, source, public_base_url="https://example.org/moths/")

    found = (await client.post(f"/storage/{storage_id}/test/", json={})).json()

    assert found["first_file_found"] == f"https://example.org/moths/{source.prefix}/a.jpg"


@pytest.mark.parametrize(
    ("keys", "code", "checked"), [((), "NoFilesFound", 0), (("a.txt", "b.txt"), "NoMatchingFilesFound", 2)]
)
async def test_a_source_without_captures_is_reached_and_says_so(
    client: httpx2.AsyncClient, field: Field, s3: Source, keys: tuple[str, ...], code: str, checked: int
) -> None:
    storage_id = await saved(client, field, await filled(s3, *keys))

    answer = await client.post(f"/storage/{storage_id}/test/", json={"subdir": None, "regex_filter": ""})

    assert answer.status_code == 200
    found = answer.json()
    assert (found["connection_successful"], found["prefix_exists"]) == (True, False)
    assert (found["error_code"], found["files_checked"], found["first_file_found"]) == (code, checked, None)
    assert found["error_message"]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"secret_key": "a-guess"}, "InvalidCredentials"),
        ({"bucket": "butterflies"}, "NoSuchBucket"),
        ({"endpoint_url": f"http://127.0.0.1:{free_port()}"}, "EndpointConnectionError"),
    ],
)
async def test_a_source_that_does_not_work_says_why(
    client: httpx2.AsyncClient, field: Field, s3: Source, wrong: dict[str, str], code: str
) -> None:
    storage_id = await saved(client, field, s3, **wrong)

    answer = await client.post(f"/storage/{storage_id}/test/", json={})

    assert answer.status_code == 400
    assert answer.json()["code"] == code
    assert answer.json()["detail"]
    assert "a-guess" not in answer.text


@pytest.mark.parametrize("expression", ["[a", "(?=a)", r"(a)\1", "a" * 256])
async def test_an_expression_that_cannot_be_used_is_named(
    client: httpx2.AsyncClient, field: Field, s3: Source, expression: str
) -> None:
    storage_id = await saved(client, field, await filled(s3, "a.jpg"))

    answer = await client.post(f"/storage/{storage_id}/test/", json={"regex_filter": expression})

    assert answer.status_code == 400
    assert list(answer.json()) == ["regex_filter"]


async def test_an_expression_that_goes_back_and_forth_elsewhere_is_as_good_as_any(
    client: httpx2.AsyncClient, field: Field, s3: Source
) -> None:
    storage_id = await saved(client, field, await filled(s3, "a" * 60 + "!.jpg", "b" + "a" * 60 + "jpg"))

    answer = await client.post(f"/storage/{storage_id}/test/", json={"regex_filter": "(a|aa)+jpg$"})

    assert answer.status_code == 200
    assert answer.json()["files_checked"] == 2


async def test_a_folder_is_tested_like_a_bucket_and_where_it_lies_is_for_managers_only(
    client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient, field: Field, settings: Settings
) -> None:
    bucket = folder_in(Path(settings.storage_roots))
    await bucket.put({"dep/notes.txt": b"x", "dep/20230801120000.jpg": b"x"})
    storage_id = await saved(client, field, bucket.source)
    [row] = await field.read("SELECT project_id FROM storage_sources")
    station = {"name": "Station", "project_id": row["project_id"], "data_source_id": storage_id}
    station_id = (await client.post("/deployments/", json={**station, "data_source_subdir": "dep"})).json()[
        "id"
    ]

    found = (await client.post(f"/storage/{storage_id}/test/", json={"subdir": "dep"})).json()
    seen = [(await anonymous.get(path)).text for path in ("/storage/", f"/deployments/{station_id}/")]

    assert (found["prefix_exists"], found["first_file_found"]) == (True, "captures/dep/20230801120000.jpg")
    assert found["full_uri"] == f"file:{bucket.source.bucket}/captures/dep/"
    assert all(settings.storage_roots not in text for text in seen)
    assert settings.storage_roots in (await client.get(f"/storage/{storage_id}/")).text


@pytest.mark.parametrize(
    ("endpoint_url", "bucket"), [("file:///etc", "."), ("file:///", "etc"), ("file:///%2e%2e", "etc")]
)
async def test_a_folder_that_is_not_allowed_is_not_saved(
    client: httpx2.AsyncClient, field: Field, settings: Settings, endpoint_url: str, bucket: str
) -> None:
    allowed = folder_in(Path(settings.storage_roots))
    body = {
        "name": "Folder",
        "bucket": bucket,
        "endpoint_url": endpoint_url,
        "project": await field.project(),
    }
    storage_id = await saved(client, field, allowed.source)

    made = await client.post("/storage/", json=body)
    changed = await client.patch(f"/storage/{storage_id}/", json={"bucket": "../.."})

    refused = {"endpoint_url": ["The folder is not under a root that this server allows."]}
    assert [(answer.status_code, answer.json()) for answer in (made, changed)] == [(400, refused)] * 2
