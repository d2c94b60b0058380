"""No statement of a job compares each row with each row, whatever statistics know of what the job fills.

Statistics come late: a station that is just being synced, or a set that is just being filled, may count as empty.
A plan that is made then must still do for a hundred thousand rows.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from db import grouping_rows, measuring_rows, sampling_rows, session_rows, syncing_rows
from db.connections import Connection, Database, driver_address, value
from monitoring import sampling
from tests.plans import nodes, plan, quadratic

NEW = 50
"""The station of which statistics know nothing."""
NIGHTS = 20
CAPTURES = 20_000
TABLES = (
    "source_images",
    "events",
    "detections",
    "occurrences",
    "sync_sightings",
    "source_image_collection_images",
)
FILL = f"""
INSERT INTO events (project_id, deployment_id, group_by, start)
SELECT 1, d, n::text, timestamp '2024-01-01' + n * interval '1 day'
FROM generate_series(%(low)s, %(high)s) AS d, generate_series(0, {NIGHTS - 1}) AS n;
INSERT INTO source_images (deployment_id, project_id, event_id, path, timestamp, width, height)
SELECT e.deployment_id, 1, e.id, 'demo/' || lpad((1000 * e.group_by::int + n)::text, 8, '0') || '.jpg',
       e.start + n * interval '1 min', %(width)s, %(width)s
FROM events e, generate_series(1, {CAPTURES // NIGHTS}) AS n
WHERE e.deployment_id BETWEEN %(low)s AND %(high)s;
INSERT INTO occurrences (project_id, deployment_id, event_id)
SELECT 1, e.deployment_id, e.id FROM events e, generate_series(1, 100)
WHERE e.deployment_id BETWEEN %(low)s AND %(high)s;
INSERT INTO detections (source_image_id, occurrence_id, bbox)
SELECT i.id, o.id, '[1, 2, 3, 4]'
FROM (SELECT id, deployment_id, row_number() OVER (PARTITION BY deployment_id) %% 2000 AS n FROM source_images) i
JOIN (SELECT id, deployment_id, row_number() OVER (PARTITION BY deployment_id) %% 2000 AS n FROM occurrences) o
  ON o.deployment_id = i.deployment_id AND o.n = i.n
WHERE i.deployment_id BETWEEN %(low)s AND %(high)s;
INSERT INTO source_image_collection_images
SELECT deployment_id, id FROM source_images WHERE deployment_id BETWEEN %(low)s AND %(high)s;
INSERT INTO sync_sightings (job_id, capture_ids)
SELECT 1, array_agg(id) FROM source_images WHERE deployment_id BETWEEN %(low)s AND %(high)s GROUP BY event_id;
"""
STATISTICS = (
    "none",
    "those of empty tables",
    "those of vacuumed empty tables",
    "those of another station",
    "those of many stations",
    "those of what was there before",
)


def prepare(database_url: str, statistics: str) -> None:
    """A station, and a set, of which statistics know what is said, with all that belongs to them."""
    with psycopg.connect(
        driver_address(database_url), autocommit=True, cursor_factory=psycopg.ClientCursor
    ) as db:
        db.execute("INSERT INTO projects (name) VALUES ('Moths')")
        db.execute(f"INSERT INTO deployments (name, project_id) SELECT n, 1 FROM generate_series(1, {NEW}) n")
        db.execute(
            "INSERT INTO source_image_collections (name, project_id, method, kwargs)"
            f" SELECT n, 1, 'full', '{{}}' FROM generate_series(1, {NEW}) n"
        )
        db.execute("INSERT INTO jobs (id, name, project_id, job_type_key) VALUES (1, 'Sync', 1, 'sync')")
        before = {
            "those of another station": (1, 1),
            "those of many stations": (2, 4),
            "those of what was there before": (1, 1),
        }.get(statistics)
        if before is not None:
            db.execute(FILL, {"low": before[0], "high": before[1], "width": 100})
        if statistics != "none":
            kind = "VACUUM ANALYZE" if "vacuumed" in statistics or "before" in statistics else "ANALYZE"
            for table in TABLES:
                db.execute(f"{kind} {table}")
        if "before" in statistics:
            for table in TABLES:
                db.execute(f"DELETE FROM {table}")
        db.execute(FILL, {"low": NEW, "high": NEW, "width": None})


def replacing(method: str, **kwargs: Any) -> tuple[str, dict[str, Any]]:
    """The statement that fills the new set by a method."""
    sample, values = sampling_rows.SAMPLERS[method](sampling.sampler(method, kwargs))
    statement = sampling_rows.REPLACE.replace("{sample}", sample)
    return statement, {**values, "collection_id": NEW, "project_id": 1, "seed": 1}


def statements() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Those that join what the job itself has written, or has read into the statement."""
    station = {"station_id": NEW, "job_id": 1, "folder": "demo/", "most": 10, "after": 0}
    nights = [datetime(2024, 1, 1) + timedelta(days=n) for n in range(NIGHTS)]  # noqa: DTZ001
    objects = syncing_rows.array([f"demo/{number:08}.jpg" for number in range(1000)])
    columns = {"paths": objects, "sizes": None, "times": None, "checksums": None}
    yield "compare", syncing_rows._COMPARE, {**station, **columns}
    yield "missing", syncing_rows._MISSING, station
    yield "assign", grouping_rows._ASSIGN, {**station, "starts": nights}
    yield "grouped", grouping_rows._GROUPED, {**station, "starts": nights}
    yield "realign", grouping_rows._REALIGN, station
    yield "remove empty", grouping_rows._REMOVE_EMPTY, station
    yield "needed", grouping_rows._NEEDED, station
    yield "sized", measuring_rows._KNOWN, station
    yield "unsized", measuring_rows._UNKNOWN, station
    sizes = {"widths": [1] * NIGHTS, "heights": [1] * NIGHTS}
    yield "spread", measuring_rows._SPREAD, {"sessions": list(range(1, NIGHTS + 1)), **sizes}
    yield "refresh", session_rows._REFRESH, {"ids": list(range(1, NIGHTS + 1))}
    yield "fill in full", *replacing("full")
    yield "fill at random", *replacing("random", size=100)
    yield "fill at intervals", *replacing("interval", minute_interval=10)
    yield "fill by hand", *replacing("manual", image_ids=list(range(1000)))
    yield "fill from each session", *replacing("random_from_each_event", num_each=2)
    yield "fill with the last", *replacing("last_and_random_from_each_event", num_each=2)
    yield "fill with the greatest", *replacing("greatest_file_size_from_each_event", num_each=2)
    yield "fill with detections", *replacing("detections_only")
    yield "fill combined", *replacing("common_combined", minute_interval=10)


@pytest.mark.parametrize("statistics", STATISTICS)
def test_nothing_is_compared_row_by_row_whatever_statistics_say(database_url: str, statistics: str) -> None:
    prepare(database_url, statistics)

    plans = {name: plan(database_url, statement, values) for name, statement, values in statements()}

    assert {name: quadratic(found) for name, found in plans.items() if quadratic(found)} == {}


def test_a_loop_over_everything_would_be_seen(database_url: str) -> None:
    """The statement as it once was: what was no longer chosen was looked for in all that was."""
    prepare(database_url, "those of another station")

    looped = plan(
        database_url,
        """WITH chosen AS MATERIALIZED (SELECT id FROM source_images WHERE project_id = 1)
        DELETE FROM source_image_collection_images m WHERE m.collection_id = %(set_id)s
        AND NOT EXISTS (SELECT 1 FROM chosen WHERE chosen.id = m.source_image_id)""",
        {"set_id": NEW},
    )

    assert [node["Join Type"] for node in quadratic(looped)] == ["Anti"]


async def fill(db: Connection, method: str, **kwargs: Any) -> int:
    return await sampling_rows.replace(db, 1, 1, method, sampling.sampler(method, kwargs), 1)


@pytest.mark.parametrize("others", [0, 300_000], ids=["of an empty table", "of another set"])
async def test_a_large_set_is_filled_again_while_statistics_do_not_know_it(
    database: Database, database_url: str, others: int
) -> None:
    with psycopg.connect(driver_address(database_url), autocommit=True) as db:
        db.execute("INSERT INTO projects (name) VALUES ('Moths')")
        db.execute(
            "INSERT INTO source_image_collections (name, project_id, method, kwargs) VALUES ('Set', 1, 'full', '{}')"
        )
        db.execute(
            "INSERT INTO source_images (project_id, path) SELECT 1, n::text FROM generate_series(1, 100000) n"
        )
        db.execute(
            "INSERT INTO source_image_collection_images SELECT 2, n FROM generate_series(1, %s::int) n",
            (others,),
        )
        db.execute("ANALYZE source_images, source_image_collection_images")
        # what autoanalyze would find out does not come to help
        db.execute("ALTER TABLE source_image_collection_images SET (autovacuum_enabled = off)")

    # each row against each would take minutes: then it is given up
    async with database.transaction() as db:
        await db.execute("SET LOCAL statement_timeout = '60s'")
        totals = [
            await fill(db, "full"),
            await fill(db, "full"),
            await fill(db, "random", size=40_000),
            await fill(db, "full"),
        ]
        members = await value(
            db, "SELECT count(*) FROM source_image_collection_images WHERE collection_id = 1", {}
        )
    found = plan(database_url, *_of_first_set(replacing("full")))

    assert totals == [100_000, 100_000, 40_000, 100_000]
    assert members == 100_000
    assert {node["Join Type"] for node in nodes(found) if "Join Type" in node} == {"Full"}
    assert quadratic(found) == []


def _of_first_set(filling: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    statement, values = filling
    return statement, {**values, "collection_id": 1}
