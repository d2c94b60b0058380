"""The queries that group captures into sessions: the reference cases of the rules, and generated stations."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db import grouping_rows
from db.connections import Connection, Database, Row, every
from db.grouping_rows import Grouped
from monitoring.grouping import DEFAULT_GAP, gap
from tests.db import grouping_model
from tests.field import Field

EVENING = datetime.fromisoformat("2024-06-01 22:00")
HOUR = timedelta(hours=1)


def burst(begin: datetime, count: int = 6) -> list[datetime]:
    """Captures of half an hour, five minutes apart."""
    return [begin + timedelta(minutes=5 * number) for number in range(count)]


async def regroup(field: Field, station_id: int, by: timedelta = DEFAULT_GAP) -> Grouped:
    async with field.database.transaction() as db:
        await grouping_rows.lock(db, station_id)
        return await grouping_rows.group(db, station_id, by)


async def sessions_of(field: Field, station_id: int) -> list[Row]:
    return await field.read(
        """SELECT e.id, e.group_by, e.start, e."end", e.captures_count, e.project_id FROM events e
        WHERE e.deployment_id = %(id)s ORDER BY e.group_by""",
        id=station_id,
    )


async def dates(field: Field, timestamps: Sequence[datetime | None], by: timedelta) -> list[str]:
    """The dates of the sessions that a new station with such captures comes to."""
    project_id = await field.project()
    station_id = await field.station(project_id)
    await field.captures(project_id, station_id, timestamps)
    await regroup(field, station_id, by)
    return [row["group_by"] for row in await sessions_of(field, station_id)]


@pytest.mark.parametrize(
    ("hours", "expected"), [(2, ["2024-06-01", "2024-06-02"]), (4, ["2024-06-01"])], ids=["2 h", "4 h"]
)
async def test_captures_further_apart_than_the_gap_are_two_sessions(
    field: Field, hours: int, expected: list[str]
) -> None:
    two = burst(EVENING) + burst(EVENING + 3 * HOUR)

    assert await dates(field, two, hours * HOUR) == expected


async def test_the_gap_itself_is_enough(field: Field) -> None:
    next_day = EVENING + 2 * HOUR

    assert len(await dates(field, [EVENING, next_day], 2 * HOUR)) == 2
    assert len(await dates(field, [EVENING, next_day - timedelta(seconds=1)], 2 * HOUR)) == 1


async def test_groups_that_begin_on_one_date_are_one_session(field: Field) -> None:
    two = burst(EVENING - 2 * HOUR) + burst(EVENING)

    assert await dates(field, two, HOUR) == ["2024-06-01"]


async def test_captures_without_a_pause_are_cut_after_a_day(field: Field) -> None:
    three_days = [datetime(2024, 6, 1) + timedelta(minutes=5 * n) for n in range(3 * 24 * 12)]  # noqa: DTZ001

    assert len(await dates(field, three_days, DEFAULT_GAP)) == 3
    # a day to the second is not longer than a day
    assert len(await dates(field, [EVENING, EVENING + 24 * HOUR], 48 * HOUR)) == 1
    assert len(await dates(field, [EVENING, EVENING + 24 * HOUR + timedelta(seconds=1)], 48 * HOUR)) == 2


@pytest.mark.parametrize("seconds", [None, 0, -5])
def test_a_gap_that_makes_no_sense_is_the_default(seconds: int | None) -> None:
    assert gap(seconds) == timedelta(seconds=7200)


async def test_everything_is_counted(field: Field) -> None:
    project_id = await field.project()
    station_id = await field.station(project_id)
    night = burst(EVENING)
    await field.captures(project_id, station_id, [*night, night[0], night[0], night[1], None])
    await field.captures(project_id, station_id, burst(EVENING + 24 * HOUR, 2))
    await field.session(project_id, station_id, "1999-01-01")

    first = await regroup(field, station_id)
    again = await regroup(field, station_id)

    assert first == Grouped(
        captures_grouped=11,
        events_created=2,
        events_touched=2,
        empty_events_deleted=1,
        duplicate_timestamps=2,
        ungrouped_captures=0,
        captures_missing_timestamp=1,
        sessions=2,
    )
    assert (again.events_created, again.events_touched, again.empty_events_deleted) == (0, 2, 0)
    sessions = await sessions_of(field, station_id)
    assert [(row["start"], row["end"], row["captures_count"]) for row in sessions] == [
        (EVENING, night[-1], 9),
        (EVENING + 24 * HOUR, EVENING + 24 * HOUR + timedelta(minutes=5), 2),
    ]
    assert {row["project_id"] for row in sessions} == {project_id}
    station = await field.read(
        "SELECT captures_count, events_count, first_capture_timestamp AS first FROM deployments"
    )
    assert station == [{"captures_count": 12, "events_count": 2, "first": EVENING}]


async def test_a_station_without_captures_has_no_sessions(field: Field) -> None:
    project_id = await field.project()
    station_id = await field.station(project_id)

    assert await regroup(field, station_id) == Grouped(0, 0, 0, 0, 0, 0, 0, 0)


async def test_sessions_keep_their_ids_when_captures_are_added_before_and_after(field: Field) -> None:
    project_id = await field.project()
    station_id = await field.station(project_id)
    await field.captures(project_id, station_id, burst(EVENING))
    await regroup(field, station_id)
    before = {row["group_by"]: row["id"] for row in await sessions_of(field, station_id)}

    await field.captures(
        project_id, station_id, burst(EVENING - HOUR) + burst(EVENING + HOUR) + burst(EVENING + 48 * HOUR)
    )
    grouped = await regroup(field, station_id)

    after = {row["group_by"]: row["id"] for row in await sessions_of(field, station_id)}
    assert after["2024-06-01"] == before["2024-06-01"]
    assert (len(after), grouped.events_created) == (2, 1)


async def test_a_session_loses_its_captures_to_another_and_goes_unless_something_was_seen_in_it(
    field: Field,
) -> None:
    project_id = await field.project()
    station_id = await field.station(project_id)
    first = await field.captures(project_id, station_id, burst(EVENING))
    second = await field.captures(project_id, station_id, burst(EVENING + 3 * HOUR))
    await regroup(field, station_id)
    occurrence_id = await field.row("occurrences", project_id=project_id, deployment_id=station_id)
    # the later detection has the lower id: it is the capture's time that counts
    await field.row("detections", source_image_id=second[0], occurrence_id=occurrence_id)
    await field.row("detections", source_image_id=first[0], occurrence_id=occurrence_id)
    odd_session = await field.session(project_id, station_id, "by hand")
    await field.row("occurrences", project_id=project_id, deployment_id=station_id, event_id=odd_session)

    grouped = await regroup(field, station_id, 4 * HOUR)

    assert (grouped.events_created, grouped.events_touched, grouped.empty_events_deleted) == (0, 2, 1)
    sessions = await sessions_of(field, station_id)
    assert [row["group_by"] for row in sessions] == ["2024-06-01", "by hand"]
    assert sessions[0]["captures_count"] == 12
    found = await field.read("SELECT event_id FROM occurrences WHERE id = %(id)s", id=occurrence_id)
    assert found == [{"event_id": sessions[0]["id"]}]


async def test_captures_come_back_from_the_session_of_another_station(field: Field) -> None:
    project_id = await field.project()
    station_id, other_id = await field.station(project_id), await field.station(project_id)
    theirs = await field.session(project_id, other_id, "2024-06-01")
    undated = await field.captures(project_id, station_id, [None], session_id=theirs)
    await field.captures(project_id, station_id, burst(EVENING), session_id=theirs)

    grouped = await regroup(field, station_id)

    assert (grouped.events_created, grouped.events_touched) == (1, 2)
    kept = await field.read("SELECT id FROM source_images WHERE event_id = %(id)s", id=theirs)
    # what has no time keeps the session that it has
    assert [row["id"] for row in kept] == undated
    counted = await field.read("SELECT captures_count FROM events WHERE id = %(id)s", id=theirs)
    assert counted == [{"captures_count": 1}]


async def test_nothing_that_stays_as_it_is_is_written(field: Field) -> None:
    project_id = await field.project()
    station_id = await field.station(project_id)
    await field.captures(project_id, station_id, burst(EVENING))
    await regroup(field, station_id)
    rows = "SELECT id, xmin::text FROM source_images ORDER BY id"
    before = await field.read(rows)

    await regroup(field, station_id)

    assert await field.read(rows) == before


async def test_two_who_group_one_station_do_so_one_after_the_other(field: Field) -> None:
    project_id = await field.project()
    station_id, other_id = await field.station(project_id), await field.station(project_id)
    async with field.database.transaction() as db:
        await grouping_rows.lock(db, station_id)
        async with field.database.autocommit() as another:
            assert not await grouping_rows.is_free(another, station_id)
            assert await grouping_rows.is_free(another, other_id)
    async with field.database.autocommit() as another:
        assert await grouping_rows.is_free(another, station_id)


# against the model -----------------------------------------------------------------------------------------------

MINUTES = st.one_of(st.integers(0, 60 * 24 * 4), st.integers(0, 60 * 24 * 4 // 30).map(lambda n: n * 30))
TIMESTAMPS = st.lists(
    st.one_of(st.none(), MINUTES.map(lambda number: EVENING + timedelta(minutes=number))), max_size=60
)
GAPS = st.sampled_from(
    [timedelta(seconds=1), 30 * timedelta(minutes=1), HOUR, 2 * HOUR, 12 * HOUR, 72 * HOUR]
)

_CAPTURES = """
INSERT INTO source_images (project_id, deployment_id, path, timestamp)
SELECT %(project_id)s, %(station_id)s, gen_random_uuid()::text, at FROM unnest(%(timestamps)s::timestamp[]) AS at
"""
_SESSIONS = """
SELECT e.group_by AS date, array_agg(DISTINCT i.timestamp ORDER BY i.timestamp) AS times, e.start, e."end",
       e.captures_count, count(*) AS captures
FROM source_images i JOIN events e ON e.id = i.event_id WHERE i.deployment_id = %(station_id)s
GROUP BY e.id
"""


class Undone(Exception):
    """Ends a transaction without a trace."""


@asynccontextmanager
async def undone(database: Database) -> AsyncIterator[Connection]:
    try:
        async with database.transaction() as db:
            yield db
            raise Undone
    except Undone:
        pass


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(before=TIMESTAMPS, added=TIMESTAMPS, first_gap=GAPS, second_gap=GAPS)
async def test_sessions_are_what_the_rules_make_of_the_times(
    field: Field,
    before: list[datetime | None],
    added: list[datetime | None],
    first_gap: timedelta,
    second_gap: timedelta,
) -> None:
    async with undone(field.database) as db:
        project_id = await _only(db, "INSERT INTO projects (name) VALUES ('Moths') RETURNING id", {})
        ours = {"project_id": project_id}
        station = "INSERT INTO deployments (name, project_id) VALUES ('S', %(project_id)s) RETURNING id"
        ours["station_id"] = await _only(db, station, ours)
        timestamps: list[datetime | None] = []
        for more, by in ((before, first_gap), (added, second_gap)):
            timestamps += more
            await db.execute(_CAPTURES, {**ours, "timestamps": more})
            grouped = await grouping_rows.group(db, ours["station_id"], by)
            dated = [at for at in timestamps if at is not None]
            expected = grouping_model.sessions(dated, by)
            rows = {row["date"]: row for row in await every(db, _SESSIONS, ours)}
            assert {date: row["times"] for date, row in rows.items()} == expected
            for row in rows.values():
                assert (row["start"], row["end"]) == (row["times"][0], row["times"][-1])
                assert row["captures_count"] == row["captures"]
            assert grouped.sessions == len(expected)
            assert grouped.captures_grouped == len(dated)
            assert grouped.ungrouped_captures == 0
            assert grouped.captures_missing_timestamp == len(timestamps) - len(dated)
            assert grouped.duplicate_timestamps == len({at for at in dated if dated.count(at) > 1})


async def _only(db: Connection, statement: str, values: dict[str, int]) -> int:
    return int((await every(db, statement, values))[0]["id"])
