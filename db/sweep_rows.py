"""Every query by which the sweep looks after runs. None commits."""

from datetime import timedelta

from db.connections import Connection, every
from db.job_rows import RUN_START_COLUMNS, PendingDelivery, RunStart
from jobs.status import Status

SETTLED = timedelta(seconds=10)
"""What was asked for, or was heard of, more lately than that is left to those whose work it is."""

_UNDER_WAY = f"""
SELECT status, asked_at AS word_at, {RUN_START_COLUMNS} FROM jobs
WHERE status IN ('PENDING', 'STARTED', 'CANCELING') AND id > %(after)s
  AND greatest(asked_at, started_at) < now() - CAST(%(settled)s AS interval)
  AND NOT EXISTS (
      SELECT FROM job_stages g
      WHERE g.job_id = jobs.id AND g.updated_at > now() - CAST(%(settled)s AS interval)
  )
ORDER BY id LIMIT %(most)s
"""
_TAKE_OVER = """
UPDATE jobs SET workflow_run_id = %(workflow_run_id)s
WHERE id = %(job_id)s AND run = %(run)s AND status = 'STARTED' AND workflow_run_id <> %(workflow_run_id)s
"""


async def under_way(db: Connection, *, after: int, most: int) -> list[PendingDelivery]:
    """Runs that ought to be under way and of which nothing was heard lately, by the ids of their jobs."""
    values = {"after": after, "most": most, "settled": SETTLED}
    return [
        PendingDelivery(Status(row.pop("status")), asked_at=row.pop("word_at"), launch=RunStart(**row))
        for row in await every(db, _UNDER_WAY, values)
    ]


async def take_over(db: Connection, job_id: int, run: int, workflow_run_id: str) -> None:
    """Note that another execution does the work of a run: the one that claimed it was reset away."""
    values = {"job_id": job_id, "run": run, "workflow_run_id": workflow_run_id}
    await db.execute(_TAKE_OVER, values)
