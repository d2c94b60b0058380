"""Where the captures of a station lie: its storage source, its folder, and which objects are its captures."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from db import storage_rows
from db.connections import Row
from jobs.errors import InvalidSource, MissingSource, ServiceUnavailable, StoreRefuses
from storage.patterns import InvalidRegex
from storage.places import Captures, folder
from storage.sources import Source, StorageError


@dataclass(frozen=True)
class Place:
    """A station, and where its captures lie."""

    station: Row
    source: Source
    captures: Captures

    def __str__(self) -> str:
        return f"#{self.station['id']} {self.station['name']}"

    @property
    def store(self) -> str:
        return f"Storage source #{self.station['source_id']} {self.station['source_name']}"

    @property
    def folder(self) -> str:
        return folder(self.source.prefix, self.station["subdir"])

    @property
    def whereabouts(self) -> str:
        """What a listing depends on: where another begins to differ, it cannot go on."""
        source = self.source
        parts = (source.endpoint_url, source.region, source.bucket, self.folder, self.station["regex"])
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


async def place_of(station: Row) -> Place:
    """Raises MissingSource, or InvalidSource for an expression that cannot be used."""
    source = source_of(station)
    if source is None:
        raise MissingSource(station["name"])
    try:
        captures = await Captures.matching(station["regex"])
    except InvalidRegex as error:
        raise InvalidSource(f"data_source_regex: {error}") from error
    return Place(station, source, captures)


def source_of(station: Row | None) -> Source | None:
    """The storage source of a station; None if it has none."""
    if station is None or station["source_id"] is None:
        return None
    return Source(**{name: station[name] for name in storage_rows.ACCESS})


@contextmanager
def store_errors(place: Place) -> Iterator[None]:
    """Let what a store does leave as an error of a stage."""
    try:
        yield
    except StorageError as error:
        if error.passing:
            raise ServiceUnavailable(place.store, str(error)) from error
        raise StoreRefuses(place.store, error.code, str(error)) from error
