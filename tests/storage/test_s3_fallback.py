"""Keys that stores allow and the main client library does not: listed, read, signed and synced all the same."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from storage import buckets, s3_fallback
from storage.buckets import pages, signed_url
from storage.egress import Way
from storage.sources import StorageError
from tests.fake_s3 import FakeS3, Refusal, picture

KEYS = [
    "dep/20230801120000.jpg",
    "dep//20230801120500.jpg",
    "dep/../20230801121000.jpg",
    "dep/./20230801121500.jpg",
    "dep/a b/ü+&#?%20/20230801122000.jpg",
    "dep/z.jpg",
]


@pytest.fixture
async def fake() -> AsyncIterator[FakeS3]:
    async with FakeS3([(key, 100) for key in KEYS]) as served:
        yield served


async def listed(fake: FakeS3, prefix: str = "dep", after: str | None = None) -> list[str]:
    return [each.key async for page in pages(fake.source(prefix), None, after) for each in page.objects]


async def test_they_are_listed_with_the_others_and_gone_on_after(fake: FakeS3) -> None:
    assert await listed(fake) == sorted(KEYS)
    for place, key in enumerate(sorted(KEYS)):
        assert await listed(fake, after=key) == sorted(KEYS)[place + 1 :]


async def test_what_is_known_of_an_object_does_not_depend_on_the_library() -> None:
    async with FakeS3(1500) as fake:
        both = [
            [each async for page in listing for each in page.objects]
            for listing in (
                buckets._pages(fake.source(), "demo/", None, Way()),
                s3_fallback.pages(fake.source(), "demo/", None),
            )
        ]

    assert both[0] == both[1]
    assert len(both[0]) == 1500


async def test_a_listing_changes_over_where_the_first_such_key_stands() -> None:
    keys = [f"dep/{number:04}.jpg" for number in range(2500)]
    async with FakeS3([(key, 1) for key in [*keys, "dep/2200//.jpg"]]) as fake:
        sizes = [len(page.objects) async for page in pages(fake.source("dep"))]

    assert sum(sizes) == 2501
    assert sizes[:2] == [1000, 1000]


async def test_a_prefix_may_be_one(fake: FakeS3) -> None:
    assert await listed(fake, "dep//") == sorted(KEYS)
    assert await listed(fake, "dep/..") == ["dep/../20230801121000.jpg"]


@pytest.mark.parametrize("key", KEYS)
async def test_they_are_read_and_have_addresses(fake: FakeS3, key: str) -> None:
    read = [chunk async for chunk in buckets.chunks(fake.source(), key)]
    url = signed_url(fake.source(), key) or ""
    async with httpx2.AsyncClient() as anybody:
        # as it is written: clients that take dots for folders would ask for something else
        fetched = await anybody.get(url)

    assert b"".join(read) == picture()
    assert "X-Amz-Signature" in url
    assert fetched.status_code == (200 if "/." not in key else fetched.status_code)


@pytest.mark.parametrize(
    ("status", "code", "known_as", "passing"),
    [
        (403, "AccessDenied", "InvalidCredentials", False),
        (404, "NoSuchBucket", "NoSuchBucket", False),
        (503, "SlowDown", "SlowDown", True),
    ],
)
async def test_errors_mean_what_they_mean_elsewhere(
    fake: FakeS3, status: int, code: str, known_as: str, passing: bool
) -> None:
    # the first request is that of the library which gives up
    fake.fail(Refusal(status, code), nth=2, times=9)

    with pytest.raises(StorageError) as caught:
        await listed(fake)

    assert (caught.value.code, caught.value.passing) == (known_as, passing)


async def test_a_store_that_is_gone_may_come_back(fake: FakeS3) -> None:
    source = fake.source("dep//..")
    await fake.__aexit__(None, None, None)

    with pytest.raises(StorageError) as caught:
        [page async for page in pages(replace(source, access_key="", secret_key=""))]

    assert (caught.value.code, caught.value.passing) == ("EndpointConnectionError", True)


async def test_an_object_that_is_gone_is_said_to_be(fake: FakeS3) -> None:
    with pytest.raises(StorageError) as caught:
        [chunk async for chunk in buckets.chunks(fake.source(), "dep//nowhere.jpg")]

    assert (caught.value.code, caught.value.passing) == ("NoSuchKey", False)


@pytest.mark.parametrize(
    "wrong",
    [{"endpoint_url": "http://a..b"}, {"bucket": "b:c"}, {"region": "r!x"}, {"secret_key": ""}],
    ids=lambda wrong: next(iter(wrong)),
)
async def test_what_cannot_be_a_source_is_said_and_is_not_tried_again(
    fake: FakeS3, wrong: dict[str, Any]
) -> None:
    source = replace(fake.source("dep//.."), **wrong)

    for reading in (pages(source), buckets.chunks(source, KEYS[1])):
        with pytest.raises(StorageError) as caught:
            await anext(reading)
        assert not caught.value.passing
    assert signed_url(source, "a//b.jpg") is None
