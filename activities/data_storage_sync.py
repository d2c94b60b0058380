"""Make the captures of a station what its store has, a batch of objects at a time."""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from activities.reporting import WAITS_FOR, StageReporter, implements, reporting
from activities.resources import Resources
from db import storage_rows, syncing_rows
from db.connections import Connection, Row
from db.syncing_rows import Columns, Standing
from jobs.errors import (
    InvalidSource,
    MissingSource,
    MissingStation,
    ServiceUnavailable,
    StationBusy,
    StationNotFound,
    StoreRefuses,
)
from jobs.runs import ClaimedRun
from monitoring.file_names import FIRST_CREDIBLE_YEAR, taken_at
from storage.batches import Batch, batches
from storage.patterns import InvalidRegex
from storage.places import Captures, folder, is_picture, shown, unfit
from storage.sources import Source, StorageError, StoredObject
from workflows.data_storage_sync import SYNC

NAMED = 100
"""Objects of one kind of trouble that are named in the log; of the rest there is a count."""
SECONDS_BETWEEN_WORDS = 30.0
WAITING_FOR = "Waiting for job"


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


class DataStorageSync:
    """Carries out the stage that lists."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources

    @implements(SYNC)
    async def sync(self, run: ClaimedRun) -> None:
        async with reporting(self.resources, SYNC, run) as report:
            if report.finished:
                return
            if run.deployment_id is None:
                raise MissingStation("data storage sync")
            async with self.resources.database.autocommit() as db:
                station = await syncing_rows.place(db, run.deployment_id)
            if station is None:
                raise StationNotFound(run.deployment_id)
            if report.cursor is None:
                report.log(f"Syncing captures for deployment #{station['id']} {station['name']}")
            place = await _place(station)
            await _take_turn(report, place)
            with _as_known(place):
                await Listing(self.resources, report, place).take_in()


async def _place(station: Row) -> Place:
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


async def _take_turn(report: StageReporter, place: Place) -> None:
    """Be the only job that syncs the station; raises StationBusy, which is tried again, while another does.

    The turn is in the cursor: it ends with the stage, however that ends, and there is nothing that has to expire.
    """
    async with report.effect() as db:
        if (report.cursor or {}).get("at") != place.whereabouts:
            await _begin(db, report, place)
        cursor = report.cursor or {}
        other = await syncing_rows.other_at_it(db, place.station["id"], report.job_id, SYNC.key)
        _tell_of_turn(report, place, other, waited_for=cursor.get(WAITS_FOR))
        report.cursor = {**cursor, "turn": other is None, WAITS_FOR: other}
    if other is not None:
        raise StationBusy(other, place)


async def _begin(db: Connection, report: StageReporter, place: Place) -> None:
    """Begin a listing, or begin again: that of an attempt before was of another place."""
    cursor = report.cursor or {}
    if cursor.get("after") is not None:
        report.log("The station's captures lie elsewhere by now; listing from the beginning", "WARNING")
    for name in SYNC.counts:
        report.set(name, 0)
    await syncing_rows.forget_sightings(db, report.job_id)
    report.cursor = {"at": place.whereabouts, WAITS_FOR: cursor.get(WAITS_FOR)}


def _tell_of_turn(report: StageReporter, place: Place, other: int | None, *, waited_for: int | None) -> None:
    """Say for whom the job waits, once, and that it does so no more."""
    if other is not None and other != waited_for:
        report.log(f"Job {other} is syncing deployment {place}; waiting until it is done", "WARNING")
        report.set(WAITING_FOR, other)
    if other is None and waited_for is not None:
        report.log(f"Job {waited_for} is done; syncing captures for deployment {place}")
        report.unset(WAITING_FOR)


@contextmanager
def _as_known(place: Place) -> Iterator[None]:
    """Let what a store does leave as an error of a stage."""
    try:
        yield
    except StorageError as error:
        if error.passing:
            raise ServiceUnavailable(place.store, str(error)) from error
        raise StoreRefuses(place.store, error.code, str(error)) from error


class Listing:
    """Goes through the objects of a place, and leaves captures."""

    def __init__(self, resources: Resources, report: StageReporter, place: Place) -> None:
        self.resources = resources
        self.report = report
        self.place = place
        self.began = self.told = time.monotonic()
        self.on_new_ground = True
        """Whether no object so far was a capture already: the first sync of a station."""
        self.listed_before: int = report.stage.param("Files listed").value or 0

    @property
    def _cursor(self) -> dict[str, Any]:
        return self.report.cursor or {}

    async def take_in(self) -> None:
        """All of them, from where the attempt before stopped; raises StorageError."""
        after = _from_text(self._cursor.get("after"))
        subdir = self.place.station["subdir"]
        pages = self.resources.stores.pages(self.place.source, subdir, after)
        async with aclosing(batches(pages)) as listed:
            async for batch in listed:
                await self._write(batch)
                self._tell()
        await self._finish()

    async def _write(self, batch: Batch) -> None:
        """One transaction: captures, figures, words and cursor."""
        report = self.report
        fitting = await self._fitting(batch)
        async with report.effect() as db:
            for reason in batch.unreadable:
                self._bad(f"Cannot read folder {reason}")
            good = [(each, fits) for each, fits in fitting if self._has_good_key(each, fits)]
            pictures = [each for each, _ in good]
            standing = await self._standing(db, _columns(pictures))
            absent, different = set(standing.absent), set(standing.different)
            # in the contract's order: ending, expression, size (domain 3.3)
            wanted = [at for at, (each, fits) in enumerate(good) if fits and each.size > 0]
            fresh, taken = self._dated([pictures[at] for at in wanted if at in absent])
            changed = [pictures[at] for at in wanted if at in different]
            added = 0
            if fresh or changed:
                objects, times = _columns(fresh + changed), taken + [None] * len(changed)
                added = await syncing_rows.write(db, report.job_id, self.place.station, objects, times)
            known = sum(at not in absent for at in wanted)
            report.count("Total files", known + len(fresh))
            report.count("Added", added)
            report.count("Changed", len(changed))
            report.count("Files listed", len(batch.objects))
            report.count("Pages", batch.pages)
            self._measure()
            if batch.objects:
                report.cursor = {**self._cursor, "after": _to_text(batch.objects[-1].key)}

    async def _standing(self, db: Connection, objects: Columns) -> Standing:
        """Which objects are captures already; where none is for miles around, none is looked up."""
        job_id, station_id = self.report.job_id, self.place.station["id"]
        if self.on_new_ground and not await syncing_rows.any_between(db, station_id, objects.paths):
            return Standing(range(len(objects.paths)), ())
        self.on_new_ground = False
        return await syncing_rows.compare(db, job_id, station_id, objects)

    async def _fitting(self, batch: Batch) -> list[tuple[StoredObject, bool]]:
        """The pictures of a batch, each with whether the station's expression fits it."""
        pictures = [each for each in batch.objects if is_picture(each.key)]
        fits = await self.place.captures.fit([each.key for each in pictures])
        return list(zip(pictures, fits, strict=True))

    def _has_good_key(self, stored: StoredObject, fits: bool) -> bool:
        """Whether an object can be a capture by its key; says so of one that would be one otherwise."""
        reason = unfit(stored.key)
        if reason is not None and fits and stored.size > 0:
            self._bad(f"Cannot keep {shown(stored.key[:200])}: {reason}")
        return reason is None

    def _dated(self, objects: Sequence[StoredObject]) -> tuple[list[StoredObject], list[Any]]:
        """Those whose names say when they were taken, and when that was; the others are bad."""
        found, times = [], []
        for each in objects:
            at = taken_at(each.key)
            if at is None:
                self._bad(f"No timestamp parsed from filename: {each.key}")
                continue
            if at.year < FIRST_CREDIBLE_YEAR:
                self._name("suspicious", f"Suspicious timestamp ({at.year}) for: {each.key}", "WARNING")
            found.append(each)
            times.append(at)
        return found, times

    def _bad(self, words: str) -> None:
        self.report.count("Failed")
        self._name("bad", words, "ERROR")

    def _name(self, kind: str, words: str, level: str) -> None:
        """Say it in the log, if not too much of the kind has been said."""
        so_far: int = self._cursor.get(kind, 0)
        self.report.cursor = {**self._cursor, kind: so_far + 1}
        if so_far < NAMED:
            self.report.log(words, level)

    def _measure(self) -> None:
        """How far, if it is known how far it is; how fast in this attempt."""
        report = self.report
        total, last = report.stage.param("Total files").value, self.place.station["last_total"]
        if last:
            report.progress(min(0.99, total / last))
        listed = report.stage.param("Files listed").value - self.listed_before
        report.set("Files per second", round(listed / max(time.monotonic() - self.began, 0.001)))

    def _tell(self) -> None:
        if time.monotonic() - self.told > SECONDS_BETWEEN_WORDS:
            self.told = time.monotonic()
            self.report.log(f"Processed {self.report.stage.param('Total files').value} files")

    async def _finish(self) -> None:
        """The last transaction: what is missing, the station's counts."""
        report, station_id = self.report, self.place.station["id"]
        async with report.effect(last=True) as db:
            for kind, words in (("bad", "objects that failed"), ("suspicious", "suspicious timestamps")):
                rest = self._cursor.get(kind, 0) - NAMED
                if rest > 0:
                    report.log(f"{rest} more {words} are not named", "WARNING")
            missing, paths = await syncing_rows.missing(
                db, report.job_id, station_id, self.place.folder, NAMED
            )
            for path in paths:
                report.log(f"Not in the store any more: {path}", "WARNING")
            if missing > len(paths):
                report.log(f"{missing - len(paths)} more captures are not in the store any more", "WARNING")
            report.set("Missing", missing)
            self._measure()
            changed = any(report.stage.param(name).value for name in ("Added", "Changed"))
            await syncing_rows.finish(db, report.job_id, station_id, changed=changed)
            report.log(f"Processed {report.stage.param('Total files').value} files")
            report.log(f"Finished syncing captures for deployment {self.place}")


def _to_text(key: str) -> str:
    """A key as JSON can hold it: names of files need not be UTF-8."""
    return quote(key, safe="/ ", errors="surrogateescape")


def _from_text(text: str | None) -> str | None:
    return None if text is None else unquote(text, errors="surrogateescape")


def _columns(objects: Sequence[StoredObject]) -> Columns:
    keys, sizes, times, etags = zip(*objects, strict=True) if objects else ((), (), (), ())
    return Columns(keys, sizes, times, etags)


def activities(resources: Resources) -> list[Callable[..., Any]]:
    return [DataStorageSync(resources).sync]
