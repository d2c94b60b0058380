"""Make the captures of a station what its store has, a batch of objects at a time."""

from collections.abc import Callable
from typing import Any

from activities.listing import Listing
from activities.reporter import WAITS_FOR, StageReporter, implements, reporting
from activities.resources import Resources
from activities.station_source import Place, place_of, store_errors
from db import syncing_rows
from db.connections import Connection
from jobs.errors import MissingStation, StationBusy, StationNotFound
from jobs.runs import ClaimedRun
from workflows.data_storage_sync import SYNC

WAITING_FOR = "Waiting for job"


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
            place = await place_of(station)
            await _take_turn(report, place)
            with store_errors(place):
                await Listing(self.resources, report, place).take_in()


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


def activities(resources: Resources) -> list[Callable[..., Any]]:
    return [DataStorageSync(resources).sync]
