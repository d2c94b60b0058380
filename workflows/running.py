"""How every workflow claims its run, waits out its delay and its pauses, runs its stages and closes the run."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

from jobs import delay
from jobs.job_type import JobType
from jobs.runs import ClaimedRun, Closing, JobRequest, JobResult, PauseRequest, StageReport
from jobs.stages import JOBS_QUEUE, Retrying, Stage, StageSnapshot
from jobs.status import Status
from workflows import run_records
from workflows.visibility import Visibility

In = TypeVar("In")
Out = TypeVar("Out")

HEARTBEAT_TIMEOUT = timedelta(seconds=10)


async def run_job(
    job_type: JobType, request: JobRequest, work: Callable[["RunningJob"], Awaitable[None]]
) -> JobResult:
    """Do the work of a job from claim to close, whatever happens in between.

    Raises what Temporal is to show as the end of the workflow: CancelledError if the run was cancelled,
    ApplicationError of type JobFailed or RunRefused otherwise.
    """
    run, cancelled = await uninterrupted(run_records.claim(request))
    job = RunningJob(job_type, run)
    try:
        if cancelled:
            raise asyncio.CancelledError
        if run.paused:
            await job.until_resumed()
        await job.wait_out_delay()
        await work(job)
    except (Exception, asyncio.CancelledError) as error:
        status = Status.REVOKED if is_cancelled_exception(error) else Status.FAILURE
        reason = reason_of(error)
        result = await job.close(status, reason)
        if status is Status.FAILURE and result.status is not Status.REVOKED:
            raise ApplicationError(reason, result, type="JobFailed", non_retryable=True) from error
        if status is Status.REVOKED:
            raise
    else:
        result = await job.close(Status.SUCCESS)
    if result.status is Status.REVOKED:
        # the row tells of a cancellation that has not reached the workflow; the request is on its way
        await workflow.sleep(timedelta(minutes=1))
        raise ApplicationError("The job was cancelled", result, type="JobRevoked", non_retryable=True)
    return result


class RunningJob:
    """A claimed run, and what its workflow does with it: stages one after another, pauses, the delay before them."""

    def __init__(self, job_type: JobType, run: ClaimedRun) -> None:
        self.run = run
        self.visibility = Visibility(job_type, run)
        self._news = False
        workflow.set_signal_handler("progress", self.visibility.update)
        workflow.set_signal_handler(run_records.STATE_CHANGED, self._look)
        workflow.set_signal_handler(run_records.PAUSE, self._pause)
        workflow.set_signal_handler(run_records.RESUME, self._resume)

    async def run_stage(self, stage: Stage[In, Out], given: In) -> Out:
        """Have an activity carry out one stage; if the run is paused, once it is resumed."""
        while True:
            try:
                return await _execute(stage, given)
            except ActivityError as error:
                if not has_cause(error, "RunPaused"):
                    raise
            await self.until_resumed()

    async def until_resumed(self) -> None:
        """Wait while the run is paused; its row says whether it is."""
        while True:
            self._news = False
            if not await run_records.change_pause(PauseRequest(self.run.job_id, self.run.run)):
                break
            self.visibility.describe(Status.STARTED, paused=True)
            await workflow.wait_condition(lambda: self._news)
        self.visibility.describe(Status.STARTED)

    def _look(self) -> None:
        self._news = True

    async def _pause(self) -> None:
        await self._change_pause(pause=True)

    async def _resume(self) -> None:
        await self._change_pause(pause=False)

    async def _change_pause(self, *, pause: bool) -> None:
        """What somebody wants who signals the workflow instead of asking over REST."""
        await run_records.change_pause(PauseRequest(self.run.job_id, self.run.run, pause))
        self._news = True

    async def wait_out_delay(self) -> None:
        """Wait `delay` seconds in a stage of its own: by timers, so that a waiting job takes no worker's place."""
        seconds = self.run.delay
        if not seconds:
            return
        began = workflow.now()
        elapsed = 0
        for step in delay.steps(seconds):
            await self._say(delay.snapshot(seconds, elapsed), elapsed)
            elapsed += step
            # time that passed while no worker lived counts, time in which the run was paused does not
            began += await self._nap(began + timedelta(seconds=elapsed))
        await self._say(delay.snapshot(seconds, max(seconds, 0)), elapsed)

    async def _nap(self, until: datetime) -> timedelta:
        """Sleep until then, and for as long again as the run is paused meanwhile; gives how long that was."""
        paused = timedelta()
        while (rest := (until + paused - workflow.now()).total_seconds()) > 0:
            try:
                await workflow.wait_condition(lambda: self._news, timeout=rest)
            except TimeoutError:
                break
            since = workflow.now()
            await self.until_resumed()
            paused += workflow.now() - since
        return paused

    async def _say(self, snapshot: StageSnapshot, elapsed: int) -> None:
        run = self.run
        lines = [delay.line(run.job_id, elapsed, run.delay)] if elapsed else []
        self.visibility.update(snapshot)
        await run_records.report(StageReport(run.job_id, run.run, snapshot, lines))

    async def close(self, status: Status, reason: str | None = None) -> JobResult:
        """Record the end of the run; neither a cancellation nor a lost connection can skip that."""
        closing = Closing(self.run.job_id, self.run.run, status, reason)
        result, _ = await uninterrupted(run_records.close(closing))
        self.visibility.end(result)
        return result


async def _execute(stage: Stage[In, Out], given: In) -> Out:
    gives: Out = await workflow.execute_activity(
        stage.key,
        given,
        result_type=stage.gives,
        start_to_close_timeout=stage.timeout,
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        retry_policy=retry_policy(stage.retrying),
        summary=stage.name,
        task_queue=workflow.info().task_queue.removesuffix(JOBS_QUEUE) + stage.queue,
    )
    return gives


def retry_policy(retrying: Retrying) -> RetryPolicy:
    """How often and how soon; what no retry can mend is marked so by the activity itself (activities.failures)."""
    return RetryPolicy(
        initial_interval=retrying.first,
        backoff_coefficient=retrying.factor,
        maximum_interval=retrying.longest,
        maximum_attempts=retrying.attempts,
        non_retryable_error_types=retrying.never or None,
    )


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
            # cancelled before it began, as a rule
            if cancelled and has_cause(error, "RunRefused"):
                raise asyncio.CancelledError from error
            raise
    return task.result(), cancelled


def has_cause(error: ActivityError, type_name: str) -> bool:
    """Whether an activity failed with an error of that type."""
    return isinstance(error.cause, ApplicationError) and error.cause.type == type_name


def reason_of(error: BaseException) -> str:
    """The words of the innermost cause: what an activity raised, not that an activity failed."""
    while isinstance(error, ActivityError) and error.cause is not None:
        error = error.cause
    return getattr(error, "message", None) or str(error) or type(error).__name__
