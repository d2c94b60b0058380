"""Group the captures of a station into sessions."""

from collections.abc import Callable
from typing import Any

from activities.exclusive import Work, exclusive
from activities.reporter import StageReporter, implements, reporting
from activities.resources import Resources
from db import grouping_rows, station_rows
from db.station_rows import Station
from jobs.errors import MissingStation, StationBusy
from jobs.runs import ClaimedRun
from jobs.stages import key_of
from monitoring import grouping
from workflows.data_storage_sync import REGROUP_SESSIONS
from workflows.regroup_events import COUNTS, REGROUP

GROUPING = Work("grouping of station", "grouping deployment", "grouping deployment", busy=StationBusy)


class RegroupEvents:
    """Carries out the stage that groups, of its own job type and of the sync."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources

    @implements(REGROUP)
    async def regroup(self, run: ClaimedRun) -> None:
        async with reporting(self.resources, REGROUP, run) as report:
            if report.finished:
                return
            if run.deployment_id is None:
                raise MissingStation("regroup events")
            async with self.resources.database.autocommit() as db:
                station = await station_rows.get(db, run.deployment_id)
            if report.waits_for is None:
                report.log(f"Regrouping captures for deployment {station}")
            await group(self.resources, report, station, "after regrouping")

    @implements(REGROUP_SESSIONS)
    async def regroup_after_sync(self, run: ClaimedRun) -> None:
        async with reporting(self.resources, REGROUP_SESSIONS, run) as report:
            if report.finished:
                return
            # a sync has a station, or it has failed before
            async with self.resources.database.autocommit() as db:
                station = await station_rows.get(db, run.deployment_id or 0)
            if report.waits_for is None:
                report.log(f"Regrouping captures into sessions for deployment {station}")
            await group(self.resources, report, station, "after sync regroup")


async def group(resources: Resources, report: StageReporter, station: Station, after: str) -> None:
    """Group all captures of a station as the last effect of a stage; `after` says in the job's log after what.

    Raises StationBusy while another job does so.
    """
    await exclusive(report, GROUPING, station.id, station)
    if not (station.session_time_gap_seconds or 0) > 0:
        report.log(
            f"The project's session time gap is {station.session_time_gap_seconds} s;"
            f" grouping by the default of {grouping.DEFAULT_GAP.total_seconds():.0f} s",
            "WARNING",
        )
    # one that was paused or has died in the middle of its effect may not be out of it yet
    async with resources.database.autocommit() as db:
        if not await grouping_rows.is_free(db, station.id):
            report.log(f"Another job is grouping deployment {station}; waiting until it is done", "WARNING")
    async with report.effect(last=True) as db:
        await grouping_rows.lock(db, station.id)
        grouped = await grouping_rows.group(db, station.id, grouping.gap(station.session_time_gap_seconds))
        for name in COUNTS:
            report.set(name, getattr(grouped, key_of(name)))
        report.log(f"Deployment {station} now has {grouped.sessions} events {after}.")


def activities(resources: Resources) -> list[Callable[..., Any]]:
    stages = RegroupEvents(resources)
    return [stages.regroup, stages.regroup_after_sync]
