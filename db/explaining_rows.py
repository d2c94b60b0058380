"""What PostgreSQL says of a job that is to be explained: the row, its stages, its log, who came before."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from db.connections import Connection, Row, one
from db.job_rows import Workflow
from db.notifications import OF_A_WORKER
from db.stage_rows import snapshot
from diagnosis.facts import JobFacts, StageFacts
from jobs.stages import Param
from jobs.status import Status

_FACTS = """
SELECT j.status, j.run, j.created_at, j.asked_at, j.started_at, j.finished_at, j.delay, j.job_type_key,
       j.workflow_run_id, coalesce(j.workflow_id, 'job-' || j.id) AS workflow_id,
       j.paused_at, clock_timestamp() AS now,
       (SELECT jsonb_agg(jsonb_build_object(
            'key', g.key, 'name', g.name, 'status', g.status, 'progress', g.progress, 'params', g.params
        ) ORDER BY g.position, g.key) FROM job_stages g WHERE g.job_id = j.id) AS stages,
       (SELECT array_agg(g.updated_at ORDER BY g.position, g.key) FROM job_stages g WHERE g.job_id = j.id)
            AS stage_times,
       (SELECT l.message FROM job_logs l
        WHERE l.job_id = j.id AND l.run = j.run AND l.level IN ('ERROR', 'CRITICAL')
        ORDER BY l.id DESC LIMIT 1) AS last_error,
       (SELECT l.created_at FROM job_logs l WHERE l.job_id = j.id AND l.run = j.run
        ORDER BY l.id DESC LIMIT 1) AS last_line_at
FROM jobs j WHERE j.id = %(job_id)s
"""
# who waits out a delay, or is paused, is in nobody's way
_OTHERS = """
SELECT count(*) FILTER (WHERE coalesce(o.asked_at, o.started_at) < %(asked_at)s) AS asked_before,
       count(*) FILTER (WHERE o.status = 'STARTED') AS others_under_way,
       (SELECT CASE WHEN bool_and(a.backend_type IS NOT NULL)  -- null is what another role may not see
                    THEN count(*) FILTER (WHERE a.application_name = %(worker)s) END
        FROM pg_stat_activity a WHERE a.datname = current_database()) AS workers_connected
FROM jobs o
WHERE o.status IN ('PENDING', 'STARTED') AND o.id <> %(job_id)s AND o.paused_at IS NULL
  AND NOT EXISTS (SELECT FROM job_stages g WHERE g.job_id = o.id AND g.key = 'delay' AND g.status = 'STARTED')
"""


@dataclass(frozen=True)
class Known:
    """A job as its row has it, and when it was so."""

    now: datetime
    job_type_key: str
    workflow: Workflow
    facts: JobFacts


async def read(db: Connection, job_id: int) -> Known | None:
    """What is known of a job; None if it is not there any more."""
    row = await one(db, _FACTS, {"job_id": job_id})
    if row is None:
        return None
    status, asked_at = Status(row["status"]), row["asked_at"] or row["started_at"]
    others: Row | None = {}
    if status.is_active:
        others = await one(db, _OTHERS, {"job_id": job_id, "asked_at": asked_at, "worker": OF_A_WORKER})
    facts = JobFacts(
        status=status,
        stages=_stages(row),
        **(others or {}),
        **{
            name: row[name]
            for name in (
                "created_at",
                "asked_at",
                "started_at",
                "finished_at",
                "paused_at",
                "delay",
                "last_error",
                "last_line_at",
            )
        },
    )
    workflow = Workflow(row["workflow_id"], row["run"], row["workflow_run_id"])
    return Known(row["now"], row["job_type_key"], workflow, facts)


def _stages(row: Row) -> tuple[StageFacts, ...]:
    found = []
    for stage, updated_at in zip(row["stages"] or [], row["stage_times"] or [], strict=True):
        each = snapshot(stage)
        found.append(
            StageFacts(each.key, each.name, each.status, each.progress, updated_at, _figures(each.params))
        )
    return tuple(found)


def _figures(params: list[Param]) -> dict[str, Any]:
    return {param.name: param.value for param in params}
