"""Goes through the objects of a station's store, a batch at a time, and makes captures of them."""

from collections.abc import Sequence
from contextlib import aclosing
from typing import Any
from urllib.parse import quote, unquote

from activities.reporter import StageReporter
from activities.resources import Resources
from activities.station_source import Place
from activities.sync_figures import NAMED, SyncFigures
from db import syncing_rows
from db.connections import Connection
from db.syncing_rows import Columns, Standing
from monitoring.file_names import FIRST_CREDIBLE_YEAR, taken_at
from storage.batches import Batch, batches
from storage.places import is_picture, shown, unfit
from storage.sources import StoredObject


class Listing:
    """Goes through the objects of a place, and leaves captures."""

    def __init__(self, resources: Resources, report: StageReporter, place: Place) -> None:
        self.resources = resources
        self.report = report
        self.place = place
        self.figures = SyncFigures(report, place.station["last_total"])
        self.on_new_ground = True
        """Whether no object so far was a capture already: the first sync of a station."""

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
                self.figures.tell()
        await self._finish()

    async def _write(self, batch: Batch) -> None:
        """One transaction: captures, figures, words and cursor."""
        report = self.report
        fitting = await self._fitting(batch)
        async with report.effect() as db:
            for reason in batch.unreadable:
                self.figures.bad(f"Cannot read folder {reason}")
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
            self.figures.measure()
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
            self.figures.bad(f"Cannot keep {shown(stored.key[:200])}: {reason}")
        return reason is None

    def _dated(self, objects: Sequence[StoredObject]) -> tuple[list[StoredObject], list[Any]]:
        """Those whose names say when they were taken, and when that was; the others are bad."""
        found, times = [], []
        for each in objects:
            at = taken_at(each.key)
            if at is None:
                self.figures.bad(f"No timestamp parsed from filename: {each.key}")
                continue
            if at.year < FIRST_CREDIBLE_YEAR:
                self.figures.suspicious(f"Suspicious timestamp ({at.year}) for: {each.key}")
            found.append(each)
            times.append(at)
        return found, times

    async def _finish(self) -> None:
        """The last transaction: what is missing, the station's counts."""
        report, station_id = self.report, self.place.station["id"]
        async with report.effect(last=True) as db:
            self.figures.say_what_is_not_named()
            await self._tell_missing(db)
            self.figures.measure()
            changed = any(report.stage.param(name).value for name in ("Added", "Changed"))
            await syncing_rows.finish(db, report.job_id, station_id, changed=changed)
            report.log(f"Processed {report.stage.param('Total files').value} files")
            report.log(f"Finished syncing captures for deployment {self.place}")

    async def _tell_missing(self, db: Connection) -> None:
        """Count and name captures that the station has and its store has no more; they stay."""
        report, station_id = self.report, self.place.station["id"]
        missing, paths = await syncing_rows.missing(db, report.job_id, station_id, self.place.folder, NAMED)
        for path in paths:
            report.log(f"Not in the store any more: {path}", "WARNING")
        if missing > len(paths):
            report.log(f"{missing - len(paths)} more captures are not in the store any more", "WARNING")
        report.set("Missing", missing)


def _to_text(key: str) -> str:
    """A key as JSON can hold it: names of files need not be UTF-8."""
    return quote(key, safe="/ ", errors="surrogateescape")


def _from_text(text: str | None) -> str | None:
    return None if text is None else unquote(text, errors="surrogateescape")


def _columns(objects: Sequence[StoredObject]) -> Columns:
    keys, sizes, times, etags = zip(*objects, strict=True) if objects else ((), (), (), ())
    return Columns(keys, sizes, times, etags)
