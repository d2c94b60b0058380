"""How every workflow claims its run, waits out its delay, runs its stages and closes the run."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import (
    RetryPolicy,
    SearchAttributePair,
    SearchAttributeUpdate,
    TypedSearchAttributes,
)
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from jobs import delay
from jobs.job_type import JobType
from jobs.runs import ClaimedRun, Closing, JobRequest, JobResult, StageReport
from jobs.stages import JOBS_QUEUE, Stage, StageSnapshot, mean_progress
from jobs.status import Status
from workflows import bookkeeping
from workflows.attributes import (
    JOB_ID,
    JOB_PROGRESS,
    JOB_STATUS,
    JOB_TYPE,
    PROJECT_ID,
    STATION_ID,
)

In = TypeVar("In")
Out = TypeVar("Out")

HEARTBEAT_TIMEOUT = timedelta(seconds=10)
# what can be mended by trying again is tried for good: activities mark what cannot (activities.reporting)
RETRIES = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2, maximum_interval=timedelta(seconds=30)
)


async def run_job(
    job_type: JobType, request: JobRequest, work: Callable[[ClaimedRun], Awaitable[None]]
) -> JobResult:
    """Do the work of a job from claim to close, whatever happens in between.

    Raises what Temporal is to show as the end of the workflow: CancelledError if the run was cancelled,
    ApplicationError of type JobFailed or RunRefused otherwise.
    """
    run, cancelled = await uninterrupted(bookkeeping.claim(request))
    board = Board(job_type, run)
    workflow.set_signal_handler("progress", board.update)
    try:
        if cancelled:
            raise asyncio.CancelledError
        await wait_out_delay(run, board)
        await work(run)
    except (Exception, asyncio.CancelledError) as error:
        status = Status.REVOKED if is_cancelled_exception(error) else Status.FAILURE
        reason = reason_of(error)
        result = await close(Closing(run.job_id, run.run, status, reason), board)
        if status is Status.FAILURE and result.status is not Status.REVOKED:
            raise ApplicationError(reason, result, type="JobFailed", non_retryable=True) from error
        if status is Status.REVOKED:
            raise
    else:
        result = await close(Closing(run.job_id, run.run, Status.SUCCESS), board)
    if result.status is Status.REVOKED:
        # the row tells of a cancellation that has not reached the workflow; the request is on its way
        await workflow.sleep(timedelta(minutes=1))
        raise ApplicationError("The job was cancelled", result, type="JobRevoked", non_retryable=True)
    return result


async def uninterrupted(recording: Awaitable[Out]) -> tuple[Out, bool]:
    """Wait for what must not be left half done; also says whether a cancellation came meanwhile."""
    task = asyncio.ensure_future(recording)
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
        except ActivityError as error:
            if cancelled and is_refusal(error):
                raise asyncio.CancelledError from error
            raise
    return task.result(), cancelled


def is_refusal(error: ActivityError) -> bool:
    """True if a claim found that its run is not to be had: cancelled before it began, as a rule."""
    return isinstance(error.cause, ApplicationError) and error.cause.type == "RunRefused"


async def run_stage(stage: Stage[In, Out], given: In) -> Out:
    """Have an activity carry out one stage."""
    gives: Out = await workflow.execute_activity(
        stage.key,
        given,
        result_type=stage.gives,
        start_to_close_timeout=stage.timeout,
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        retry_policy=RETRIES,
        summary=stage.name,
        task_queue=workflow.info().task_queue.removesuffix(JOBS_QUEUE) + stage.queue,
    )
    return gives


async def wait_out_delay(run: ClaimedRun, board: "Board") -> None:
    """Wait `delay` seconds in a stage of its own: by timers, so that a waiting job takes no worker's place."""
    if not run.delay:
        return
    began = workflow.now()
    elapsed = 0
    for step in delay.steps(run.delay):
        await _say(run, board, delay.snapshot(run.delay, elapsed), elapsed)
        elapsed += step
        # time that passed while no worker lived counts
        rest = (began + timedelta(seconds=elapsed) - workflow.now()).total_seconds()
        if rest > 0:
            await workflow.sleep(rest)
    await _say(run, board, delay.snapshot(run.delay, max(run.delay, 0)), elapsed)


async def _say(run: ClaimedRun, board: "Board", snapshot: StageSnapshot, elapsed: int) -> None:
    lines = [delay.line(run.job_id, elapsed, run.delay)] if elapsed else []
    board.update(snapshot)
    await bookkeeping.report(StageReport(run.job_id, run.run, snapshot, lines))


async def close(closing: Closing, board: "Board") -> JobResult:
    """Record the end of the run; neither a cancellation nor a lost connection can skip that."""
    result, _ = await uninterrupted(bookkeeping.close(closing))
    board.end(result)
    return result


def reason_of(error: BaseException) -> str:
    """The words of the innermost cause: what an activity raised, not that an activity failed."""
    while isinstance(error, ActivityError) and error.cause is not None:
        error = error.cause
    return getattr(error, "message", None) or str(error) or type(error).__name__


class Board:
    """What the Temporal Web UI shows of the job: search attributes and current details."""

    def __init__(self, job_type: JobType, run: ClaimedRun) -> None:
        self.run = run
        self.stages = {stage.key: stage for stage in job_type.snapshots(run.delay)}
        known = workflow.info().typed_search_attributes
        updates: list[SearchAttributeUpdate[Any]] = [JOB_STATUS.value_set(Status.STARTED.value)]
        if known.get(JOB_ID) is None:
            # started by a program, which need not know of them
            updates += [
                JOB_ID.value_set(run.job_id),
                JOB_TYPE.value_set(workflow.info().workflow_type),
                PROJECT_ID.value_set(run.project_id),
            ]
        if run.deployment_id is not None and known.get(STATION_ID) is None:
            updates.append(STATION_ID.value_set(run.deployment_id))
        workflow.upsert_search_attributes(updates)
        self.describe(Status.STARTED)

    def update(self, stage: StageSnapshot) -> None:
        """Show how far a stage is (also the signal by which a long activity tells of itself)."""
        self.stages[stage.key] = stage
        progress = mean_progress(list(self.stages.values()))
        workflow.upsert_search_attributes([JOB_PROGRESS.value_set(progress)])
        self.describe(Status.STARTED)

    def end(self, result: JobResult) -> None:
        """Show how the job ended."""
        self.stages = {stage.key: stage for stage in result.stages}
        progress = mean_progress(result.stages)
        workflow.upsert_search_attributes(
            [JOB_STATUS.value_set(result.status.value), JOB_PROGRESS.value_set(progress)]
        )
        self.describe(result.status)

    def describe(self, status: Status) -> None:
        stages = list(self.stages.values())
        rows = [
            f"| {stage.name} | {stage.status} | {stage.progress:.0%} | {counts_of(stage)} |"
            for stage in stages
        ]
        workflow.set_current_details(
            f"**Job {self.run.job_id}**, run {self.run.run}: {self.run.name}\n\n"
            f"**{status}**, {mean_progress(stages):.0%}\n\n"
            "| Stage | Status | Progress | Counts |\n|---|---|---|---|\n" + "\n".join(rows)
        )


def counts_of(stage: StageSnapshot) -> str:
    return ", ".join(f"{param.name}: {param.value}" for param in stage.params if param.value != "")


def starting_attributes(
    job_id: int, job_type_key: str, project_id: int, deployment_id: int | None
) -> TypedSearchAttributes:
    """The search attributes that a run has from its start, before any worker has claimed it."""
    pairs: list[SearchAttributePair[int] | SearchAttributePair[str] | SearchAttributePair[float]] = [
        SearchAttributePair(JOB_ID, job_id),
        SearchAttributePair(JOB_TYPE, job_type_key),
        SearchAttributePair(JOB_STATUS, Status.PENDING.value),
        SearchAttributePair(PROJECT_ID, project_id),
        SearchAttributePair(JOB_PROGRESS, 0.0),
    ]
    if deployment_id is not None:
        pairs.append(SearchAttributePair(STATION_ID, deployment_id))
    return TypedSearchAttributes(pairs)
