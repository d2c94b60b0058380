"""Fill a capture set: choose captures by the set's sampling method and make the set hold exactly those."""

from temporalio import workflow

from jobs.job_type import JobType
from jobs.runs import ClaimedRun, JobRequest, JobResult
from jobs.stages import Stage
from workflows.running import RunningJob, run_job

POPULATE = Stage(
    "populate_captures_collection",
    "Populate captures collection",
    takes=ClaimedRun,
    gives=type(None),
    params=("Captures added",),
)

JOB_TYPE = JobType(
    "populate_captures_collection",
    "Populate captures collection",
    (POPULATE,),
    title="Populate captures for collection {source_image_collection_id}",
)


@workflow.defn(name=JOB_TYPE.key)
class PopulateCapturesCollection:
    job_type = JOB_TYPE

    @workflow.run
    async def run(self, request: JobRequest) -> JobResult:
        return await run_job(JOB_TYPE, request, self.populate)

    async def populate(self, job: RunningJob) -> None:
        await job.run_stage(POPULATE, job.run)
