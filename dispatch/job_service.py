"""Asking for a job: for routes, schedules, programs of ours, whoever; nothing here knows of HTTP.

Each request is made in the caller's transaction, and says what is to be done once that is committed: to start, or to
tell, the workflow behind the job. What cannot be done then is delivered later by the outbox relay.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from db import explaining_rows, job_rows, project_rows
from db.connections import Connection, Database
from db.job_rows import RunStart, Workflow
from diagnosis.explanation import Explanation
from diagnosis.facts import Facts, TemporalFacts
from diagnosis.rules import explain
from dispatch.outbox_relay import STOP_AFTER
from jobs import delay
from jobs.errors import InvalidField
from jobs.job_type import JobType
from jobs.runs import NewJob
from jobs.stages import StageSnapshot
from jobs.status import Status
from monitoring.projects import FEATURE_FLAGS
from temporal import describe
from temporal.launcher import Launcher
from workflows.registry import JOB_TYPES

AfterCommit = Callable[[], Awaitable[object]]
"""What is done once a transaction is committed; it never fails because Temporal is out of reach."""

BY_WORKERS = "async_pipeline_workers"
"""The flag of a project whose pipelines are run by workers that fetch their tasks."""


@dataclass(frozen=True)
class Outcome:
    """What became of a request."""

    job_id: int
    changed: bool
    """False if there was nothing to do: the job was so already."""
    after_commit: AfterCommit | None = None


@dataclass(frozen=True)
class Explained:
    """Why a job is where it is, and the status that this is said of."""

    status: Status
    explanation: Explanation


def job_type_of(key: str) -> JobType:
    """The job type of that key; raises InvalidField for one that does not run here."""
    if key not in JOB_TYPES:
        known = ", ".join(JOB_TYPES)
        raise InvalidField("job_type_key", f'"{key}" is not a type of job that runs here: {known}.')
    return JOB_TYPES[key]


class JobService:
    """Creates, runs, cancels, pauses, resumes, deletes and explains jobs.

    `wake_relay` has the outbox relay of this process, if it has one, poll after some time. Permissions are the
    caller's to check. Every method but `create` raises JobNotFound for a job that is not there, or no more.
    """

    def __init__(
        self,
        database: Database,
        launcher: Launcher,
        *,
        wake_relay: Callable[[timedelta], None] = lambda _: None,
    ) -> None:
        self.database = database
        self.launcher = launcher
        self._wake_relay = wake_relay

    async def create(
        self, db: Connection, new: NewJob, *, start: bool = False, request_id: str | None = None
    ) -> Outcome:
        """Make a job, and ask for its first run if it is to start.

        Raises InvalidField for a type that does not run here. References are the caller's to check.
        """
        job_type_of(new.job_type_key)
        mode = await self.dispatch_mode(db, new.project_id, new.pipeline_id)
        # a run that begins at once gets all its stages by the claim
        stages = [delay.snapshot(new.delay)] if new.delay else []
        made = await job_rows.insert(
            db, {**vars(new), "dispatch_mode": mode}, stages, start=start, request_id=request_id
        )
        return Outcome(made.job_id, True, self._starting(made) if start else None)

    async def dispatch_mode(self, db: Connection, project_id: int, pipeline_id: int | None) -> str:
        """How the work of a job is handed out (contract 4.1): internal, sync_api or async_api; decided once."""
        if pipeline_id is None:
            return "internal"
        by_workers = await project_rows.flag(db, project_id, BY_WORKERS, FEATURE_FLAGS[BY_WORKERS])
        return "async_api" if by_workers else "sync_api"

    async def run(
        self, db: Connection, job_id: int, *, again: bool = False, request_id: str | None = None
    ) -> Outcome:
        """Ask for the next run of a job; one that is under way is left alone. The log says that it runs `again`.

        Raises InvalidField for a type that does not run here.
        """
        asked = await job_rows.ask_to_run(db, job_id, _stages, again=again, request_id=request_id)
        if asked is None:
            return Outcome(job_id, False)
        return Outcome(job_id, True, self._starting(asked))

    async def cancel(self, db: Connection, job_id: int, *, request_id: str | None = None) -> Outcome:
        """Ask for the end of a job's run; one that no worker has claimed is over at once."""
        asked = await job_rows.ask_to_cancel(db, job_id, request_id=request_id)
        if asked.workflow is None:
            return Outcome(job_id, asked.changed)
        if asked.status is Status.REVOKED:
            return Outcome(job_id, True, self._terminating(asked.workflow, "Cancelled before it began"))
        return Outcome(job_id, True, self._cancelling(asked.workflow))

    async def pause(self, db: Connection, job_id: int, *, request_id: str | None = None) -> Outcome:
        """Have a run begin nothing new; one that does not run stays as it is."""
        return await self._ask_to_pause(db, job_id, pause=True, request_id=request_id)

    async def resume(self, db: Connection, job_id: int, *, request_id: str | None = None) -> Outcome:
        """Have a paused run go on where it was; one that is not paused goes on as it is."""
        return await self._ask_to_pause(db, job_id, pause=False, request_id=request_id)

    async def _ask_to_pause(
        self, db: Connection, job_id: int, *, pause: bool, request_id: str | None
    ) -> Outcome:
        asked = await job_rows.ask_to_pause(db, job_id, pause=pause, request_id=request_id)
        if asked.workflow is None:
            return Outcome(job_id, asked.changed)
        return Outcome(job_id, True, self._telling(job_id, asked.workflow, asked.asked_at))

    async def delete(self, db: Connection, job_id: int) -> Outcome:
        """Remove a job with its stages and its log; a run that is under way ends."""
        workflow = await job_rows.delete(db, job_id)
        ending = None if workflow is None else self._terminating(workflow, "The job was deleted")
        return Outcome(job_id, True, ending)

    async def explain(self, job_id: int) -> Explained | None:
        """Why a job is where it is; null if there is no such job.

        Asks Temporal too, for at most a second or so; that it does not answer is an explanation of its own.
        """
        async with self.database.autocommit() as db:
            known = await explaining_rows.read(db, job_id)
        temporal = TemporalFacts()
        if known is not None and known.facts.status.is_active:
            job_type = JOB_TYPES.get(known.job_type_key)
            stages = () if job_type is None else job_type.stages
            temporal = await describe.look(
                self.launcher.temporal, self.launcher.task_queue, known.workflow, stages
            )
            # the row after Temporal: what has closed its row first, and ended then, is not taken for lost
            async with self.database.autocommit() as db:
                known = await explaining_rows.read(db, job_id)
        if known is None:
            return None
        return Explained(known.facts.status, explain(Facts(known.now, known.facts, temporal)))

    # after the commit -----------------------------------------------------------------------------------------

    def _starting(self, run: RunStart) -> AfterCommit:
        return lambda: self.launcher.start(run)

    def _terminating(self, workflow: Workflow, reason: str) -> AfterCommit:
        return lambda: self.launcher.terminate(workflow, reason)

    def _cancelling(self, workflow: Workflow) -> AfterCommit:
        async def cancel() -> None:
            # without a worker nobody answers: then the relay ends the run
            self._wake_relay(STOP_AFTER)
            await self.launcher.cancel(workflow)

        return cancel

    def _telling(self, job_id: int, workflow: Workflow, asked_at: datetime | None) -> AfterCommit:
        async def tell() -> None:
            if await self.launcher.state_changed(workflow):
                async with self.database.transaction() as db:
                    await job_rows.mark_pause_told(db, job_id, asked_at)

        return tell


def _stages(job_type_key: str, seconds_of_delay: int) -> list[StageSnapshot]:
    return job_type_of(job_type_key).snapshots(seconds_of_delay)
