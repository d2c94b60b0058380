"""What filling a large capture set costs beside the bare SQL statement in psql: `python -m benchmarks.populate`."""

import json
import os
import secrets
import statistics
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import ClientCursor
from sqlalchemy import make_url

from benchmarks.harness import (
    Client,
    Summary,
    System,
    client_of,
    execute,
    field_of,
    forget_peak,
    memory,
    options,
    run,
    system,
    title,
    verdict,
)
from db.connections import driver_address
from db.sampling_rows import REPLACE, SAMPLERS
from embedded.postgres import binaries
from monitoring import sampling
from tests.field import Field

CAPTURES_A_NIGHT = 500

METHODS: Mapping[str, tuple[str, dict[str, Any], float | None]] = {
    "full": ("full", {}, 1.0),
    "interval 10 min": ("interval", {"minute_interval": 10}, 0.5),
    "per session 10": ("last_and_random_from_each_event", {"num_each": 10}, 0.3),
    "random 10,000": ("random", {"size": 10_000}, None),
}
"""Sampling method, its arguments, and the most seconds that a run may take with 100,000 captures."""

SESSIONS = """
INSERT INTO events (project_id, deployment_id, group_by, start)
SELECT %(project)s, d.id, (DATE '2020-01-01' + night)::text, DATE '2020-01-01' + night + TIME '20:00'
FROM deployments d, generate_series(0, %(nights)s - 1) night WHERE d.project_id = %(project)s
"""
CAPTURES = """
INSERT INTO source_images (project_id, deployment_id, event_id, path, timestamp, size, width, height)
SELECT e.project_id, e.deployment_id, e.id, e.group_by || '/' || n || '.jpg', e.start + n * INTERVAL '60 s',
       500000 + n, 4096, 2160
FROM events e, generate_series(0, %(night)s - 1) n WHERE e.project_id = %(project)s
ORDER BY e.start, e.deployment_id, n
"""
EMPTY = "DELETE FROM source_image_collection_images WHERE collection_id = %(set)s"
# a set emptied a moment ago is not what a statement finds in life; a checkpoint makes both sides write the same
TIDY = ("VACUUM ANALYZE source_image_collection_images", "CHECKPOINT")


@dataclass
class Times:
    """Seconds of one method, on an empty set or on a full one."""

    runs: list[float] = field(default_factory=list)
    """From started_at to finished_at."""
    requests: list[float] = field(default_factory=list)
    """From POST to SUCCESS."""
    bare: list[float] = field(default_factory=list)
    """The statement in psql."""


async def measure(captures: int, stations: int, rounds: int) -> None:
    with system() as running:
        async with client_of(running) as client, field_of(running) as made:
            project_id = await _plant(running, made, captures, stations)
            await _warm_up(client, made)
            idle = memory(running.worker.pid)
            forget_peak(running.worker.pid)
            for name, (method, arguments, most) in METHODS.items():
                set_id = await made.capture_set(project_id, method, arguments, name)
                await _one_method(running, client, name, (project_id, set_id), rounds, captures, most)
            peak = memory(running.worker.pid, "VmHWM")
            title("memory of the worker")
            print(f"idle {idle:.0f} MB, peak during all runs {peak:.0f} MB")
            verdict("growth", peak - idle, 20, unit=" MB")


async def _plant(running: System, made: Field, captures: int, stations: int) -> int:
    project_id = await made.project("Large")
    for number in range(stations):
        await made.station(project_id, f"Station {number + 1}")
    nights = -(-captures // (stations * CAPTURES_A_NIGHT))
    values = {"project": project_id, "nights": nights, "night": CAPTURES_A_NIGHT}
    execute(running.database_url, SESSIONS, CAPTURES, values=values)
    execute(running.database_url, "VACUUM ANALYZE")
    print(f"{stations * nights * CAPTURES_A_NIGHT:,} captures in {stations * nights:,} sessions")
    return project_id


async def _warm_up(client: Client, made: Field) -> None:
    """Let the worker's connections plan every method, for a small project as it happens."""
    small_project, _ = await made.small_set()
    for method, arguments, _ in METHODS.values():
        small = await made.capture_set(small_project, method, arguments)
        for _ in range(15):
            await client.populate(small_project, small)


async def _one_method(
    running: System,
    client: Client,
    name: str,
    place: tuple[int, int],
    rounds: int,
    captures: int,
    most: float | None,
) -> None:
    project_id, set_id = place
    first, again = Times(), Times()
    for number in range(rounds):
        sides = ["job", "bare"] if number % 2 == 0 else ["bare", "job"]
        for side in sides:
            execute(running.database_url, EMPTY, values={"set": set_id})
            for times in (first, again):
                execute(running.database_url, *TIDY)
                if side == "job":
                    timed = await client.populate(project_id, set_id)
                    times.requests.append(timed.success)
                    times.runs.append(duration(running.database_url, timed.job_id))
                else:
                    statement = bare_statement(running.database_url, project_id, set_id)
                    times.bare.append(in_psql(running.database_url, statement))
    title(f"{name}: {members(running.database_url, set_id):,} taken, {rounds} rounds")
    for what, times in (("first", first), ("again", again)):
        ratios = [job / bare for job, bare in zip(times.runs, times.bare, strict=True)]
        more = statistics.median(job - bare for job, bare in zip(times.runs, times.bare, strict=True))
        print(
            f"{what}: run {Summary.of(times.runs).text(3, ' s')}, POST to SUCCESS"
            f" {statistics.median(times.requests):.3f} s, psql {Summary.of(times.bare).text(3, ' s')},"
            f" run / psql {Summary.of(ratios).text()}, run - psql {more * 1000:.0f} ms"
        )
        verdict(f"run / psql, {what}", statistics.median(ratios), 1.2)
        if most is not None and captures == 100_000:
            verdict(f"run, {what}", statistics.median(times.runs), most, unit=" s")


def bare_statement(url: str, project_id: int, set_id: int) -> str:
    """What the job's activity executes, with its values written in; each time with another lot, as in a job."""
    with psycopg.connect(driver_address(url)) as connection:
        row = connection.execute(
            "SELECT method, kwargs FROM source_image_collections WHERE id = %s", (set_id,)
        ).fetchone()
        assert row is not None
        method, arguments = row
        sample, values = SAMPLERS[method](sampling.sampler(method, arguments))
        values |= {"collection_id": set_id, "project_id": project_id, "seed": secrets.randbits(62)}
        return ClientCursor(connection).mogrify(REPLACE.replace("{sample}", sample), values)


def in_psql(url: str, statement: str) -> float:
    """Seconds that a statement takes in psql, by psql's own clock."""
    address = make_url(url)
    command = [str(binaries() / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
    command += ["-h", str(address.host), "-p", str(address.port), "-U", str(address.username)]
    done = subprocess.run(
        [*command, "-d", str(address.database)],
        input=f"\\timing on\n{statement};\n",
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PGPASSWORD": str(address.password)},
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("Time:"))
    return float(line.split()[1]) / 1000


def duration(url: str, job_id: int) -> float:
    """Seconds from started_at to finished_at of a job."""
    return float(
        _value(url, "SELECT extract(epoch FROM finished_at - started_at) FROM jobs WHERE id = %s", job_id)
    )


def members(url: str, set_id: int) -> int:
    """How many captures are in a set."""
    counting = "SELECT count(*) FROM source_image_collection_images WHERE collection_id = %s"
    return int(_value(url, counting, set_id))


def _value(url: str, statement: str, number: int) -> Any:
    with psycopg.connect(driver_address(url)) as connection:
        row = connection.execute(statement, (number,)).fetchone()
        assert row is not None
        return row[0]


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--captures", type=int, default=100_000)
    parser.add_argument("--stations", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print(json.dumps(vars(given)))
    run(measure(given.captures, given.stations, given.rounds))


if __name__ == "__main__":
    main()
