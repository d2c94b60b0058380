"""Sync the captures of a station from where its storage source has them, and group them into sessions."""

from temporalio import workflow

from jobs.job_type import JobType
from jobs.runs import ClaimedRun, JobRequest, JobResult
from jobs.stages import STORAGE_QUEUE, Stage
from workflows.measure_captures import MEASURE
from workflows.regroup_events import COUNTS
from workflows.running import RunningJob, run_job

SYNC = Stage(
    "data_storage_sync",
    "Data storage sync",
    takes=ClaimedRun,
    gives=type(None),
    counts=(
        "Total files",
        "Failed",
        "Added",
        "Changed",
        "Missing",
        "Files listed",
        "Pages",
        "Files per second",
    ),
    queue=STORAGE_QUEUE,
)
REGROUP_SESSIONS = Stage(
    "regroup_sessions", "Regroup sessions", takes=ClaimedRun, gives=type(None), counts=COUNTS
)

JOB_TYPE = JobType(
    "data_storage_sync",
    "Data storage sync",
    (SYNC, REGROUP_SESSIONS, MEASURE),
    title="Sync captures for deployment {deployment_id}",
)


@workflow.defn(name=JOB_TYPE.key)
class DataStorageSync:
    job_type = JOB_TYPE

    @workflow.run
    async def run(self, request: JobRequest) -> JobResult:
        return await run_job(JOB_TYPE, request, self.sync)

    async def sync(self, job: RunningJob) -> None:
        await job.run_stage(SYNC, job.run)
        await job.run_stage(REGROUP_SESSIONS, job.run)
        await job.run_stage(MEASURE, job.run)
