"""What PostgreSQL says of a job that is to be explained: the row, its stages, its log, who came before."""

from db.connections import Connection, one
from db.job_rows import Workflow
from jobs.explaining import JobFacts, StageFacts
from jobs.status import Status

# who waits out a delay or is paused takes nobody's place
_FACTS = """
SELECT j.status, j.run, j.created_at, j.asked_at, j.started_at, j.finished_at, j.delay, j.job_type_key,
       j.workflow_run_id, coalesce(j.workflow_id, 'job-' || j.id) AS workflow_id,
       NULL::timestamptz AS paused_at, clock_timestamp() AS now,
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
_ASKED_BEFORE = """
SELECT count(*) AS n FROM jobs o
WHERE o.status NOT IN ('SUCCESS', 'FAILURE', 'REVOKED') AND o.status IN ('PENDING', 'STARTED')
  AND o.id <> %(job_id)s
  AND coalesce(o.asked_at, o.created_at) < %(asked_at)s
  AND NOT EXISTS (SELECT 1 FROM job_stages g WHERE g.job_id = o.id AND g.key = 'delay' AND g.status = 'STARTED')
"""
