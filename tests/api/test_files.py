"""Where captures' files can be fetched: public, presigned, or signed by us for folders (domain 1.2)."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from api.auth.signed_files import Signer
from config import Settings
from storage.sources import Source
from tests.conftest import serving
from tests.field import Field, Person
from tests.stores import Bucket, bucket_of, folder_in

CONTENT = b"\xff\xd8 as it lies there " * 200


async def capture_of(field: Field, bucket: Bucket, **more: Any) -> int:
    """A capture whose station's source is that bucket; `more` are columns of the source."""
    project_id = await field.project()
    source = {**vars(bucket.source), "name": "Bucket", "project_id": project_id, **more}
    source_id = await field.row("storage_sources", **source)
    station_id = await field.row(
        "deployments", name="Station", project_id=project_id, data_source_id=source_id
    )
    await bucket.put({"20230801120000.jpg": CONTENT})
    return await field.row(
        "source_images",
        project_id=project_id,
        deployment_id=station_id,
        path=bucket.path("20230801120000.jpg"),
        public_base_url="https://old.example.org/",
    )


async def url_of(client: httpx2.AsyncClient, capture_id: int) -> str | None:
    capture = (await client.get(f"/captures/{capture_id}/")).json()
    listed = (await client.get(f"/captures/?project_id={capture['project']}")).json()["results"]
    assert [each["url"] for each in listed] == [capture["url"]]
    url: str | None = capture["url"]
    return url


@pytest.fixture
async def anybody() -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody who has no token, and only knows an address."""
    async with httpx2.AsyncClient() as client:
        yield client


@pytest.fixture
def folder(settings: Settings) -> Bucket:
    return folder_in(Path(settings.storage_roots))


async def test_a_file_in_a_folder_has_an_address_that_needs_no_token(
    client: httpx2.AsyncClient, anybody: httpx2.AsyncClient, field: Field, folder: Bucket
) -> None:
    url = await url_of(client, await capture_of(field, folder))

    answer = await anybody.get(url or "")

    assert answer.status_code == 200
    assert answer.content == CONTENT
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "content-encoding" not in answer.headers
    assert (await anybody.head(url or "")).headers["content-length"] == str(len(CONTENT))
    part = await anybody.get(url or "", headers={"Range": "bytes=2-6"})
    assert (part.status_code, part.content) == (206, CONTENT[2:7])
    # the same all day, so that what was fetched can be kept
    expires = int(parse_qs(urlsplit(url or "").query)["expires"][0])
    assert 7 * 86_400 <= expires - time.time() <= 8 * 86_400
    assert answer.headers.get_list("etag") == [answer.headers["etag"]]


async def test_an_address_that_was_changed_or_has_expired_is_good_no_more(
    client: httpx2.AsyncClient,
    anybody: httpx2.AsyncClient,
    field: Field,
    folder: Bucket,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = await url_of(client, await capture_of(field, folder)) or ""
    other_id = await field.row("source_images", path="captures/20230801120000.jpg")
    address, _, query = url.partition("?")
    expires, signature = (parse_qs(query)[name][0] for name in ("expires", "signature"))
    forged = {
        "nothing": address,
        "another capture": f"{address.rpartition('/')[0]}/{other_id}?{query}",
        "later": f"{address}?expires={int(expires) + 86_400}&signature={signature}",
        "no signature": f"{address}?expires={expires}",
        "no time": f"{address}?signature={signature}",
        "another signature": f"{address}?expires={expires}&signature={'0' * 64}",
        "words": f"{address}?expires=tomorrow&signature=é",
        "a number too long": f"{address}?expires={'9' * 400}&signature={signature}",
    }

    answers = {name: (await anybody.get(each)).status_code for name, each in forged.items()}
    monkeypatch.setattr("api.auth.signed_files.time.time", lambda clock=time.time: clock() + 9 * 86_400)

    assert answers == dict.fromkeys(forged, 403)
    assert (await anybody.get(url)).status_code == 403


async def test_a_file_that_is_gone_or_lies_elsewhere_is_not_found(
    client: httpx2.AsyncClient, anybody: httpx2.AsyncClient, field: Field, folder: Bucket
) -> None:
    capture_id = await capture_of(field, folder)
    url = await url_of(client, capture_id) or ""
    statuses = []
    for path in ("captures/nowhere.jpg", "../../../../etc/passwd", "captures", "/etc/passwd"):
        async with field.database.transaction() as db:
            await db.execute("UPDATE source_images SET path = %s WHERE id = %s", (path, capture_id))
        statuses.append((await anybody.get(url)).status_code)
    async with field.database.transaction() as db:
        await db.execute("UPDATE deployments SET data_source_id = NULL")
    statuses.append((await anybody.get(url)).status_code)

    assert statuses == [404] * 5


async def test_what_may_run_in_a_browser_is_only_kept(
    client: httpx2.AsyncClient, anybody: httpx2.AsyncClient, field: Field, folder: Bucket
) -> None:
    capture_id = await capture_of(field, folder)
    await folder.put({"20230801120000.svg": b"<svg><script>alert(1)</script></svg>"})
    async with field.database.transaction() as db:
        await db.execute("UPDATE source_images SET path = 'captures/20230801120000.svg'")

    answer = await anybody.get(await url_of(client, capture_id) or "")

    assert answer.headers["content-type"] == "application/octet-stream"
    assert "sandbox" in answer.headers["content-security-policy"]


async def test_without_a_key_files_in_folders_have_no_address(
    field: Field, folder: Bucket, settings: Settings, admin: Person
) -> None:
    capture_id = await capture_of(field, folder)
    async with (
        serving(settings.model_copy(update={"signing_key": None})) as address,
        httpx2.AsyncClient(base_url=f"{address}/api/v2", headers=admin.headers) as client,
    ):
        assert await url_of(client, capture_id) is None
        query = Signer("0123456789abcdef0123456789abcdef").query(capture_id)
        answer = await client.get(f"{address}/files/captures/{capture_id}?{query}")
    assert answer.status_code == 403


def test_a_key_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(ValueError, match="32 characters"):
        Signer("short")


async def test_with_keys_and_no_public_address_an_address_is_presigned_and_kept(
    client: httpx2.AsyncClient,
    anybody: httpx2.AsyncClient,
    field: Field,
    s3: Source,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    capture_id = await capture_of(field, bucket_of(s3))
    url = await url_of(client, capture_id) or ""

    assert (await anybody.get(url)).content == CONTENT
    assert "X-Amz-Expires=604800" in url
    assert "moth-secret" not in url
    # the moment in which it was signed is part of it
    assert await url_of(client, capture_id) == url
    monkeypatch.setattr("storage.buckets.time.time", lambda clock=time.time: clock() + 86_400)
    assert await url_of(client, capture_id) is not None


async def test_the_public_address_of_the_source_holds_for_what_was_synced_before(
    client: httpx2.AsyncClient, field: Field, s3: Source
) -> None:
    bucket = bucket_of(s3)
    capture_id = await capture_of(field, bucket, public_base_url="https://new.example.org/moths/")

    assert (
        await url_of(client, capture_id)
        == f"https://new.example.org/moths/{bucket.source.prefix}/20230801120000.jpg"
    )


async def test_without_keys_the_address_is_the_one_that_the_capture_was_synced_with(
    client: httpx2.AsyncClient, field: Field, s3: Source
) -> None:
    bucket = bucket_of(s3)
    capture_id = await capture_of(field, bucket, access_key="", secret_key="")
    async with field.database.transaction() as db:
        await db.execute("UPDATE source_images SET path = 'a b/é#1?.jpg'")

    assert await url_of(client, capture_id) == "https://old.example.org/a%20b/%C3%A9%231%3F.jpg"


async def test_keys_are_in_no_answer(client: httpx2.AsyncClient, field: Field, s3: Source) -> None:
    capture_id = await capture_of(field, bucket_of(s3))
    [capture] = await field.read("SELECT project_id, deployment_id FROM source_images")
    session_id = await field.session(capture["project_id"], capture["deployment_id"], "2023-08-01")
    async with field.database.transaction() as db:
        await db.execute("UPDATE source_images SET event_id = %s", (session_id,))
    body = {"name": "One", "project_id": capture["project_id"], "delay": 0}
    job = await client.post(
        "/jobs/",
        json={**body, "source_image_single_id": capture_id, "job_type_key": "regroup_events"},
    )
    paths = (
        f"/captures/{capture_id}/",
        f"/events/{session_id}/",
        f"/deployments/{capture['deployment_id']}/",
        f"/jobs/{job.json()['id']}/",
    )
    for path in paths:
        answer = await client.get(path)
        assert "X-Amz-Signature" in answer.text, path
        assert "moth-secret" not in answer.text
        assert "secret_key" not in answer.text
