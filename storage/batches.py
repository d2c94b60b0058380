"""A listing in batches: the store goes on listing while whoever takes a batch works on it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from storage.sources import Page, StoredObject

AHEAD = 10
"""Pages that are listed ahead, and that make up a batch at most: so memory does not depend on how many there are."""


@dataclass
class Batch:
    """What had been listed when it was asked for; at least a page."""

    pages: int = 0
    objects: list[StoredObject] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def add(self, page: Page) -> None:
        self.pages += 1
        self.objects += page.objects
        self.unreadable += page.unreadable


Listed = asyncio.Queue[Page | Exception | None]
"""Pages, and last an error, or None for the end."""


async def _list_ahead(pages: AsyncGenerator[Page, None], listed: Listed) -> None:
    try:
        async with aclosing(pages):
            async for page in pages:
                await listed.put(page)
    except Exception as error:
        await listed.put(error)
    else:
        await listed.put(None)


async def batches(pages: AsyncGenerator[Page, None]) -> AsyncGenerator[Batch, None]:
    """What has been listed while the batch before was written; what then fails is raised after it."""
    listed: Listed = asyncio.Queue(AHEAD)
    listing = asyncio.create_task(_list_ahead(pages, listed))
    try:
        while True:
            batch, last = await _next(listed)
            if batch.pages:
                yield batch
            if isinstance(last, Exception):
                raise last
            if last is None:
                return
    finally:
        listing.cancel()
        await asyncio.gather(listing, return_exceptions=True)


async def _next(listed: Listed) -> tuple[Batch, Page | Exception | None]:
    """All pages that are there, at least one, and what came last: a page, an error, or None for the end."""
    batch = Batch()
    while True:
        item = await listed.get()
        if not isinstance(item, Page):
            return batch, item
        batch.add(item)
        if listed.empty() or batch.pages >= AHEAD:
            return batch, item
