"""Group the captures of a station into sessions."""

from temporalio import workflow

from jobs.job_type import JobType
from jobs.runs import ClaimedRun, JobRequest, JobResult
from jobs.stages import Stage
from workflows.measure_captures import MEASURE
from workflows.running import RunningJob, run_job

COUNTS = (
    "Captures grouped",
    "Events created",
    "Events touched",
    "Empty events deleted",
    "Duplicate timestamps",
    "Ungrouped captures",
    "Captures missing timestamp",
)
"""What grouping counts (domain 4.4)."""

REGROUP = Stage("regroup_events", "Regroup sessions", takes=ClaimedRun, gives=type(None), counts=COUNTS)

JOB_TYPE = JobType(
    "regroup_events",
    "Regroup sessions",
    (REGROUP, MEASURE),
    title="Regroup sessions for deployment {deployment_id}",
)


@workflow.defn(name=JOB_TYPE.key)
class RegroupEvents:
    job_type = JOB_TYPE

    @workflow.run
    async def run(self, request: JobRequest) -> JobResult:
        return await run_job(JOB_TYPE, request, self.regroup)

    async def regroup(self, job: RunningJob) -> None:
        await job.run_stage(REGROUP, job.run)
        if workflow.patched("measure-captures"):
            await job.run_stage(MEASURE, job.run)
