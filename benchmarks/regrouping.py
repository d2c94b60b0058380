"""Grouping a station's captures beside a bare statement that only assigns them: `python -m benchmarks.regrouping`."""

import time
from datetime import datetime
from typing import Any

import httpx2
import psycopg

from benchmarks.harness import (
    Summary,
    System,
    execute,
    field_of,
    forget_peak,
    memory,
    options,
    run,
    superuser,
    system,
    title,
    verdict,
)
from db.connections import driver_address
from tests.field import Field
from tests.waiting import job_in

CAPTURES_A_NIGHT = 500
CAPTURES = """
INSERT INTO source_images (project_id, deployment_id, path, timestamp, size)
SELECT %(project)s, %(station)s, night || '/' || n || '.jpg',
       TIMESTAMP '2020-01-01 20:00' + night * INTERVAL '1 day' + n * INTERVAL '60 s', 500000 + n
FROM generate_series(1, %(nights)s) night, generate_series(1, %(each)s) n ORDER BY night, n
"""
# gaps, sessions and membership; no limit of a day, no counts, nothing else that a station needs afterwards
BARE = """
WITH walked AS (
    SELECT timestamp AS at, timestamp - lag(timestamp) OVER (ORDER BY timestamp) AS since
    FROM source_images WHERE deployment_id = %(station)s AND timestamp IS NOT NULL
), bounds AS MATERIALIZED (
    SELECT at AS first, coalesce(lead(at) OVER (ORDER BY at), 'infinity') AS until
    FROM walked WHERE since IS NULL OR since >= INTERVAL '2 hours'
), made AS (
    INSERT INTO events (project_id, deployment_id, group_by, start)
    SELECT %(project)s, %(station)s, to_char(first, 'YYYY-MM-DD'), first FROM bounds RETURNING id, start
)
UPDATE source_images i SET event_id = made.id FROM bounds JOIN made ON made.start = bounds.first
WHERE i.deployment_id = %(station)s AND i.timestamp >= bounds.first AND i.timestamp < bounds.until
"""
TIDY = ("VACUUM ANALYZE source_images", "CHECKPOINT")


async def measure(captures: int, rounds: int, most: float) -> None:
    with system() as running:
        async with field_of(running) as made:
            person = await superuser(made)
            async with httpx2.AsyncClient(
                base_url=f"{running.address}/api/v2", headers=person.headers, timeout=600
            ) as client:
                await _rounds(running, made, client, captures, rounds, most)


async def _rounds(
    running: System, made: Field, client: httpx2.AsyncClient, captures: int, rounds: int, most: float
) -> None:
    title(f"{captures:,} captures of one station, {rounds} rounds")
    project_id = await made.project("Large")
    await regroup(client, await _station(running, made, project_id, 1000))
    idle = memory(running.worker.pid)
    forget_peak(running.worker.pid)
    ratios, jobs, again = [], [], []
    for _ in range(rounds):
        bare_station = await _station(running, made, project_id, captures)
        bare = _bare(running, {"project": project_id, "station": bare_station})
        station = await _station(running, made, project_id, captures)
        jobs.append(await regroup(client, station))
        ratios.append(jobs[-1] / bare)
        execute(running.database_url, *TIDY)
        again.append(await regroup(client, station))
        print(f"bare {bare:.2f} s, job {jobs[-1]:.2f} s, again with nothing new {again[-1]:.2f} s")
    verdict("job / bare", Summary.of(ratios).median, 1.2)
    verdict("job", Summary.of(jobs).median, most, unit=" s")
    print(f"again with nothing new {Summary.of(again).text()} s")
    verdict("growth of the worker", memory(running.worker.pid, "VmHWM") - idle, 20, unit=" MB")


async def _station(running: System, made: Field, project_id: int, captures: int) -> int:
    station_id = await made.station(project_id)
    nights = -(-captures // CAPTURES_A_NIGHT)
    values: dict[str, Any] = {"project": project_id, "station": station_id, "nights": nights}
    execute(running.database_url, CAPTURES, values={**values, "each": CAPTURES_A_NIGHT})
    execute(running.database_url, *TIDY)
    return station_id


def _bare(running: System, values: dict[str, int]) -> float:
    with psycopg.connect(driver_address(running.database_url), autocommit=True) as connection:
        began = time.perf_counter()
        connection.execute(BARE, values)
        return time.perf_counter() - began


async def regroup(client: httpx2.AsyncClient, station_id: int) -> float:
    """Seconds from the start of the run to its end."""
    answer = await client.post(f"/deployments/{station_id}/regroup-sessions/")
    job = await job_in(client, answer.raise_for_status().json()["job_id"], seconds=600)
    if job["status"] != "SUCCESS":
        raise RuntimeError(f"job {job['id']} ended {job['status']}: {job['logs']['stderr']}")
    started, finished = (datetime.fromisoformat(job[name]) for name in ("started_at", "finished_at"))
    return (finished - started).total_seconds()


if __name__ == "__main__":
    parser = options(__doc__)
    parser.add_argument("--captures", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--most", type=float, default=2.0, help="seconds that the job may take")
    given = parser.parse_args()
    run(measure(given.captures, given.rounds, given.most))
