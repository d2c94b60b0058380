"""Every query on the stages of jobs. None commits: whoever opened the transaction decides that."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson

from db import log_rows
from db.connections import Connection, every, one
from jobs.errors import RunEnded
from jobs.stages import Param, StageSnapshot
from jobs.status import Status


def seeding(jobs: str) -> str:
    """A statement that gives each of `jobs` (a FROM item with `id`) stages as if nothing had happened in them yet.

    `:stages` is what `seeds` makes.
    """
    return f"""
    INSERT INTO job_stages (job_id, position, key, name, params)
    SELECT job.id, stage.position, stage.key, stage.name, stage.params
    FROM {jobs} job,
         jsonb_to_recordset(CAST(%(stages)s AS jsonb)) AS stage (position int, key text, name text, params jsonb)
    ON CONFLICT (job_id, key) DO UPDATE
    SET position = excluded.position, name = excluded.name, params = excluded.params,
        status = 'CREATED', progress = 0, cursor = NULL, updated_at = now()
    """


SEED = seeding("(SELECT CAST(%(job_id)s AS bigint) AS id)")


def clearing(jobs: str) -> str:
    """A statement that removes the stages which are not among `stages`, such as a delay that a job has no more."""
    return f"""
    DELETE FROM job_stages s USING {jobs} job WHERE s.job_id = job.id AND s.key NOT IN (
        SELECT stage.key FROM jsonb_to_recordset(CAST(%(stages)s AS jsonb)) AS stage (key text)
    )
    """


CLEAR = clearing("(SELECT CAST(%(job_id)s AS bigint) AS id)")


def seeds(stages: Sequence[StageSnapshot]) -> str:
    """The stages, in order, as the JSON that `seeding` takes."""
    return orjson.dumps(
        [
            {"position": position, "key": stage.key, "name": stage.name, "params": _params(stage)}
            for position, stage in enumerate(stages)
        ]
    ).decode()


def joined(job: str) -> str:
    """A join that gives the stages of a job, in order, as `of_job.stages`, and when the newest was touched."""
    return f"""
    LEFT JOIN LATERAL (
        SELECT max(g.updated_at) AS updated_at, jsonb_agg(jsonb_build_object(
            'key', g.key, 'name', g.name, 'status', g.status, 'progress', g.progress, 'params', g.params
        ) ORDER BY g.position, g.key) AS stages
        FROM job_stages g WHERE g.job_id = {job}
    ) of_job ON true
    """


async def seed(db: Connection, job_id: int, stages: Sequence[StageSnapshot]) -> None:
    """Give the job these stages and no others, in this order, as if nothing had happened in them yet."""
    await db.execute(f"WITH cleared AS ({CLEAR}) {SEED}", {"job_id": job_id, "stages": seeds(stages)})


_ALL = """
SELECT key, name, status, progress, params FROM job_stages WHERE job_id = %(job_id)s ORDER BY position, key
"""


async def get_all(db: Connection, job_id: int) -> list[StageSnapshot]:
    """The stages of a job, in order."""
    return [snapshot(row) for row in await every(db, _ALL, {"job_id": job_id})]


_ONE = """
SELECT key, name, status, progress, params, cursor FROM job_stages WHERE job_id = %(job_id)s AND key = %(key)s
"""


async def get(db: Connection, job_id: int, key: str) -> tuple[StageSnapshot, dict[str, Any] | None] | None:
    """One stage, and the cursor that the newest committed effect left; None if the job has no such stage."""
    row = await one(db, _ONE, {"job_id": job_id, "key": key})
    return None if row is None else (snapshot(row), row["cursor"])


# FOR SHARE makes closing the run and reporting for it wait for each other: whatever commits after the run was
# closed finds it closed
_REPORT = """
WITH live AS (
    SELECT id FROM jobs WHERE id = %(job_id)s AND run = %(run)s AND status = 'STARTED' FOR SHARE
), stage AS (
    UPDATE job_stages s
    SET status = %(status)s, progress = %(progress)s, params = CAST(%(params)s AS jsonb),
        cursor = COALESCE(CAST(%(cursor)s AS jsonb), s.cursor), updated_at = clock_timestamp()
    FROM live
    WHERE s.job_id = live.id AND s.key = %(key)s AND s.status IN ('CREATED', 'STARTED')
), lines AS (
    INSERT INTO job_logs (job_id, run, level, message, created_at)
    SELECT live.id, %(run)s, line.level, line.message, line.at
    FROM live, unnest(CAST(%(levels)s AS text[]), CAST(%(messages)s AS text[]), CAST(%(times)s AS timestamptz[]))
               WITH ORDINALITY AS line (level, message, at, n)
    ORDER BY line.n
)
SELECT pg_notify('nightjar_jobs', live.id || ' STARTED') FROM live
"""


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
    if await one(db, _REPORT, values) is None:
        raise RunEnded(job_id, run)


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
