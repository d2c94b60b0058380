"""Every list at full size against an empty route, and how PostgreSQL reads it: `python -m benchmarks.reading_lists`."""

import statistics
import time

import httpx2
import psycopg

from api.capture_sets import routes as capture_sets
from api.captures import routes as captures
from api.exports import routes as exports
from api.jobs import routes as jobs
from api.pipelines import routes as pipelines
from api.projects import routes as projects
from api.sessions import routes as sessions
from api.stations import routes as stations
from benchmarks.harness import (
    execute,
    field_of,
    milliseconds,
    options,
    quantile,
    run,
    superuser,
    system,
    title,
)
from benchmarks.reading_jobs import plan
from db.connections import driver_address
from db.listing import EVERYTHING, Viewer, Wanted

PLACES = """
INSERT INTO projects (name, draft) SELECT 'Project ' || n, n %% 10 = 5 FROM generate_series(1, 50) n;
"""
STATIONS = """
INSERT INTO deployments (name, project_id, latitude, longitude)
SELECT 'Station ' || n, (SELECT min(id) FROM projects) + n %% 5, 45, -73 FROM generate_series(1, %(stations)s) n
"""
SESSIONS = """
INSERT INTO events (project_id, deployment_id, group_by, start, "end")
SELECT d.project_id, d.id, (DATE '2020-01-01' + night)::text, DATE '2020-01-01' + night + TIME '20:00',
       DATE '2020-01-02' + night + TIME '04:00'
FROM deployments d, generate_series(0, 9) night ORDER BY night, d.id
"""
CAPTURES = """
INSERT INTO source_images (project_id, deployment_id, event_id, path, timestamp, size, width, height)
SELECT e.project_id, e.deployment_id, e.id, e.group_by || '/' || n || '.jpg', e.start + n * INTERVAL '60 s',
       500000 + n, 4096, 2160
FROM events e, generate_series(1, %(captures)s / (SELECT count(*) FROM events)) n ORDER BY e.start, e.deployment_id, n
"""
COUNTS = """
UPDATE deployments d SET captures_count = c.n, events_count = 10
FROM (SELECT deployment_id, count(*) AS n FROM source_images GROUP BY 1) c WHERE c.deployment_id = d.id
"""
SESSION_COUNTS = """
UPDATE events e SET captures_count = c.n
FROM (SELECT event_id, count(*) AS n FROM source_images GROUP BY 1) c WHERE c.event_id = e.id
"""
SETS = """
INSERT INTO source_image_collections (name, project_id, method, images_count)
SELECT 'All Images', p.id, 'full', (SELECT count(*) FROM source_images i WHERE i.project_id = p.id) FROM projects p
"""
MEMBERS = """
INSERT INTO source_image_collection_images (collection_id, source_image_id)
SELECT c.id, i.id FROM source_image_collections c JOIN source_images i ON i.project_id = c.project_id
"""
JOBS = """
INSERT INTO jobs (name, project_id, source_image_collection_id, job_type_key, status, run, created_at, updated_at,
                  started_at, finished_at)
SELECT 'Populate ' || n, c.project_id, c.id, 'populate_captures_collection',
       (ARRAY['SUCCESS', 'SUCCESS', 'SUCCESS', 'FAILURE', 'REVOKED'])[1 + n %% 5], 1,
       now() - n * interval '1 minute', now() - n * interval '1 minute', now() - n * interval '1 minute',
       now() - n * interval '1 minute' + interval '1 second'
FROM generate_series(1, %(jobs)s) n
JOIN LATERAL (SELECT id, project_id FROM source_image_collections ORDER BY id OFFSET n %% 50 LIMIT 1) c ON true
"""
STAGES = """
INSERT INTO job_stages (job_id, key, position, name, status, progress)
SELECT id, job_type_key, 0, 'Populate captures collection', status, 1 FROM jobs
"""


async def measure(n_jobs: int, n_captures: int, stations: int, requests: int, *, explain: bool) -> None:
    with system() as running:
        values = {"jobs": n_jobs, "captures": n_captures, "stations": stations}
        statements = (
            PLACES,
            STATIONS,
            SESSIONS,
            CAPTURES,
            COUNTS,
            SESSION_COUNTS,
            SETS,
            MEMBERS,
            JOBS,
            STAGES,
        )
        execute(running.database_url, *statements, values=values)
        execute(running.database_url, "VACUUM ANALYZE", "CHECKPOINT")
        print(f"{n_jobs:,} jobs, {n_captures:,} captures, {stations:,} stations, 10 sessions each")
        with psycopg.connect(driver_address(running.database_url)) as connection:
            found = connection.execute(
                """SELECT (SELECT min(id) FROM projects WHERE NOT draft), (SELECT min(id) FROM deployments),
                   (SELECT min(id) FROM events), (SELECT min(id) FROM source_image_collections)"""
            ).fetchone()
        assert found is not None
        async with field_of(running) as made:
            person = await superuser(made)
        async with httpx2.AsyncClient(base_url=running.address, headers=person.headers, timeout=60) as http:
            await _every_list(http, found, requests)
        if explain:
            _explain(running.database_url, found[0], person.id)


async def _every_list(http: httpx2.AsyncClient, ids: tuple[int, int, int, int], requests: int) -> None:
    project, station, session, capture_set = ids
    of_project = f"project_id={project}&limit=20"
    addresses = {
        "an empty route": "/livez",
        "jobs": "jobs/?limit=20",
        "jobs of a project": f"jobs/?{of_project}&ordering=-created_at",
        "jobs by name": f"jobs/?{of_project}&ordering=name",
        "jobs failed": "jobs/?status=FAILURE&limit=20",
        "jobs searched": f"jobs/?{of_project}&search=populate",
        "jobs for a worker": "jobs/?ids_only=1&incomplete_only=1",
        "captures of a project": f"captures/?{of_project}",
        "captures, newest first": f"captures/?{of_project}&ordering=-timestamp",
        "captures of a session": f"captures/?{of_project}&event={session}",
        "captures of a station": f"captures/?{of_project}&deployment={station}",
        "captures of a set": f"captures/?{of_project}&collections={capture_set}",
        "stations": "deployments/?limit=20",
        "stations of a project": f"deployments/?{of_project}",
        "sessions of a project": f"events/?{of_project}",
        "capture sets": "captures/collections/?limit=20",
        "capture sets of a project": f"captures/collections/?{of_project}",
        "projects": "projects/?limit=40",
        "summary of a project": f"status/summary/?project_id={project}",
        "pipelines": "ml/pipelines/",
    }
    times: dict[str, list[float]] = {what: [] for what in addresses}
    for number in range(requests + 10):
        for what, address in addresses.items():
            began = time.perf_counter()
            response = await http.get(address if address[0] == "/" else f"/api/v2/{address}")
            passed = time.perf_counter() - began
            if response.status_code != 200:
                raise RuntimeError(f"{address}: {response.status_code} {response.text}")
            if number >= 10:  # those before warm up
                times[what].append(passed)
    title(f"{requests} requests each, in turn; p95 as so many times that of an empty route")
    empty = quantile(times["an empty route"], 0.95)
    for what, each in times.items():
        ratio = quantile(each, 0.95) / empty
        print(f"{what:28} {milliseconds(each):36} {ratio:6.1f}   {statistics.median(each) * 1000:.1f}")


def _explain(url: str, project_id: int, user_id: int) -> None:
    """What PostgreSQL does for a page and a count of each list."""
    viewer = Viewer(user_id, True, "UTC")
    nouns = (jobs, capture_sets, sessions, captures, stations, pipelines, exports)
    for resource in (*(each for noun in nouns for each in noun.resources), projects.resources[0]):
        for name, wanted in (("all", EVERYTHING), ("of a project", Wanted(project_id))):
            for what, (statement, values) in {
                "page": resource.listing.paging(viewer, wanted, limit=20, offset=0),
                "count": resource.listing.counting(viewer, wanted),
            }.items():
                title(f"{resource.many}, {name}: {what}")
                print("\n".join(plan(url, statement, values)))


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--captures", type=int, default=1_000_000)
    parser.add_argument("--stations", type=int, default=1_000)
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--explain", action="store_true", help="print the plans of the queries")
    given = parser.parse_args()
    run(measure(given.jobs, given.captures, given.stations, given.requests, explain=given.explain))


if __name__ == "__main__":
    main()
