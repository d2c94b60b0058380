"""Every query on the stages of jobs. None commits: whoever opened the transaction decides that."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson
from sqlalchemy import text

from db import log_rows
from db.connections import Connection
from jobs.errors import RunEnded
from jobs.stages import Param, StageSnapshot
from jobs.status import Status

_SEED = text("""
INSERT INTO job_stages (job_id, position, key, name, params)
SELECT :job_id, stage.position, stage.key, stage.name, stage.params
FROM jsonb_to_recordset(CAST(:stages AS jsonb)) AS stage (position int, key text, name text, params jsonb)
ON CONFLICT (job_id, key) DO UPDATE
SET position = excluded.position, name = excluded.name, params = excluded.params,
    status = 'CREATED', progress = 0, cursor = NULL, updated_at = now()
""")


async def seed(db: Connection, job_id: int, stages: Sequence[StageSnapshot]) -> None:
    """Give the job these stages, in this order, as if nothing had happened in them yet."""
    if stages:
        rows = [
            {"position": position, "key": stage.key, "name": stage.name, "params": _params(stage)}
            for position, stage in enumerate(stages)
        ]
        await db.execute(_SEED, {"job_id": job_id, "stages": orjson.dumps(rows).decode()})


_ALL = text("""
SELECT key, name, status, progress, params FROM job_stages WHERE job_id = :job_id ORDER BY position, key
""")


async def get_all(db: Connection, job_id: int) -> list[StageSnapshot]:
    """The stages of a job, in order."""
    rows = await db.execute(_ALL, {"job_id": job_id})
    return [snapshot(row) for row in rows.mappings()]


_ONE = text("""
SELECT key, name, status, progress, params, cursor FROM job_stages WHERE job_id = :job_id AND key = :key
""")


async def get(db: Connection, job_id: int, key: str) -> tuple[StageSnapshot, dict[str, Any] | None]:
    """One stage, and the cursor that the newest committed effect left."""
    row = (await db.execute(_ONE, {"job_id": job_id, "key": key})).mappings().one()
    return snapshot(row), row["cursor"]


# FOR SHARE makes closing the run and reporting for it wait for each other: whatever commits after the run was
# closed finds it closed
_REPORT = text("""
WITH live AS (
    SELECT id FROM jobs WHERE id = :job_id AND run = :run AND status = 'STARTED' FOR SHARE
), stage AS (
    UPDATE job_stages s
    SET status = :status, progress = :progress, params = CAST(:params AS jsonb),
        cursor = COALESCE(CAST(:cursor AS jsonb), s.cursor), updated_at = clock_timestamp()
    FROM live
    WHERE s.job_id = live.id AND s.key = :key AND s.status IN ('CREATED', 'STARTED')
), lines AS (
    INSERT INTO job_logs (job_id, run, level, message, created_at)
    SELECT live.id, :run, line.level, line.message, line.at
    FROM live, unnest(CAST(:levels AS text[]), CAST(:messages AS text[]), CAST(:times AS timestamptz[]))
               WITH ORDINALITY AS line (level, message, at, n)
    ORDER BY line.n
)
SELECT pg_notify('nightjar_jobs', live.id::text) FROM live
""")


async def report(
    db: Connection,
    job_id: int,
    run: int,
    stage: StageSnapshot,
    lines: Sequence[log_rows.Line] = (),
    cursor: Mapping[str, Any] | None = None,
) -> None:
    """Write how far a stage is, with new log lines, in one statement.

    Raises RunEnded, and writes nothing, if the run is not (any more) the one being worked on. A stage that has
    ended keeps how it ended.
    """
    values = {
        "job_id": job_id,
        "run": run,
        "key": stage.key,
        "status": stage.status,
        "progress": stage.progress,
        "params": orjson.dumps(_params(stage)).decode(),
        "cursor": None if cursor is None else orjson.dumps(cursor).decode(),
        **log_rows.columns(lines),
    }
    if (await db.execute(_REPORT, values)).first() is None:
        raise RunEnded(job_id, run)


_END = text("""
UPDATE job_stages SET status = :status, updated_at = now() WHERE job_id = :job_id AND status = 'STARTED'
""")


async def end_started(db: Connection, job_id: int, status: Status) -> None:
    """Give a final status to the stage that was under way; stages not reached stay CREATED."""
    await db.execute(_END, {"job_id": job_id, "status": status})


def snapshot(row: Mapping[Any, Any]) -> StageSnapshot:
    """A stage from its row, or from the same columns inside a JSON aggregate."""
    return StageSnapshot(
        key=row["key"],
        name=row["name"],
        status=Status(row["status"]),
        progress=float(row["progress"]),
        params=[Param(**param) for param in row["params"]],
    )


def _params(stage: StageSnapshot) -> list[dict[str, Any]]:
    return [asdict(param) for param in stage.params]
