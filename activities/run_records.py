"""The record of a run: claimed, reported on, closed. Local activities of every workflow."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from temporalio import activity

from activities.failures import for_temporal
from activities.resources import Resources
from db import job_rows, run_rows, stage_rows
from db.log_rows import Line
from db.run_rows import Execution
from jobs.errors import JobNotFound
from jobs.runs import ClaimedRun, Closing, JobRequest, JobResult, PauseRequest, StageReport
from jobs.status import Status
from workflows import run_records
from workflows.registry import JOB_TYPES


class RunRecords:
    """Moves the rows of jobs along with their workflows."""

    def __init__(self, resources: Resources) -> None:
        self.database = resources.database

    @activity.defn(name=run_records.CLAIM)
    async def claim_run(self, request: JobRequest) -> ClaimedRun:
        info = activity.info()
        job_type = JOB_TYPES[info.workflow_type or ""]
        execution = Execution(info.workflow_id or "", info.workflow_run_id or "")
        with for_temporal(patient=True):
            async with self.database.autocommit() as db:
                claimed = await run_rows.claim_asked(db, job_type, request, execution)
            if claimed is not None:
                return claimed
            async with self.database.transaction() as db:
                return await run_rows.claim(db, job_type, request, execution)

    @activity.defn(name=run_records.REPORT)
    async def report_stage(self, report: StageReport) -> None:
        lines = [Line(message) for message in report.lines]
        with for_temporal(patient=True):
            async with self.database.transaction() as db:
                await stage_rows.report(db, report.job_id, report.run, report.snapshot, lines)

    @activity.defn(name=run_records.CHANGE_PAUSE)
    async def change_pause(self, word: PauseRequest) -> bool:
        with for_temporal(patient=True):
            async with self.database.transaction() as db:
                if word.pause is not None:
                    with suppress(JobNotFound):  # deleted: there is nothing to pause
                        asked = await job_rows.ask_to_pause(db, word.job_id, pause=word.pause, run=word.run)
                        await job_rows.mark_pause_told(db, word.job_id, asked.asked_at)
                return await run_rows.is_paused(db, word.job_id, word.run)

    @activity.defn(name=run_records.CLOSE)
    async def close_run(self, closing: Closing) -> JobResult:
        with for_temporal(patient=True):
            async with self.database.autocommit() as db:
                stages = await run_rows.succeed(db, closing)
            if stages is not None:
                return JobResult(closing.job_id, closing.run, Status.SUCCESS, stages)
            async with self.database.transaction() as db:
                status = await run_rows.close(db, closing)
                stages = await stage_rows.get_all(db, closing.job_id)
        return JobResult(closing.job_id, closing.run, status, stages)


def activities(resources: Resources) -> list[Callable[..., Any]]:
    keeper = RunRecords(resources)
    return [keeper.claim_run, keeper.report_stage, keeper.change_pause, keeper.close_run]
