"""How fast jobs are read when there are many: `python -m benchmarks.reading_jobs`."""

import re
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
import psycopg
from psycopg import ClientCursor

from benchmarks.harness import (
    execute,
    field_of,
    milliseconds,
    options,
    run,
    superuser,
    system,
    title,
    verdict,
)
from db.connections import driver_address
from db.job_pages import JOBS
from db.listing import EVERYTHING, Viewer, Wanted

PROJECTS = """
INSERT INTO projects (name, draft) SELECT 'Project ' || n, n %% 10 = 5 FROM generate_series(1, %(projects)s) n
"""
SETS = """
INSERT INTO source_image_collections (name, project_id)
SELECT 'Set of ' || name, id FROM projects
"""
ADD_JOBS = """
INSERT INTO jobs (name, project_id, source_image_collection_id, job_type_key, status, run, created_at, updated_at,
                  asked_at, launched_at, started_at, finished_at, workflow_id)
SELECT 'Populate ' || n, c.project_id, c.id, 'populate_captures_collection', s.status,
       CASE WHEN s.status = 'CREATED' THEN 0 ELSE 1 END, t.at, t.at, t.at, t.at,
       CASE WHEN s.status <> 'CREATED' THEN t.at + INTERVAL '1 s' END,
       CASE WHEN s.status IN ('SUCCESS', 'FAILURE', 'REVOKED') THEN t.at + INTERVAL '9 s' END,
       CASE WHEN s.status <> 'CREATED' THEN 'job-' || n END
FROM generate_series(1, %(jobs)s) n
CROSS JOIN LATERAL (SELECT now() - (%(jobs)s - n) * INTERVAL '30 s' AS at) t
CROSS JOIN LATERAL (SELECT (ARRAY['SUCCESS', 'SUCCESS', 'SUCCESS', 'SUCCESS', 'SUCCESS', 'SUCCESS', 'FAILURE',
                                  'REVOKED', 'CREATED', 'STARTED'])[n %% 10 + 1] AS status) s
JOIN source_image_collections c ON c.id = (SELECT min(id) FROM source_image_collections) + n %% %(projects)s
ORDER BY n
"""
STAGES = """
INSERT INTO job_stages (job_id, key, position, name, status, progress, params)
SELECT id, 'populate_captures_collection', 0, 'Populate captures collection', status, 1,
       '[{"name": "Captures added", "key": "captures_added", "value": 50, "category": "default"}]'
FROM jobs ORDER BY id
"""
LOGS = """
INSERT INTO job_logs (job_id, run, level, message, created_at)
SELECT id, 1, 'INFO', 'Sampling and saving captures to #' || id || ' step ' || n, created_at + n * INTERVAL '1 s'
FROM jobs, generate_series(1, %(lines)s) n ORDER BY id, n
"""
LONG_LOG = """
INSERT INTO job_logs (job_id, run, level, message, created_at)
SELECT max(j.id), 1, 'INFO', 'Sampling and saving captures to #' || max(j.id) || ' step ' || n, now()
FROM jobs j, generate_series(%(lines)s + 1, 1000) n GROUP BY n ORDER BY n
"""


async def measure(jobs: int, projects: int, requests: int, *, explain: bool) -> None:
    with system() as running:
        values = {"jobs": jobs, "projects": projects, "lines": 10}
        execute(running.database_url, PROJECTS, SETS, ADD_JOBS, STAGES, LOGS, LONG_LOG, values=values)
        execute(running.database_url, "VACUUM ANALYZE", "CHECKPOINT")
        print(f"{jobs:,} jobs in {projects} projects")
        newest, project = _ids(running.database_url)
        async with field_of(running) as made:
            person = await superuser(made)
        for name, headers in (("superuser", person.headers), ("anonymous", {})):
            async with httpx2.AsyncClient(base_url=running.address, headers=headers, timeout=60) as http:
                await _one_reader(http, name, newest, project, jobs, requests)
        if explain:
            _explain(running.database_url, newest, project, person.id)


async def _one_reader(
    http: httpx2.AsyncClient, name: str, newest: int, project: int, jobs: int, requests: int
) -> None:
    at = "/api/v2/jobs/"
    addresses = {
        "GET /livez": "/livez",
        "GET /jobs/": at,
        "GET /jobs/ of a project": f"{at}?project_id={project}&limit=20",
        "GET /jobs/ deep": f"{at}?offset={jobs // 2}",
        "GET /jobs/{id}/, 10 lines": f"{at}{newest - 1}/",
        "GET /jobs/{id}/, 1,000 lines": f"{at}{newest}/",
    }
    times: dict[str, list[float]] = {what: [] for what in addresses}
    for number in range(requests + 20):
        for what, address in addresses.items():
            began = time.perf_counter()
            response = await http.get(address)
            passed = time.perf_counter() - began
            if response.status_code != 200:
                raise RuntimeError(f"{address}: {response.status_code} {response.text}")
            if number >= 20:  # those before warm up
                times[what].append(passed)
    title(f"{name}: {requests} requests each, in turn")
    for what, passed_times in times.items():
        print(f"{what:30} {milliseconds(passed_times)}")
    for what in ("GET /jobs/", "GET /jobs/ of a project"):
        verdict(f"{what} p50", statistics.median(times[what]) * 1000, 15, unit=" ms")
    long_log = "GET /jobs/{id}/, 1,000 lines"
    verdict(f"{long_log} p50", statistics.median(times[long_log]) * 1000, 10, unit=" ms")


def _ids(url: str) -> tuple[int, int]:
    """The newest job, which has the long log, and a project that everybody may see."""
    with psycopg.connect(driver_address(url)) as connection:
        row = connection.execute(
            "SELECT (SELECT max(id) FROM jobs), (SELECT min(id) FROM projects WHERE NOT draft)"
        ).fetchone()
        assert row is not None
        return row[0], row[1]


def _explain(url: str, job_id: int, project_id: int, user_id: int) -> None:
    """What PostgreSQL does for each query."""
    zone = "UTC"
    everything, one_project = EVERYTHING, Wanted(project_id)
    for name, viewer in (
        ("superuser", Viewer(user_id, True, zone)),
        ("anonymous", Viewer(None, False, zone)),
    ):
        queries = {
            "count": JOBS.counting(viewer, everything),
            "count of a project": JOBS.counting(viewer, one_project),
            "page": JOBS.paging(viewer, everything, limit=20, offset=0),
            "page of a project": JOBS.paging(viewer, one_project, limit=20, offset=0),
            "deep page": JOBS.paging(viewer, everything, limit=20, offset=50_000),
            "detail": JOBS.detailing(viewer, job_id, everything, logs_limit=1000),
        }
        for what, (statement, values) in queries.items():
            title(f"{name}: {what}")
            print("\n".join(plan(url, statement, values)))


def plan(url: str, statement: str, values: Mapping[str, Any]) -> Sequence[str]:
    """The nodes that were executed, with their times and buffers, then the times of the whole."""
    with psycopg.connect(driver_address(url), cursor_factory=ClientCursor) as connection:
        rows = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", values).fetchall()
    lines = [str(row[0]) for row in rows]
    return [line for line in lines if re.search(r"\(actual|Time:|^\s+Buffers: shared", line)]


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--projects", type=int, default=20)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--explain", action="store_true", help="print the plans of the queries")
    given = parser.parse_args()
    run(measure(given.jobs, given.projects, given.requests, explain=given.explain))


if __name__ == "__main__":
    main()
