"""Every query that changes a job by request. Its runs are in `run_rows`, reading it for people in `job_pages`.

None commits: whoever opened the transaction decides that. The state of a run is guarded in the statements
themselves, so that the database settles every race.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from db import log_rows, stage_rows, writing
from db.connections import Connection, Row, every, one
from db.log_rows import Line
from db.notifications import PAUSED, RESUMED
from jobs import delay, lines
from jobs.errors import JobNotFound
from jobs.runs import INPUTS
from jobs.stages import StageSnapshot
from jobs.status import Status

# what a client may say of a job, by create, by edit or as a program's request
EDITABLE = ("name", "project_id", "job_type_key", *INPUTS)
_DECIDED = ("dispatch_mode",)
REFERENCES = {
    "project_id": "projects",
    "deployment_id": "deployments",
    "source_image_collection_id": "source_image_collections",
    "source_image_single_id": "source_images",
    "pipeline_id": "pipelines",
}
# whoever listens need not ask what became of the job
_NOTIFY = "SELECT pg_notify('nightjar_jobs', id || ' ' || status) FROM jobs WHERE id = %(job_id)s"


@dataclass(frozen=True)
class Workflow:
    """The workflow of one run of a job: under the same id runs the next one."""

    id: str
    run: int
    execution: str | None
    """Temporal's run id; null until a worker has claimed the run."""


@dataclass(frozen=True)
class RunStart:
    """A run whose workflow is to be started, or stopped."""

    job_id: int
    run: int
    name: str
    job_type_key: str
    project_id: int
    deployment_id: int | None
    workflow_id: str
    workflow_run_id: str | None
    request_id: str | None

    @property
    def workflow(self) -> Workflow:
        return Workflow(self.workflow_id, self.run, self.workflow_run_id)


RUN_START_COLUMNS = """
id AS job_id, run, name, job_type_key, project_id, deployment_id, workflow_run_id, request_id,
coalesce(workflow_id, 'job-' || id) AS workflow_id
"""


async def missing_reference(db: Connection, values: Mapping[str, Any]) -> str | None:
    """The first field of a job that names a row which is not there, or is of another project."""
    named = [(field, table, values.get(field)) for field, table in REFERENCES.items()]
    return next(iter(await writing.missing(db, named, values["project_id"])), None)


async def insert(
    db: Connection,
    values: Mapping[str, Any],
    stages: list[StageSnapshot],
    *,
    start: bool = False,
    request_id: str | None = None,
) -> RunStart:
    """Add a job with the stages that it has from the start; returns what starting its first run takes.

    With `start` that run is asked for in the same statement.
    """
    columns = _columns(values)
    asked = {"status": Status.PENDING.value, "run": 1, "request_id": request_id} if start else {}
    names = ", ".join(f'"{name}"' for name in (*columns, *asked))
    marks = ", ".join(f"%({name})s" for name in (*columns, *asked))
    statement = f"""
        INSERT INTO jobs ({names}, asked_at) VALUES ({marks}, {"now()" if start else "NULL"})
        RETURNING {RUN_START_COLUMNS}
    """
    row = await one(db, statement, {**columns, **asked})
    assert row is not None
    made = RunStart(**row)
    if stages:
        await stage_rows.seed(db, made.job_id, stages)
    return made


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    columns = {name: values[name] for name in (*EDITABLE, *_DECIDED) if name in values}
    if columns.get("params") is not None:
        columns["params"] = Jsonb(columns["params"])
    return columns


async def update(db: Connection, job_id: int, values: Mapping[str, Any]) -> None:
    """Change what a client said of a job."""
    columns = _columns(values)
    if not columns:
        return
    changes = ", ".join(f'"{name}" = %({name})s' for name in columns)
    statement = f"UPDATE jobs SET {changes}, updated_at = now() WHERE id = %(job_id)s"
    await db.execute(statement, {**columns, "job_id": job_id})
    await db.execute(_NOTIFY, {"job_id": job_id})


_ALONE = "SELECT 1 FROM jobs WHERE id = %(job_id)s FOR NO KEY UPDATE"


async def seed_delay(db: Connection, job_id: int, seconds: int) -> None:
    """Show the delay of a job that has not run yet; the stages of one that a worker has claimed stay as they are."""
    await db.execute(_ALONE, {"job_id": job_id})
    if not await stage_rows.get_all(db, job_id):
        await stage_rows.seed(db, job_id, [delay.snapshot(seconds)])


@dataclass(frozen=True)
class RequestOutcome:
    """What became of a request to cancel, to pause or to resume."""

    run: int
    workflow: Workflow | None
    """What is to be told; null where there is nothing, or the request changed nothing."""
    changed: bool
    """False if the request found nothing to do."""
    status: Status
    """As it is now."""
    asked_at: datetime | None = None
    """When a pause, or its end, was asked for by this request."""


_ASK_TO_RUN = """
UPDATE jobs SET status = 'PENDING', run = jobs.run + 1, asked_at = now(), updated_at = now(), launched_at = NULL,
                started_at = NULL, finished_at = NULL, result = NULL, workflow_id = NULL,
                workflow_run_id = NULL, paused_at = NULL, pause_asked_at = NULL, request_id = %(request_id)s
FROM (SELECT id, status AS was FROM jobs WHERE id = %(job_id)s FOR UPDATE) before
WHERE jobs.id = before.id AND was NOT IN ('PENDING', 'STARTED', 'CANCELING')
RETURNING before.was, jobs.delay, jobs.id AS job_id, jobs.run, jobs.name, jobs.job_type_key, jobs.project_id,
          jobs.deployment_id, jobs.workflow_run_id, jobs.request_id, 'job-' || jobs.id AS workflow_id
"""
_STATE = "SELECT run, status FROM jobs WHERE id = %(job_id)s"


async def ask_to_run(
    db: Connection,
    job_id: int,
    stages: Callable[[str, int], list[StageSnapshot]],
    *,
    again: bool,
    request_id: str | None = None,
) -> RunStart | None:
    """Ask for the next run of a job; returns what starting it takes, null for one that is under way.

    `again` (retry) says so in the log. The stages start over, also those of the run before: `stages` gives those of a
    job type with a delay of that many seconds. Raises JobNotFound, and what `stages` raises.
    """
    row = await one(db, _ASK_TO_RUN, {"job_id": job_id, "request_id": request_id})
    if row is None:
        await _unchanged(db, job_id)
        return None
    was, seconds = Status(row.pop("was")), row.pop("delay")
    asked = RunStart(**row)
    new_stages = stages(asked.job_type_key, seconds)
    if asked.run > 1:
        await stage_rows.seed(db, job_id, new_stages)
    if again:
        line = Line(lines.running_again(job_id, asked.name, was))
        await log_rows.append(db, job_id, asked.run, [line], request_id=request_id)
    await db.execute(_NOTIFY, {"job_id": job_id})
    return asked


_ASK_TO_CANCEL = """
UPDATE jobs SET status = CASE WHEN was = 'STARTED' THEN 'CANCELING' ELSE 'REVOKED' END,
                finished_at = CASE WHEN was = 'STARTED' THEN NULL ELSE now() END,
                paused_at = NULL, pause_asked_at = NULL, asked_at = now(), updated_at = now()
FROM (SELECT id, status AS was FROM jobs WHERE id = %(job_id)s FOR UPDATE) before
WHERE jobs.id = before.id AND was IN ('CREATED', 'PENDING', 'STARTED')
RETURNING jobs.run, jobs.name, jobs.status, before.was,
          coalesce(jobs.workflow_id, 'job-' || jobs.id) AS workflow_id, jobs.workflow_run_id
"""


async def ask_to_cancel(db: Connection, job_id: int, *, request_id: str | None = None) -> RequestOutcome:
    """Ask for the end of a job's run.

    A run that no worker has claimed is over at once: the claim will find it so. A job that is over stays as it
    ended.
    """
    row = await one(db, _ASK_TO_CANCEL, {"job_id": job_id})
    if row is None:
        return await _unchanged(db, job_id)
    status = Status(row["status"])
    line = Line(lines.changing_status(job_id, status))
    await log_rows.append(db, job_id, row["run"], [line], request_id=request_id)
    await db.execute(_NOTIFY, {"job_id": job_id})
    told = None if row["was"] == Status.CREATED else _workflow(row)
    return RequestOutcome(row["run"], told, True, status)


# a run that no worker has claimed needs no word: the claim will find it so
_ASK_TO_PAUSE = """
UPDATE jobs SET paused_at = CASE WHEN CAST(%(pause)s AS boolean) THEN now() END, updated_at = now(),
                pause_asked_at = CASE WHEN status = 'STARTED' THEN now() END
WHERE id = %(job_id)s AND status IN ('PENDING', 'STARTED') AND (paused_at IS NULL) = CAST(%(pause)s AS boolean)
  AND (CAST(%(run)s AS int) IS NULL OR run = %(run)s)
RETURNING run, status, coalesce(workflow_id, 'job-' || id) AS workflow_id, workflow_run_id, updated_at,
          pg_notify('nightjar_jobs', id || ' ' || status || ' ' || CAST(%(word)s AS text))
"""


async def ask_to_pause(
    db: Connection, job_id: int, *, pause: bool, run: int | None = None, request_id: str | None = None
) -> RequestOutcome:
    """Have a run begin no new work, or go on; one that is over, or so already, is left alone.

    With `run` only that one.
    """
    word = PAUSED if pause else RESUMED
    row = await one(db, _ASK_TO_PAUSE, {"job_id": job_id, "pause": pause, "run": run, "word": word})
    if row is None:
        return await _unchanged(db, job_id)
    line = Line(lines.pausing(job_id) if pause else lines.resuming(job_id))
    await log_rows.append(db, job_id, row["run"], [line], request_id=request_id)
    status = Status(row["status"])
    told = _workflow(row) if status is Status.STARTED else None
    return RequestOutcome(row["run"], told, True, status, row["updated_at"])


async def _unchanged(db: Connection, job_id: int) -> RequestOutcome:
    row = await one(db, _STATE, {"job_id": job_id})
    if row is None:
        raise JobNotFound(job_id)
    return RequestOutcome(row["run"], None, False, Status(row["status"]))


_DELETE = """
DELETE FROM jobs WHERE id = %(job_id)s
RETURNING coalesce(workflow_id, 'job-' || id) AS workflow_id, run, workflow_run_id, status
"""


async def delete(db: Connection, job_id: int) -> Workflow | None:
    """Remove a job with its stages and log; gives the workflow that is to be ended, if any."""
    row = await one(db, _DELETE, {"job_id": job_id})
    if row is None:
        raise JobNotFound(job_id)
    return _workflow(row) if Status(row["status"]).is_active else None


def _workflow(row: Row) -> Workflow:
    return Workflow(row["workflow_id"], row["run"], row["workflow_run_id"])


# what was asked for and has not happened ----------------------------------------------------------------------


@dataclass(frozen=True)
class PendingDelivery:
    """A run that was asked to start, to stop, or to pause or go on some time ago, and has not."""

    status: Status
    """PENDING: to be started; CANCELING: to be stopped; STARTED: to be told of its pause, or its end."""
    launch: RunStart
    asked_at: datetime
    """When the word was given that is to be carried."""


_WAITING = f"""
SELECT status, {RUN_START_COLUMNS}, CASE WHEN status = 'STARTED' THEN pause_asked_at ELSE asked_at END AS word_at
FROM jobs
WHERE (status = 'PENDING' AND launched_at IS NULL AND asked_at < now() - CAST(%(start_after)s AS interval))
   OR (status = 'CANCELING' AND asked_at < now() - CAST(%(stop_after)s AS interval))
   OR (status = 'STARTED' AND pause_asked_at < now() - CAST(%(start_after)s AS interval))
ORDER BY word_at LIMIT %(most)s
"""
_LAUNCHED = """
UPDATE jobs SET launched_at = now() WHERE id = %(job_id)s AND run = %(run)s AND status = 'PENDING'
"""


async def waiting(
    db: Connection, *, start_after: timedelta, stop_after: timedelta, most: int
) -> list[PendingDelivery]:
    """Runs asked to start (or pause), or to stop, longer ago than that; oldest first, at most `most`."""
    values = {"start_after": start_after, "stop_after": stop_after, "most": most}
    return [
        PendingDelivery(Status(row.pop("status")), asked_at=row.pop("word_at"), launch=RunStart(**row))
        for row in await every(db, _WAITING, values)
    ]


async def mark_launched(db: Connection, job_id: int, run: int) -> None:
    """Note that the workflow of a waiting run is known to Temporal."""
    await db.execute(_LAUNCHED, {"job_id": job_id, "run": run})


_PAUSE_TOLD = """
UPDATE jobs SET pause_asked_at = NULL WHERE id = %(job_id)s AND pause_asked_at <= %(asked_at)s
"""


async def mark_pause_told(db: Connection, job_id: int, asked_at: datetime | None) -> None:
    """Note that the workflow was told to look at its row, after a pause or its end was asked for at that time."""
    await db.execute(_PAUSE_TOLD, {"job_id": job_id, "asked_at": asked_at})
