"""A listing in batches: the store goes on while one is worked on, and an error waits for what came before it."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import pytest

from storage.batches import AHEAD, batches
from storage.sources import Page, StorageError, StoredObject
from tests.waiting import until


class Listing:
    """A store that lists so many pages of one object, and may fail then."""

    def __init__(self, pages: int, error: Exception | None = None) -> None:
        self.pages = pages
        self.error = error
        self.listed = 0
        self.closed = False

    async def __call__(self) -> AsyncGenerator[Page, None]:
        try:
            for number in range(self.pages):
                self.listed += 1
                yield Page([StoredObject(str(number), 1, datetime(2024, 1, 1, tzinfo=UTC), None)])
            if self.error is not None:
                raise self.error
        finally:
            self.closed = True


async def test_what_was_listed_while_a_batch_was_worked_on_is_the_next_one() -> None:
    listing, taken = Listing(25), []
    async for batch in batches(listing()):
        taken.append([each.key for each in batch.objects])

        async def listed_ahead(so_far: int = sum(map(len, taken))) -> bool:
            # as far ahead as it may, and the one page that waits to be taken
            return listing.listed == min(25, so_far + AHEAD + 1)

        await until(listed_ahead, "the pages ahead")

    assert [len(each) for each in taken] == [AHEAD, AHEAD, 5]
    assert [key for each in taken for key in each] == [str(number) for number in range(25)]
    assert listing.closed


async def test_an_error_comes_after_what_was_listed_before_it() -> None:
    error = StorageError("SlowDown", "slower", passing=True)
    taken = batches(Listing(7, error)())

    assert (await anext(taken)).pages == 7
    with pytest.raises(StorageError) as caught:
        await anext(taken)
    assert caught.value is error


async def test_who_stops_taking_has_the_listing_ended() -> None:
    listing = Listing(1000)
    taking = batches(listing())
    await anext(taking)
    await taking.aclose()
    await asyncio.sleep(0)

    assert listing.closed
    assert listing.listed < 20


async def test_nothing_gives_no_batch() -> None:
    assert [batch async for batch in batches(Listing(0)())] == []
