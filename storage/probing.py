"""Looks whether a source can be reached, and whether captures lie where they are said to (domain 3.6)."""

import time
from dataclasses import dataclass

from storage.places import Captures, uri
from storage.sources import Source
from storage.stores import Stores

MOST = 10_000
"""Objects that are looked at until one is a capture."""


@dataclass(frozen=True)
class Probe:
    """What was found."""

    first: str | None
    """Key of the first capture."""
    checked: int
    """How many objects were looked at."""
    latency: float
    """Seconds until the store answered."""
    total_time: float
    full_uri: str


async def probe(stores: Stores, source: Source, subdir: str | None, expression: str | None) -> Probe:
    """List until there is a capture; raises StorageError if the store refuses, InvalidRegex for an expression."""
    captures = await Captures.matching(expression)
    began = time.perf_counter()
    latency: float | None = None
    checked, first = 0, None
    async for page, _ in stores.pages(source, subdir):
        latency = latency or time.perf_counter() - began
        wanted = page[: MOST - checked]
        place = await captures.first([(each.key, each.size) for each in wanted])
        checked += len(wanted) if place is None else place + 1
        if place is not None:
            first = wanted[place].key
        if first is not None or checked >= MOST:
            break
    total = time.perf_counter() - began
    full_uri = uri(source.endpoint_url, source.bucket, source.prefix, subdir, expression)
    return Probe(first, checked, latency or total, total, full_uri)
