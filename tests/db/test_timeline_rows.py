"""The query of a session's timeline against the rules in plain Python, on generated captures; its bounds and costs."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db import timeline_rows
from db.connections import Connection, Database
from db.timeline_rows import MOST_INTERVALS
from tests.db import timeline_model
from tests.db.timeline_model import Capture, Interval
from tests.field import Field

EVENING = datetime.fromisoformat("2024-06-01 20:00")
ZONE = "America/Montreal"


def after(seconds: float) -> datetime:
    return EVENING + timedelta(seconds=seconds)


# on the borders of intervals, just beside them, and anywhere; some at the same time
SECONDS = st.one_of(
    st.integers(0, 40).map(lambda number: number * 60.0),
    st.integers(0, 40).map(lambda number: number * 60 + 0.000001),
    st.integers(0, 2400).map(float),
)
CAPTURES = st.lists(
    st.tuples(
        st.one_of(st.none(), SECONDS, SECONDS, SECONDS),
        st.sampled_from([0, 0, 1, 1, 2, 3]),
        st.integers(0, 1),
    ),
    max_size=25,
)


async def build(db: Connection, start: datetime, end: datetime | None, captures: Sequence[Capture]) -> None:
    """Session 1 with the captures, and session 2 with one at the same time."""
    await db.execute("INSERT INTO projects (id, name) VALUES (1, 'Moths')")
    await db.execute("INSERT INTO deployments (id, name, project_id) VALUES (1, 'Station', 1)")
    cursor = db.cursor()
    await cursor.executemany(
        """INSERT INTO events (id, project_id, deployment_id, group_by, start, "end")
        VALUES (%s, 1, 1, %s, %s, %s)""",
        [(1, "1", start, end), (2, "2", start, end)],
    )
    rows: list[tuple[Any, ...]] = [(each.id, 1, str(each.id), each.timestamp) for each in captures]
    await cursor.executemany(
        """INSERT INTO source_images (id, project_id, deployment_id, event_id, path, timestamp)
        VALUES (%s, 1, 1, %s, %s, %s)""",
        [*rows, (2000, 2, "2000", start)],
    )
    await cursor.executemany(
        "INSERT INTO detections (source_image_id, bbox) VALUES (%s, CAST(%s AS jsonb))",
        [
            *(
                (each.id, box)
                for each in captures
                for box in ["[1, 1, 2, 2]"] * each.boxes + [None] * each.marks
            ),
            (2000, "[1, 1, 2, 2]"),
        ],
    )


def interval(row: Any) -> Interval:
    names = ("captures", "detections", "usual", "processed", "first_id", "top_id")
    return Interval(row["from"], row["until"], **{name: row[name] for name in names})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    made=CAPTURES,
    start=st.integers(-10, 60),
    lasts=st.integers(0, 60),
    minutes=st.sampled_from([1, 1, 2, 7, 60, 2**31 - 1]),
)
async def test_the_query_finds_the_intervals_that_the_rules_say(
    database: Database, made: list[tuple[float | None, int, int]], start: int, lasts: int, minutes: int
) -> None:
    # ids against the order of time as often as with it
    captures = [
        Capture(1000 - number, None if seconds is None else after(seconds), boxes, marks)
        for number, (seconds, boxes, marks) in enumerate(made, 1)
    ]
    begins = after(60 * start)
    ends = begins + timedelta(minutes=lasts)

    async with database.transaction() as db, db.transaction(force_rollback=True):
        await build(db, begins, ends, captures)
        rows = await timeline_rows.read(db, 1, minutes, ZONE)

    assert [interval(row) for row in rows] == timeline_model.timeline(begins, ends, captures, minutes)
    boxes = [capture.boxes for capture in captures]
    of_all = {
        **dict(zip(("begins", "ends"), timeline_model.bounds(begins, ends, captures), strict=True)),
        "minutes": minutes,
        "least_minutes": 1,
        "intervals": len(rows),
        "max_detections": max(boxes, default=0),
        "min_detections": min(boxes, default=0),
        "total_detections": sum(boxes),
    }
    assert [{name: row[name] for name in of_all} for row in rows] == [of_all] * len(rows)


async def session(field: Field, start: datetime, end: datetime | None) -> int:
    project_id = await field.project()
    return await field.row(
        "events",
        project_id=project_id,
        deployment_id=await field.station(project_id),
        group_by="1",
        start=start,
        end=end,
    )


async def test_a_long_session_has_no_more_intervals_than_may_be(field: Field, database: Database) -> None:
    days = {
        await session(field, EVENING, EVENING + timedelta(days=lasts)): lasts for lasts in (2, 2.0001, 3650)
    }
    age = await session(field, datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59))  # noqa: DTZ001
    endless = await session(field, EVENING, None)

    async with database.autocommit() as db:
        usual = {each: await timeline_rows.read(db, each, None, ZONE) for each in (*days, age, endless)}
        minutes = {each: await timeline_rows.read(db, each, 1, ZONE) for each in (*days, age)}
        least = {
            each: await timeline_rows.read(db, each, rows[0]["least_minutes"], ZONE)
            for each, rows in usual.items()
        }

    two, little_more, ten_years = days
    assert [usual[each][0]["minutes"] for each in days] == [1, 2, 1825]
    assert [len(usual[each]) for each in days] == [2880, 1441, 2880]
    assert 2000 < len(usual[age]) <= MOST_INTERVALS
    assert 1 < len(usual[endless]) <= MOST_INTERVALS
    assert [rows[-1]["until"] == rows[0]["ends"] for rows in usual.values()] == [True] * 5
    assert [len(rows) for rows in least.values()][:4] == [len(rows) for rows in usual.values()][:4]
    # refused: told how many there would be, and given none
    assert len(minutes[two]) == 2880
    for each, count in ((little_more, 2881), (ten_years, 3650 * 1440)):
        [told] = minutes[each]
        assert (told["intervals"], told["from"], told["first_id"]) == (count, None, None)
        assert told["least_minutes"] == usual[each][0]["minutes"]


async def test_a_session_without_an_end_lasts_until_now_by_the_clock_of_the_zone(
    field: Field, database: Database
) -> None:
    session_id = await session(field, datetime(2024, 6, 1), None)  # noqa: DTZ001

    async with database.autocommit() as db:
        ends = [
            (await timeline_rows.read(db, session_id, None, zone))[0]["ends"] for zone in ("UTC", "Etc/GMT-5")
        ]

    assert timedelta(hours=5) <= ends[1] - ends[0] < timedelta(hours=5, minutes=1)


async def test_a_hundred_thousand_captures_of_a_session_are_read_in_one_go(
    field: Field, database: Database
) -> None:
    session_id = await session(field, EVENING, EVENING + timedelta(hours=24))
    async with database.transaction() as db:
        await db.execute(
            """
            WITH made AS (
                INSERT INTO source_images (project_id, deployment_id, event_id, path, timestamp)
                SELECT e.project_id, e.deployment_id, e.id, n::text, e.start + n * interval '0.8 seconds'
                FROM events e, generate_series(1, 100000) n WHERE e.id = %(id)s RETURNING id
            )
            INSERT INTO detections (source_image_id, bbox)
            SELECT id, CASE WHEN id %% 3 > 0 THEN '[1, 1, 2, 2]'::jsonb END FROM made, generate_series(1, 2)
            WHERE id %% 2 = 0
            """,
            {"id": session_id},
        )

    async with database.autocommit() as db:
        begun = time.monotonic()
        rows = await timeline_rows.read(db, session_id, None, ZONE)
        took = time.monotonic() - begun

    assert (len(rows), sum(row["captures"] for row in rows)) == (1334, 100_000)
    assert sum(row["detections"] for row in rows) == rows[0]["total_detections"] > 60_000
    # some hundred milliseconds; the limit is that of a machine with other work
    assert took < 5
