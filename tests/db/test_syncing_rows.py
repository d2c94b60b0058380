"""Lists as PostgreSQL reads them: nothing in a name of a file changes another."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db import syncing_rows
from db.connections import driver_address
from db.syncing_rows import Columns, array
from storage.places import unfit

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(
    lambda text: unfit(text) is None
)
AWKWARD = [
    "",
    "null",
    "NULL",
    '"',
    "\\",
    '\\"',
    "{}",
    "{,}",
    "a,b",
    " a ",
    "é",
    "\u2028",
    "\x85",
    "'",
    "%s",
    "😴",
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.none() | TEXTS | st.sampled_from(AWKWARD), max_size=20))
def test_texts_arrive_as_they_are(database_url: str, texts: list[str | None]) -> None:
    with psycopg.connect(driver_address(database_url)) as db:
        row = db.execute("SELECT CAST(%s AS text[])", (array(texts),)).fetchone()

    assert row == (texts,)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bigint", [0, -1, 2**62, None]),
        ("timestamp", [datetime(2024, 2, 29, 23, 59, 59), None, datetime(1999, 1, 1, microsecond=1)]),  # noqa: DTZ001
        ("timestamptz", [datetime(2024, 2, 29, tzinfo=UTC) + timedelta(microseconds=1)]),
        ("text", []),
    ],
)
def test_numbers_and_times_do_so_too(database_url: str, kind: str, values: list[Any]) -> None:
    with psycopg.connect(driver_address(database_url)) as db:
        row = db.execute(f"SELECT CAST(%s AS {kind}[])", (array(values),)).fetchone()

    assert row == (values,)


# what statistics may say of the table while a new station is being synced
STATISTICS = {
    "none": (),
    "those of an empty table": ("ANALYZE source_images",),
    "those of other stations": ("SELECT fill_station(1)", "ANALYZE source_images"),
    "those of what was there before": (
        "SELECT fill_station(1)",
        "VACUUM ANALYZE source_images",
        "TRUNCATE source_images CASCADE",
    ),
    "those of many stations": ("SELECT fill_stations(2, 10)", "ANALYZE source_images"),
}


@pytest.mark.parametrize("statements", STATISTICS.values(), ids=STATISTICS.keys())
def test_each_object_is_looked_up_by_its_path_whatever_statistics_say(
    database_url: str, statements: tuple[str, ...]
) -> None:
    with psycopg.connect(driver_address(database_url), autocommit=True) as db:
        db.execute("INSERT INTO projects (name) VALUES ('Moths')")
        db.execute(
            "INSERT INTO deployments (name, project_id) SELECT n::text, 1 FROM generate_series(1, 50) AS n"
        )
        db.execute(
            """CREATE FUNCTION fill_stations(low int, high int) RETURNS void LANGUAGE sql AS
            $$ INSERT INTO source_images (deployment_id, project_id, path, timestamp)
               SELECT d, 1, 'demo/' || lpad(n::text, 8, '0') || '.jpg', timestamp '2024-01-01' + n * interval '1 min'
               FROM generate_series(low, high) AS d, generate_series(1, 20000) AS n $$"""
        )
        db.execute(
            """CREATE FUNCTION fill_station(station int) RETURNS void LANGUAGE sql AS
            $$ SELECT fill_stations(station, station) $$"""
        )
        for statement in (*statements, "SELECT fill_station(50)"):
            db.execute(statement)
        objects = [f"demo/{number:08}.jpg" for number in range(1000, 2000)]
        columns = Columns(objects, [1] * 1000, [datetime(2024, 1, 1, tzinfo=UTC)] * 1000, [None] * 1000)
        values = {"job_id": 1, "station_id": 50, **columns.arrays()}
        plan = psycopg.ClientCursor(db).execute(f"EXPLAIN {syncing_rows._COMPARE}", values).fetchall()

    scans = [line for (line,) in plan if "source_images" in line]
    assert len(scans) == 1
    assert "Index Scan using uq_source_images_deployment_id_path" in scans[0], plan
