"""Fill a capture set: choose captures by the set's sampling method and make the set hold exactly those."""

from dataclasses import dataclass

from temporalio import workflow

from jobs.job_type import JobType
from jobs.runs import ClaimedRun, JobRequest, JobResult
from jobs.stages import Stage
from workflows.running import run_job, run_stage


@dataclass
class Sampling:
    """Which set to fill, for which run."""

    job_id: int
    run: int
    source_image_collection_id: int | None


@dataclass
class Sampled:
    """How many captures are in the set now."""

    captures_added: int


POPULATE = Stage(
    "populate_captures_collection",
    "Populate captures collection",
    takes=Sampling,
    gives=Sampled,
    params=("Captures added",),
)

JOB_TYPE = JobType("populate_captures_collection", "Populate captures collection", (POPULATE,))


@workflow.defn(name=JOB_TYPE.key)
class PopulateCapturesCollection:
    @workflow.run
    async def run(self, request: JobRequest) -> JobResult:
        return await run_job(JOB_TYPE, request, self.populate)

    async def populate(self, run: ClaimedRun) -> None:
        await run_stage(POPULATE, Sampling(run.job_id, run.run, run.source_image_collection_id))
