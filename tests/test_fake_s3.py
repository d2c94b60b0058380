"""The store that lists from memory answers as a store does, and fails as it is told."""

import io

import httpx2
import obstore
import pytest
from PIL import Image

from storage import buckets
from storage.buckets import pages, store_of
from storage.sources import Source, StorageError, StoredObject
from tests.fake_s3 import PREFIX, Cut, FakeS3, Refusal, Silence, made_up, picture

LAST = "demo/station-1/night-00003/20200101204930-snapshot.jpg"


async def listed(source: Source, subdir: str | None = None, after: str | None = None) -> list[StoredObject]:
    return [each async for page in pages(source, subdir, after) for each in page.objects]


async def read_into(sizes: list[int], source: Source) -> None:
    async for page in pages(source):
        sizes.append(len(page.objects))


async def test_all_objects_are_listed_in_pages_as_they_were_made_up() -> None:
    async with FakeS3(2500) as fake:
        objects = await listed(fake.source(PREFIX))

    assert objects == list(made_up(2500))
    assert objects[-1].key == LAST
    assert [each.key for each in objects] == sorted(each.key for each in objects)
    assert fake.listings == 3


async def test_a_listing_goes_on_after_any_key() -> None:
    async with FakeS3(2500) as fake:
        everything = await listed(fake.source())

        for place in (0, 999, 1700, 2499):
            assert await listed(fake.source(), after=everything[place].key) == everything[place + 1 :]


async def test_given_keys_are_listed_by_prefix_and_in_the_order_of_their_bytes() -> None:
    keys = ["b/ü & <1>.jpg", "a.jpg", "b/\ufb03.jpg", "b/\U0001f98b.jpg", "b.jpg", "b/Z+ %41.jpg"]
    async with FakeS3([(key, place) for place, key in enumerate(keys)]) as fake:
        objects = await listed(fake.source(), "b")
        after = await listed(fake.source(), "b", after="b/Z+ %41.jpg")

    assert [each.key for each in objects] == [keys[5], keys[0], keys[2], keys[3]]
    assert [each.size for each in objects] == [5, 0, 2, 3]
    assert after == objects[1:]


async def test_an_object_is_a_picture_and_can_be_read_in_part() -> None:
    async with FakeS3(10) as fake:
        store, key = store_of(fake.source()), fake.objects[3].key
        whole = bytes(await (await obstore.get_async(store, key)).bytes_async())
        part = bytes(await obstore.get_range_async(store, key, start=2, end=12))
        with pytest.raises(StorageError, match="no such object"):
            [chunk async for chunk in buckets.chunks(fake.source(), "demo/nothing.jpg")]

    assert Image.open(io.BytesIO(whole)).size == (64, 48)
    assert whole == picture()
    assert part == whole[2:12]


@pytest.mark.parametrize(
    ("asked", "status"),
    [("bytes=-4", 206), ("bytes=4-", 206), ("bytes=100000-", 416), ("bytes=-", 200), ("lines=1-2", 200)],
)
async def test_ranges_are_read_as_http_has_them(asked: str, status: int) -> None:
    async with FakeS3(1) as fake, httpx2.AsyncClient() as client:
        address = f"{fake.source().endpoint_url}/moths/{fake.objects[0].key}"
        answer = await client.get(address, headers={"range": asked})

    assert answer.status_code == status
    expected = {"bytes=-4": picture()[-4:], "bytes=4-": picture()[4:]}
    assert status == 416 or answer.content == expected.get(asked, picture())


@pytest.mark.parametrize(
    ("target", "status", "code"),
    [
        ("moths?list-type=2&max-keys=many", 400, "InvalidArgument"),
        ("moths?list-type=2&continuation-token=elsewhere", 400, "InvalidArgument"),
        ("moths?list-type=2&delimiter=/", 501, "NotImplemented"),
        ("moths", 501, "NotImplemented"),
    ],
)
async def test_what_it_cannot_do_is_said(target: str, status: int, code: str) -> None:
    async with FakeS3(1) as fake, httpx2.AsyncClient() as client:
        answer = await client.get(f"{fake.source().endpoint_url}/{target}")

    assert (answer.status_code, f"<Code>{code}</Code>" in answer.text) == (status, True)


@pytest.mark.parametrize(
    ("status", "code", "met_as", "requests"),
    [
        (403, "AccessDenied", "InvalidCredentials", 1),
        (404, "NoSuchBucket", "NoSuchBucket", 1),
        # the client library asks three times more
        (503, "SlowDown", "SlowDown", 4),
        (500, "InternalError", "InternalError", 4),
    ],
)
async def test_a_refused_page_ends_the_listing_after_those_before_it(
    status: int, code: str, met_as: str, requests: int
) -> None:
    refusal = Refusal(status, code)
    sizes: list[int] = []
    async with FakeS3(2500) as fake:
        fake.fail(refusal, nth=2, times=10)
        with pytest.raises(StorageError) as caught:
            await read_into(sizes, fake.source())

    assert (caught.value.code, sizes, refusal.met) == (met_as, [1000], requests)


async def test_a_store_that_is_slow_down_once_is_asked_again() -> None:
    refusal = Refusal(503, "SlowDown")
    async with FakeS3(2500) as fake:
        fake.fail(refusal, nth=2)
        objects = await listed(fake.source())

    assert (len(objects), refusal.met, fake.listings) == (2500, 1, 4)


async def test_a_connection_that_is_cut_in_a_page_is_no_end_of_the_listing() -> None:
    cut = Cut()
    async with FakeS3(2500) as fake:
        fake.fail(cut, nth=3, times=10)
        with pytest.raises(StorageError) as caught:
            await listed(fake.source())

    assert (caught.value.code, caught.value.passing) == ("ConnectionClosedError", True)
    assert cut.met >= 1


async def test_a_silence_is_waited_out_and_faults_are_counted_from_when_they_were_told() -> None:
    silence = Silence(0.05)
    async with FakeS3(1500) as fake:
        await listed(fake.source())
        fake.fail(silence, nth=2)
        objects = await listed(fake.source())

    assert (len(objects), silence.met, fake.listings) == (1500, 1, 4)
