"""Learn how large the pictures of a station are: from one capture a session, as well as may be (domain 4.2, rule 8)."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from activities.reporter import StageReporter, implements, reporting
from activities.resources import Resources
from activities.station_source import source_of
from db import measuring_rows, syncing_rows
from db.measuring_rows import Measured, Unmeasured
from jobs.runs import ClaimedRun
from storage.pictures import dimensions
from storage.sources import Source, StorageError
from workflows.measure_captures import MEASURE

AT_ONCE = 8
"""Pictures that are read at the same time, and sessions of one transaction."""
LONGEST_READ = 20.0
"""Seconds for the beginning of one picture."""
NAMED = 10
"""Pictures that could not be read and are named in the log."""
GIVEN_UP_AFTER = 3 * AT_ONCE
"""Pictures in a row that could not be read: the store is away, and this is not worth waiting for it."""


class MeasureCaptures:
    """Carries out the stage. A picture that cannot be read fails nothing."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources

    @implements(MEASURE)
    async def measure(self, run: ClaimedRun) -> None:
        async with reporting(self.resources, MEASURE, run) as report:
            if report.finished or run.deployment_id is None:
                return
            async with self.resources.database.autocommit() as db:
                known = await measuring_rows.known(db, run.deployment_id)
                source = source_of(await syncing_rows.place(db, run.deployment_id))
            for begin in range(0, len(known), AT_ONCE):
                await self._spread(report, known[begin : begin + AT_ONCE])
            if source is not None:
                await self._read_all(report, run.deployment_id, source)

    async def _spread(self, report: StageReporter, measured: Sequence[Measured]) -> None:
        async with report.effect() as db:
            report.count("Captures measured", await measuring_rows.spread(db, measured))

    async def _read_all(self, report: StageReporter, station_id: int, source: Source) -> None:
        in_a_row = 0
        while in_a_row < GIVEN_UP_AFTER:
            after: int = (report.cursor or {}).get("after", 0)
            async with self.resources.database.autocommit() as db:
                sessions = await measuring_rows.unknown(db, station_id, after, AT_ONCE)
            if not sessions:
                return
            found = await asyncio.gather(*(self._read(source, each) for each in sessions))
            measured = [each for each in found if isinstance(each, Measured)]
            in_a_row = 0 if measured else in_a_row + len(sessions)
            async with report.effect() as db:
                report.count("Captures measured", await measuring_rows.spread(db, measured))
                self._tell(report, [each for each in found if isinstance(each, str)])
                report.cursor = {"after": sessions[-1].session_id}
        report.log("Pictures cannot be read one after another; the rest is left unmeasured", "WARNING")

    async def _read(self, source: Source, session: Unmeasured) -> Measured | str:
        """The size of a session's first picture, or why there is none."""
        try:
            async with asyncio.timeout(LONGEST_READ):
                size = await dimensions(self.resources.stores.chunks(source, session.path))
        except StorageError as error:
            return f"{session.path}: {error}"
        except TimeoutError:
            return f"{session.path}: not within {LONGEST_READ:.0f} s"
        return f"{session.path}: it is no picture" if size is None else Measured(session.session_id, *size)

    def _tell(self, report: StageReporter, reasons: Sequence[str]) -> None:
        so_far: int = report.stage.param("Sessions not measured").value or 0
        for place, reason in enumerate(reasons):
            if so_far + place < NAMED:
                report.log(f"Cannot tell how large a picture is: {reason}", "WARNING")
        report.count("Sessions not measured", len(reasons))


def activities(resources: Resources) -> list[Callable[..., Any]]:
    return [MeasureCaptures(resources).measure]
