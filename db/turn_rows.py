"""The query by which one stage at a time has its turn to do some work to some thing. It does not commit."""

from db.connections import Connection, one
from db.stage_rows import LIVE

# for this one transaction: who looks after it was got sees what was taken before
_LOCK = """
SELECT pg_advisory_xact_lock(hashtextextended(CAST(%(kind)s AS text) || ' ' || CAST(%(id)s AS text), 0))
"""
# Nothing is released, and nothing expires: a turn is over when the stage or the run is over, or the job is paused. Who
# takes it then also takes the stage from the attempt that had it, which may be about to go on: its next write finds
# that it was superseded, and it asks for its turn again.
_TAKE = f"""
WITH other AS MATERIALIZED (
    SELECT j.id FROM job_stages s JOIN jobs j ON j.id = s.job_id
    WHERE s.turn_kind = %(kind)s AND s.turn_id = %(id)s AND s.status = 'STARTED' AND s.job_id <> %(job_id)s
      AND j.status = 'STARTED' AND j.paused_at IS NULL
    LIMIT 1
), live AS ({LIVE}), mine AS (
    UPDATE job_stages s
    SET turn_kind = CASE WHEN other.id IS NULL THEN %(kind)s END,
        turn_id = CASE WHEN other.id IS NULL THEN %(id)s END,
        waits_for = other.id,
        waited = CASE WHEN other.id IS NULL THEN s.waited ELSE %(attempt)s END
    FROM live LEFT JOIN other ON true
    WHERE s.job_id = live.id AND s.key = %(key)s
), superseded AS (
    UPDATE job_stages s SET turn_kind = NULL, turn_id = NULL, attempt = NULL
    FROM live
    WHERE NOT EXISTS (SELECT FROM other)
      AND s.turn_kind = %(kind)s AND s.turn_id = %(id)s AND s.status = 'STARTED' AND s.job_id <> live.id
)
SELECT id FROM other
"""


async def take(
    db: Connection, job_id: int, run: int, key: str, kind: str, thing_id: int, attempt: int
) -> int | None:
    """Give a stage its turn to do work of a kind to a thing; returns the job that has it, if another has.

    Whoever calls reports on the stage in the same transaction, which is how a run that is over is found out.
    `attempt` is Temporal's number of the attempt that asks.
    """
    await db.execute(_LOCK, {"kind": kind, "id": thing_id})
    values = {"job_id": job_id, "run": run, "key": key, "kind": kind, "id": thing_id, "attempt": attempt}
    row = await one(db, _TAKE, values)
    return None if row is None else int(row["id"])
