"""Listing a real S3 server, and what its errors mean."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import obstore
import pytest

from embedded.ports import free_port
from storage import buckets
from storage.buckets import pages, signed_url, store_of
from storage.sources import Source, StorageError, StoredObject


async def filled(s3: Source, *keys: str) -> Source:
    """A prefix of its own in the bucket, with objects under it."""
    source = replace(s3, prefix=f"{uuid4()}")
    for key in keys:
        await obstore.put_async(store_of(source), f"{source.prefix}/{key}", key.encode())
    return source


async def listed(source: Source, subdir: str | None = None, after: str | None = None) -> list[StoredObject]:
    return [each async for page in pages(source, subdir, after) for each in page.objects]


def names(source: Source, objects: list[StoredObject]) -> list[str]:
    return [each.key.removeprefix(f"{source.prefix}/") for each in objects]


async def test_objects_come_in_the_order_of_their_keys_with_what_is_known_of_them(s3: Source) -> None:
    source = await filled(s3, "b/2.jpg", "a.jpg", "b/10.jpg", "b/1.jpg")

    objects = await listed(source)

    assert names(source, objects) == ["a.jpg", "b/1.jpg", "b/10.jpg", "b/2.jpg"]
    assert [each.size for each in objects] == [5, 7, 8, 7]
    # an MD5 in hex, without the quotes that HTTP puts around it
    assert all(each.etag is not None and len(each.etag) == 32 for each in objects)
    assert all(each.last_modified.tzinfo is not None for each in objects)


async def test_a_listing_goes_on_after_a_key(s3: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "PAGE", 2)
    source = await filled(s3, *(f"{number}.jpg" for number in range(5)))

    sizes = [len(page.objects) async for page in pages(source)]
    rest = await listed(source, after=f"{source.prefix}/2.jpg")

    assert sizes == [2, 2, 1]
    assert names(source, rest) == ["3.jpg", "4.jpg"]


async def test_a_subdirectory_is_a_folder_and_not_the_beginning_of_a_name(s3: Source) -> None:
    source = await filled(s3, "dep_1/a.jpg", "dep_10/a.jpg", "dep_1.jpg")

    assert names(source, await listed(source, "dep_1")) == ["dep_1/a.jpg"]
    assert await listed(source, "dep_2") == []


@pytest.mark.parametrize(
    ("wrong", "code", "words"),
    [
        ({"bucket": "butterflies"}, "NoSuchBucket", "butterflies"),
        ({"access_key": "nobody"}, "InvalidCredentials", "refuses the keys"),
        ({"secret_key": "a-guess"}, "InvalidCredentials", "refuses the keys"),
    ],
)
async def test_what_the_store_refuses_says_why_and_is_not_tried_again(
    s3: Source, wrong: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(StorageError, match=words) as caught:
        await listed(replace(s3, **wrong))

    assert (caught.value.code, caught.value.passing) == (code, False)
    assert "a-guess" not in str(caught.value)


async def test_a_store_that_cannot_be_reached_may_be_tried_again(s3: Source) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(StorageError, match=nowhere) as caught:
        await listed(replace(s3, endpoint_url=nowhere))

    assert (caught.value.code, caught.value.passing) == ("EndpointConnectionError", True)


def test_the_secret_key_is_in_no_text() -> None:
    assert "hush" not in repr(Source("moths", access_key="moth", secret_key="hush"))


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"endpoint_url": "http://[::1"}, "InvalidEndpoint"),
        ({"endpoint_url": "http://exa mple"}, "InvalidEndpoint"),
        ({"endpoint_url": "http://ünï.example"}, "InvalidEndpoint"),
        ({"endpoint_url": "ftp://example.org"}, "InvalidEndpoint"),
        ({"endpoint_url": "http://127.0.0.1:65536"}, "InvalidEndpoint"),
        ({"bucket": "b b"}, "InvalidBucketName"),
        ({"bucket": "ü"}, "InvalidBucketName"),
        ({"bucket": ""}, "InvalidBucketName"),
        ({"region": "x\ny"}, "InvalidRegion"),
        ({"access_key": "ü"}, "InvalidCredentials"),
    ],
)
async def test_what_cannot_be_a_source_is_said_and_asks_nobody(wrong: dict[str, Any], code: str) -> None:
    nowhere = Source("moths", endpoint_url=f"http://127.0.0.1:{free_port()}")

    with pytest.raises(StorageError) as caught:
        await listed(replace(nowhere, **wrong))

    assert (caught.value.code, caught.value.passing) == (code, False)
    assert signed_url(replace(nowhere, **{"access_key": "k", **wrong}), "a.jpg") is None


async def test_a_bucket_that_is_open_to_all_needs_no_keys(s3: Source) -> None:
    with pytest.raises(StorageError) as caught:
        await listed(replace(s3, access_key="", secret_key=""))

    # asked without a signature; this one is not open
    assert caught.value.code == "InvalidCredentials"


async def test_an_object_is_read_from_its_beginning(s3: Source) -> None:
    source = await filled(s3, "per%20cent ü.jpg")

    read = [chunk async for chunk in buckets.chunks(source, f"{source.prefix}/per%20cent ü.jpg")]

    assert b"".join(read) == "per%20cent ü.jpg".encode()
    with pytest.raises(StorageError) as caught:
        [chunk async for chunk in buckets.chunks(source, f"{source.prefix}/nowhere.jpg")]
    assert not caught.value.passing
