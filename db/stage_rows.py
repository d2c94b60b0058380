"""Every query on the stages of jobs. None commits: whoever opened the transaction decides that."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from db import log_rows
from db.connections import Connection, every, one
from jobs.errors import AttemptSuperseded, RunEnded
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
        status = 'CREATED', progress = 0, cursor = NULL, attempt = NULL, turn_kind = NULL, turn_id = NULL,
        waits_for = NULL, waited = 0, updated_at = now()
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


# FOR SHARE makes closing the run and working for it wait for each other: whatever commits after the run was closed
# finds it closed
LIVE = """
    SELECT id, paused_at IS NOT NULL AS paused FROM jobs
    WHERE id = %(job_id)s AND run = %(run)s AND status = 'STARTED' FOR SHARE
"""
_BEGIN = f"""
WITH live AS ({LIVE}), begun AS (
    UPDATE job_stages s
    SET attempt = %(attempt)s, updated_at = clock_timestamp(),
        status = CASE WHEN s.status = 'CREATED' AND NOT live.paused THEN 'STARTED' ELSE s.status END
    FROM live WHERE s.job_id = live.id AND s.key = %(key)s
    RETURNING s.key, s.name, s.status, s.progress, s.params, s.cursor, s.waits_for, s.waited, live.paused
)
SELECT begun.*, pg_notify('nightjar_jobs', CAST(%(job_id)s AS text) || ' STARTED') FROM begun
"""


@dataclass(frozen=True)
class Begun:
    """A stage as an attempt finds it."""

    stage: StageSnapshot
    cursor: dict[str, Any] | None
    """What the newest committed effect left."""
    waits_for: int | None
    """The job whose turn it was when the attempt before this one looked, if it was not this one's."""
    waited: int
    """Temporal's number of the newest attempt that only waited for its turn; 0 if none did."""
    paused: bool
    """True if nothing is to be begun now."""


async def begin(db: Connection, job_id: int, run: int, key: str, attempt: str) -> Begun:
    """Take a stage for an attempt: from now on no other attempt can write for it.

    Raises RunEnded if the run is not (any more) the one being worked on.
    """
    row = await one(db, _BEGIN, {"job_id": job_id, "run": run, "key": key, "attempt": attempt})
    if row is None:
        raise RunEnded(job_id, run)
    return Begun(snapshot(row), row["cursor"], row["waits_for"], row["waited"], row["paused"])


_STANDING = """
SELECT j.paused_at IS NOT NULL AS paused, s.attempt FROM jobs j JOIN job_stages s ON s.job_id = j.id
WHERE j.id = %(job_id)s AND j.run = %(run)s AND j.status = 'STARTED' AND s.key = %(key)s
"""


async def standing(db: Connection, job_id: int, run: int, key: str, attempt: str) -> bool:
    """Whether the run is paused; raises RunEnded or AttemptSuperseded if the attempt may work no more."""
    row = await one(db, _STANDING, {"job_id": job_id, "run": run, "key": key})
    if row is None:
        raise RunEnded(job_id, run)
    if row["attempt"] != attempt:
        raise AttemptSuperseded(job_id, key)
    return bool(row["paused"])


# the stage's row is locked as it is by now: of two attempts the one that began first finds that it is no longer the one
_REPORT = f"""
WITH live AS ({LIVE}), held AS (
    SELECT s.job_id, s.key FROM job_stages s, live
    WHERE s.job_id = live.id AND s.key = %(key)s
      AND (CAST(%(attempt)s AS text) IS NULL OR s.attempt = %(attempt)s)
    FOR UPDATE OF s
), stage AS (
    UPDATE job_stages s
    SET status = %(status)s, progress = %(progress)s, params = CAST(%(params)s AS jsonb),
        cursor = COALESCE(CAST(%(cursor)s AS jsonb), s.cursor), updated_at = clock_timestamp()
    FROM held
    WHERE s.job_id = held.job_id AND s.key = held.key AND s.status IN ('CREATED', 'STARTED')
), lines AS (
    INSERT INTO job_logs (job_id, run, level, message, created_at)
    SELECT held.job_id, %(run)s, line.level, line.message, line.at
    FROM held, unnest(CAST(%(levels)s AS text[]), CAST(%(messages)s AS text[]), CAST(%(times)s AS timestamptz[]))
               WITH ORDINALITY AS line (level, message, at, n)
    ORDER BY line.n
)
SELECT live.paused, (SELECT count(*) FROM held) AS held, pg_notify('nightjar_jobs', live.id || ' STARTED') FROM live
"""


async def report(
    db: Connection,
    job_id: int,
    run: int,
    stage: StageSnapshot,
    lines: Sequence[log_rows.Line] = (),
    cursor: Mapping[str, Any] | None = None,
    *,
    attempt: str | None = None,
) -> bool:
    """Write how far a stage is, with new log lines, in one statement; gives whether the run is paused.

    Raises, and writes nothing, RunEnded if the run is not (any more) the one being worked on, AttemptSuperseded if
    another attempt has begun since. A stage that has ended keeps how it ended. The workflow itself has no attempt.
    """
    values = {
        "job_id": job_id,
        "run": run,
        "key": stage.key,
        "attempt": attempt,
        "status": stage.status,
        "progress": stage.progress,
        "params": orjson.dumps(_params(stage)).decode(),
        "cursor": None if cursor is None else orjson.dumps(cursor).decode(),
        **log_rows.columns(lines),
    }
    row = await one(db, _REPORT, values)
    if row is None:
        raise RunEnded(job_id, run)
    if attempt is not None and not row["held"]:
        raise AttemptSuperseded(job_id, stage.key)
    return bool(row["paused"])


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
