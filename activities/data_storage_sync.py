"""Make the captures of a station what its store has, a batch of objects at a time."""

from collections.abc import Callable
from typing import Any

from activities.exclusive import Work, exclusive
from activities.listing import Listing
from activities.reporter import StageReporter, implements, reporting
from activities.resources import Resources
from activities.station_source import Place, place_of, store_errors
from db import syncing_rows
from jobs.errors import MissingStation, StationBusy, StationNotFound
from jobs.runs import ClaimedRun
from workflows.data_storage_sync import SYNC

SYNCING = Work("sync of station", "syncing deployment", "syncing captures for deployment", busy=StationBusy)


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
            if report.cursor is None and report.waits_for is None:
                report.log(f"Syncing captures for deployment #{station['id']} {station['name']}")
            place = await place_of(station)
            await exclusive(report, SYNCING, place.station["id"], place)
            await _begin(report, place)
            with store_errors(place):
                await Listing(self.resources, report, place).take_in()


async def _begin(report: StageReporter, place: Place) -> None:
    """Begin a listing, or begin again: that of an attempt before was of another place."""
    cursor = report.cursor or {}
    if cursor.get("at") == place.whereabouts:
        return
    async with report.effect() as db:
        if cursor.get("after") is not None:
            report.log("The station's captures lie elsewhere by now; listing from the beginning", "WARNING")
        for name in SYNC.counts:
            report.set(name, 0)
        await syncing_rows.forget_sightings(db, report.job_id)
        report.cursor = {"at": place.whereabouts}


def activities(resources: Resources) -> list[Callable[..., Any]]:
    return [DataStorageSync(resources).sync]
