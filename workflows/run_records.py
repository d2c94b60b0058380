"""The record of a run, kept by local activities: nearly free, and tried until PostgreSQL answers."""

from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy

from jobs.runs import ClaimedRun, Closing, JobRequest, JobResult, PauseRequest, StageReport

Out = TypeVar("Out")

CLAIM = "claim_run"
REPORT = "report_stage"
CLOSE = "close_run"
CHANGE_PAUSE = "change_pause"

STATE_CHANGED = "look"
"""Signal of the API: the run was paused, or is so no more; its row says which."""
PAUSE, RESUME = "pause", "resume"
"""Signals of people and programs that do not ask over REST; they have no payload."""

UNTIL_DONE = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=10))


async def _record(name: str, given: Any, gives: type[Out]) -> Out:
    result: Out = await workflow.execute_local_activity(
        name,
        given,
        result_type=gives,
        start_to_close_timeout=timedelta(seconds=30),
        retry_policy=UNTIL_DONE,
        local_retry_threshold=timedelta(seconds=5),
    )
    return result


async def claim(request: JobRequest) -> ClaimedRun:
    """Take the run that is asked for; fails with RunRefused, JobNotFound or InvalidField if it is not to be had."""
    return await _record(CLAIM, request, ClaimedRun)


async def report(report: StageReport) -> None:
    """Show how far a stage is that the workflow itself does."""
    await _record(REPORT, report, type(None))


async def change_pause(word: PauseRequest) -> bool:
    """Pause the run, have it go on, or only ask; gives whether it is paused now."""
    return await _record(CHANGE_PAUSE, word, bool)


async def close(closing: Closing) -> JobResult:
    """Write how the run ended."""
    return await _record(CLOSE, closing, JobResult)
