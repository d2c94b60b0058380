"""Every query by which a workflow claims and closes a run of a job. None commits.

The state of a run is guarded in the statements themselves, so that the database settles every race.
"""

from dataclasses import dataclass

from db import job_rows, log_rows, stage_rows
from db.connections import Connection, Row, one
from db.log_rows import Line
from jobs import lines
from jobs.errors import InvalidField, JobNotFound, RunRefused
from jobs.job_type import JobType
from jobs.runs import INPUTS, ClaimedRun, Closing, JobRequest
from jobs.stages import StageSnapshot
from jobs.status import Status

_INPUTS = ", ".join(f'"{name}"' for name in INPUTS)
_CLAIM_COLUMNS = f"""id, run, name, status, job_type_key, project_id, {_INPUTS}, workflow_id, workflow_run_id,
    request_id, paused_at IS NOT NULL AS paused"""


_LOCK = f"SELECT {_CLAIM_COLUMNS} FROM jobs WHERE id = %(job_id)s FOR UPDATE"
# what an execution that was reset away had claimed belongs to the one that takes its place
_BY_EXECUTION = """
SELECT id FROM jobs
WHERE workflow_run_id = %(workflow_run_id)s OR (workflow_id = %(workflow_id)s AND status IN ('STARTED', 'CANCELING'))
ORDER BY workflow_run_id = %(workflow_run_id)s DESC LIMIT 1
"""
_CLAIM = f"""
WITH claimed AS (
    UPDATE jobs SET status = 'STARTED', run = %(run)s, started_at = now(), finished_at = NULL, updated_at = now(),
                    paused_at = CASE WHEN status = 'PENDING' THEN paused_at END,
                    workflow_id = %(workflow_id)s, workflow_run_id = %(workflow_run_id)s
    WHERE id = %(job_id)s
), cleared AS ({stage_rows.CLEAR}), seeded AS ({stage_rows.SEED}), said AS ({log_rows.APPEND})
SELECT pg_notify('nightjar_jobs', CAST(%(job_id)s AS text) || ' STARTED')
"""
_CLAIM_ASKED = f"""
WITH claimed AS (
    UPDATE jobs SET status = 'STARTED', started_at = now(), finished_at = NULL, updated_at = now(),
                    workflow_id = %(workflow_id)s, workflow_run_id = %(workflow_run_id)s
    WHERE id = %(job_id)s AND run = %(run)s AND status = 'PENDING' AND job_type_key = %(job_type_key)s AND delay = 0
    RETURNING {_CLAIM_COLUMNS}
), cleared AS ({stage_rows.clearing("claimed")}
), seeded AS ({stage_rows.seeding("claimed")}
), said AS ({log_rows.appending("claimed")})
SELECT claimed.*, pg_notify('nightjar_jobs', claimed.id || ' STARTED') FROM claimed
"""
_TAKE_OVER = "UPDATE jobs SET workflow_run_id = %(workflow_run_id)s WHERE id = %(job_id)s"


@dataclass(frozen=True)
class Execution:
    """The workflow execution that claims a run: Temporal's two ids."""

    workflow_id: str
    workflow_run_id: str


async def claim_asked(
    db: Connection, job_type: JobType, request: JobRequest, execution: Execution
) -> ClaimedRun | None:
    """What `claim` does, in one statement, for what is usual: a run that was asked for and waits, without a delay.

    Gives None, and has changed nothing, if it is anything else.
    """
    if request.job_id is None or request.run is None:
        return None
    job_id = request.job_id
    said = [lines.running(job_id, log_rows.JOB_NAME), lines.changing_status(job_id, Status.STARTED)]
    values = {
        "job_id": job_id,
        "run": request.run,
        "job_type_key": job_type.key,
        "stages": stage_rows.seeds(job_type.snapshots(0)),
        **vars(execution),
        **log_rows.columns([Line(line) for line in said]),
    }
    row = await one(db, _CLAIM_ASKED, values)
    return None if row is None else _claimed(row, request.run)


async def claim(db: Connection, job_type: JobType, request: JobRequest, execution: Execution) -> ClaimedRun:
    """Take a run for a workflow execution: its row becomes STARTED and its stages start over.

    The same execution may claim again (its first answer was lost) and gets the same. A program's request
    without `job_id` makes the job. Raises JobNotFound, InvalidField, or RunRefused if the run is not to be had:
    cancelled before it began, superseded, or the job runs already.
    """
    job_id = request.job_id
    if job_id is None:
        made = await one(db, _BY_EXECUTION, vars(execution))
        job_id = None if made is None else made["id"]
    if job_id is None:
        job_id = await _insert_requested(db, job_type, request)
    row = await one(db, _LOCK, {"job_id": job_id})
    if row is None:
        raise JobNotFound(job_id)
    if row["job_type_key"] != job_type.key:
        raise RunRefused(job_id, f"its type is {row['job_type_key']}, not {job_type.key}")
    mine = {"job_id": job_id, "workflow_run_id": execution.workflow_run_id}
    if row["status"] == Status.STARTED and row["workflow_run_id"] == execution.workflow_run_id:
        return _claimed(row, row["run"])
    if row["status"] == Status.STARTED and row["workflow_id"] == execution.workflow_id:
        # one execution of a workflow id is open at a time: the one that claimed before has been reset away
        await db.execute(_TAKE_OVER, mine)
        return _claimed(row, row["run"])
    run = _next_run(job_id, row, request, execution)
    stages = job_type.snapshots(row["delay"])
    said = [lines.running(job_id, row["name"]), lines.changing_status(job_id, Status.STARTED)]
    values = {
        **mine,
        "run": run,
        "workflow_id": execution.workflow_id,
        "stages": stage_rows.seeds(stages),
        # that of a run which nobody asked for over HTTP is none, or another's
        "request_id": row["request_id"] if request.run is not None else None,
    }
    await db.execute(_CLAIM, values | log_rows.columns([Line(line) for line in said]))
    return _claimed(row, run)


def _next_run(job_id: int, row: Row, request: JobRequest, execution: Execution) -> int:
    run: int = row["run"]
    if request.run is None:
        if row["workflow_run_id"] == execution.workflow_run_id:
            raise RunRefused(job_id, f"run {run} is {row['status']} already")
        if Status(row["status"]).is_active:
            raise RunRefused(job_id, f"run {run} is {row['status']}")
        return run + 1
    if request.run != run:
        raise RunRefused(job_id, f"run {request.run} is over, run {run} is {row['status']}")
    if row["status"] != Status.PENDING:
        raise RunRefused(job_id, f"run {run} is {row['status']}")
    return run


async def _insert_requested(db: Connection, job_type: JobType, request: JobRequest) -> int:
    """The job that a program's request describes; the same checks as over REST."""
    if request.project_id is None:
        raise InvalidField("project_id", "needed where no job_id is given")
    values = {name: getattr(request, name) for name in job_rows.EDITABLE if name != "job_type_key"}
    values["job_type_key"] = job_type.key
    values["name"] = request.name or job_type.name
    field = await job_rows.missing_reference(db, values)
    if field is not None:
        raise InvalidField(field, f"no such row: {values[field]}")
    return (await job_rows.insert(db, values, [])).job_id


def _claimed(row: Row, run: int) -> ClaimedRun:
    return ClaimedRun(
        job_id=row["id"],
        run=run,
        name=row["name"],
        project_id=row["project_id"],
        paused=row["paused"],
        **{name: row[name] for name in INPUTS},
    )


_LOCK_STATE = "SELECT run, status, name FROM jobs WHERE id = %(job_id)s FOR UPDATE"
_CLOSE = f"""
WITH closed AS (
    UPDATE jobs SET status = %(status)s, finished_at = now(), updated_at = now(),
                    paused_at = NULL, pause_asked_at = NULL
    WHERE id = %(job_id)s
), ended AS (
    UPDATE job_stages SET status = %(status)s, updated_at = now() WHERE job_id = %(job_id)s AND status = 'STARTED'
), said AS ({log_rows.APPEND})
SELECT pg_notify('nightjar_jobs', CAST(%(job_id)s AS text) || ' ' || CAST(%(status)s AS text))
"""


async def close(
    db: Connection, closing: Closing, *, unclaimed: bool = False, remark: str | None = None
) -> Status:
    """End a run, and the stage that was under way with it; gives the status that the run has in the end.

    With `unclaimed` also one that no worker has claimed. A `remark` is said of a run that is revoked.

    A run that was asked to stop ends REVOKED, whatever its last stage gave. A run that is over stays as it
    ended. Raises RunRefused if there is no such run any more (the job was deleted, or started again).
    """
    job_id, run = closing.job_id, closing.run
    row = await one(db, _LOCK_STATE, {"job_id": job_id})
    if row is None or row["run"] != run:
        raise RunRefused(job_id, f"run {run} is gone")
    open_states = (Status.STARTED, Status.CANCELING, *((Status.PENDING,) if unclaimed else ()))
    if row["status"] not in open_states:
        return Status(row["status"])
    status = Status.REVOKED if row["status"] == Status.CANCELING else closing.status
    said = [Line(lines.changing_status(job_id, status))]
    if status is Status.FAILURE:
        said.insert(0, Line(lines.failed(job_id, row["name"], closing.reason or "unknown reason"), "ERROR"))
    elif status is Status.SUCCESS:
        said.append(Line(lines.finished(job_id, row["name"], status)))
    elif remark is not None:
        said.insert(0, Line(remark, "WARNING"))
    values = {"job_id": job_id, "run": run, "status": status, "request_id": None}
    await db.execute(_CLOSE, values | log_rows.columns(said))
    return status


_SUCCEED = f"""
WITH succeeded AS (
    UPDATE jobs SET status = 'SUCCESS', finished_at = now(), updated_at = now(), paused_at = NULL, pause_asked_at = NULL
    WHERE id = %(job_id)s AND run = %(run)s AND status = 'STARTED'
    RETURNING id, run, name, CAST(NULL AS text) AS request_id
), ended AS (
    UPDATE job_stages SET status = 'SUCCESS', updated_at = now()
    FROM succeeded WHERE job_id = succeeded.id AND status = 'STARTED'
), said AS ({log_rows.appending("succeeded")})
SELECT pg_notify('nightjar_jobs', succeeded.id || ' SUCCESS'), (
    SELECT jsonb_agg(jsonb_build_object(
        'key', t.key, 'name', t.name, 'progress', t.progress, 'params', t.params,
        'status', CASE t.status WHEN 'STARTED' THEN 'SUCCESS' ELSE t.status END
    ) ORDER BY t.position, t.key)
    FROM job_stages t WHERE t.job_id = succeeded.id
) AS stages
FROM succeeded
"""


async def succeed(db: Connection, closing: Closing) -> list[StageSnapshot] | None:
    """What `close` does, in one statement, for what is usual: a run that ends in SUCCESS; gives its stages.

    Gives None, and has changed nothing, if it is anything else. One statement sees the stages as they are when it
    begins: that will do here alone, since the stages of a run that succeeds have ended before.
    """
    if closing.status is not Status.SUCCESS:
        return None
    job_id = closing.job_id
    said = [
        lines.changing_status(job_id, Status.SUCCESS),
        lines.finished(job_id, log_rows.JOB_NAME, Status.SUCCESS),
    ]
    values = {"job_id": job_id, "run": closing.run, **log_rows.columns([Line(line) for line in said])}
    row = await one(db, _SUCCEED, values)
    return None if row is None else [stage_rows.snapshot(stage) for stage in row["stages"] or []]


_PAUSED = """
SELECT paused_at IS NOT NULL AS paused FROM jobs
WHERE id = %(job_id)s AND run = %(run)s AND status IN ('STARTED', 'CANCELING')
"""


async def is_paused(db: Connection, job_id: int, run: int) -> bool:
    """Whether the run is to begin no new work; one that is over is not paused."""
    row = await one(db, _PAUSED, {"job_id": job_id, "run": run})
    return row is not None and bool(row["paused"])
