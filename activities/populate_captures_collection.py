"""Choose captures by a set's sampling method and make the set hold exactly those."""

import hashlib
from collections.abc import Callable
from typing import Any

from activities.exclusive import Work, exclusive
from activities.reporter import implements, reporting
from activities.resources import Resources
from db import capture_set_rows, sampling_rows
from jobs.errors import CaptureSetBusy, InvalidSampling, MissingInput
from jobs.runs import ClaimedRun
from monitoring import sampling
from workflows.populate_captures_collection import POPULATE

FILLING = Work(
    "filling of set",
    "filling source image collection",
    "filling source image collection",
    busy=CaptureSetBusy,
)


class PopulateCapturesCollection:
    """Carries out the one stage of the job."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources

    @implements(POPULATE)
    async def populate(self, run: ClaimedRun) -> None:
        async with reporting(self.resources, POPULATE, run) as report:
            if report.finished:
                return
            if run.source_image_collection_id is None:
                raise MissingInput("source image collection", "source_image_collection_id")
            report.set("Captures added", 0)
            async with self.resources.database.autocommit() as db:
                chosen_set = await capture_set_rows.get(db, run.source_image_collection_id)
            if report.waits_for is None:
                report.log(f"Populating source image collection {chosen_set}")
            await exclusive(report, FILLING, chosen_set.id, chosen_set)
            report.progress(0.1)
            try:
                arguments = sampling.sampler(chosen_set.method, chosen_set.kwargs)
            except sampling.SamplingError as error:
                raise InvalidSampling(error.field, error.reason) from error
            report.log(f"Sampling using method 'sample_{chosen_set.method}' with params: {chosen_set.kwargs}")
            report.log(f"Sampling and saving captures to {chosen_set}")
            async with report.effect(last=True) as db:
                await capture_set_rows.lock(db, chosen_set.id)
                total = await sampling_rows.replace(
                    db, chosen_set.id, chosen_set.project_id, chosen_set.method, arguments, seed(run)
                )
                report.log(f"Done sampling and saving captures to {chosen_set}")
                report.log(f"Finished populating source image collection {chosen_set}")
                report.log(f"Added {total} captures to source image collection {chosen_set}")
                report.set("Captures added", total)


def seed(run: ClaimedRun) -> int:
    """The lot of a run, as a bigint: the same for every attempt, another one for the next run."""
    digest = hashlib.sha256(f"{run.job_id}/{run.run}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def activities(resources: Resources) -> list[Callable[..., Any]]:
    stages = PopulateCapturesCollection(resources)
    return [stages.populate]
