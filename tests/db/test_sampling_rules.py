"""The queries of the sampling methods against the rules in plain Python, on generated captures."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db import sampling_rows
from db.connections import Connection, Database, every
from monitoring.sampling import sampler
from tests.db import sampling_model
from tests.db.sampling_model import Capture

EVENING = datetime.fromisoformat("2024-06-01 20:00")
STATIONS = (1, 2, 3)
SESSIONS = {10: "ours", 11: "ours", 12: "ours", 13: "theirs", 14: None}
SITES = {1: 100, 2: 100, 3: None}


def minutes_later(number: float) -> datetime:
    return EVENING + timedelta(minutes=number)


@st.composite
def captures_of_a_project(draw: st.DrawFn) -> list[Capture]:
    """Few stations, times and sizes, so that there are ties; ids are in order of the list."""
    times = st.integers(0, 60 * 26).map(lambda number: minutes_later(number * 3))
    count = draw(st.integers(0, 25))
    captures = []
    for number in range(count):
        station = draw(st.sampled_from([None, *STATIONS]))
        session = draw(st.sampled_from([None, *SESSIONS]))
        captures.append(
            Capture(
                id=1000 + number,
                ours=draw(st.integers(0, 9)) > 0,
                station=station,
                site=None if station is None else SITES[station],
                session=session,
                session_ours=session is not None and SESSIONS[session] == "ours",
                timestamp=draw(
                    st.one_of(st.none(), times, st.sampled_from([0, 5, 10, 15]).map(minutes_later))
                ),
                size=draw(st.sampled_from([None, 1, 2, 3])),
                found=draw(st.booleans()),
            )
        )
    return captures


def often_null(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), st.none(), values)


FILTERS = st.fixed_dictionaries(
    {
        "hour_start": often_null(st.integers(-1, 25)),
        "hour_end": often_null(st.integers(-1, 25)),
        "month_start": often_null(st.integers(5, 7)),
        "month_end": often_null(st.integers(5, 7)),
        "date_start": often_null(st.sampled_from(["2024-06-01", "2024-06-02", "2024-06-03"])),
        "date_end": often_null(st.sampled_from(["2024-06-01", "2024-06-02", "2024-06-04"])),
        "deployment_ids": often_null(st.lists(st.sampled_from(STATIONS), max_size=3)),
        "research_site_ids": often_null(st.lists(st.sampled_from([100, 101]), max_size=2)),
        "event_ids": often_null(st.lists(st.sampled_from(list(SESSIONS)), max_size=4)),
    }
)


async def build(db: Connection, captures: Sequence[Capture]) -> None:
    """The captures as rows of project 1, or 2 if they are not ours, and an empty set 1."""
    await db.execute("INSERT INTO projects (id, name) VALUES (1, 'Moths'), (2, 'Bees')")
    await db.execute("INSERT INTO source_image_collections (id, name, project_id) VALUES (1, 'Set', 1)")
    await db.execute("INSERT INTO sites (id, name, project_id) VALUES (100, 'Site', 1)")
    cursor = db.cursor()
    await cursor.executemany(
        "INSERT INTO deployments (id, name, project_id, research_site_id) VALUES (%s, 'Station', 1, %s)",
        list(SITES.items()),
    )
    projects = {"ours": 1, "theirs": 2, None: None}
    await cursor.executemany(
        """INSERT INTO events (id, project_id, deployment_id, group_by, start)
        VALUES (%s, %s, 1, %s, '2024-06-01')""",
        [(session, projects[whose], str(session)) for session, whose in SESSIONS.items()],
    )
    await cursor.executemany(
        """INSERT INTO source_images (id, project_id, deployment_id, event_id, path, timestamp, size)
        VALUES (%s, %s, %s, %s, %s, %s, %s)""",
        [
            (
                each.id,
                1 if each.ours else 2,
                each.station,
                each.session,
                str(each.id),
                each.timestamp,
                each.size,
            )
            for each in captures
        ],
    )
    # on what is not found there is nothing at all, or the mark that there is nothing
    await cursor.executemany(
        "INSERT INTO detections (source_image_id, bbox) VALUES (%s, CAST(%s AS jsonb))",
        [(each.id, "[]" if each.found else None) for each in captures if each.found or each.id % 2],
    )


async def members(db: Connection, set_id: int) -> set[int]:
    statement = "SELECT source_image_id FROM source_image_collection_images WHERE collection_id = %(id)s"
    return {row["source_image_id"] for row in await every(db, statement, {"id": set_id})}


async def sampled(db: Connection, method: str, kwargs: dict[str, Any], seed: int = 1) -> set[int]:
    total = await sampling_rows.replace(db, 1, 1, method, sampler(method, kwargs), seed)
    found = await members(db, 1)
    assert total == len(found)
    return found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    captures=captures_of_a_project(),
    filters=FILTERS,
    gap=st.sampled_from([0, 1, 3, 5, 6, 10.5, 60, -1]),
    number=st.sampled_from([None, 0, 1, 2, 3, 5]),
    excluded=st.lists(st.sampled_from(list(SESSIONS)), max_size=3),
    station=often_null(st.sampled_from(STATIONS)),
    most=st.sampled_from([None, 0, 1, 2, 4, 7, 100]),
    listed=st.lists(st.integers(999, 1030), max_size=12),
    seed=st.integers(-(2**63), 2**63 - 1),
)
async def test_the_queries_choose_what_the_rules_say(
    database: Database,
    captures: list[Capture],
    filters: dict[str, Any],
    gap: float,
    number: int | None,
    excluded: list[int],
    station: int | None,
    most: int | None,
    listed: list[int],
    seed: int,
) -> None:
    limit = {"max_num": most}
    walked = {
        "minute_interval": gap,
        "exclude_events": excluded,
        "deployment_id": station,
        **filters,
    }
    cases: list[tuple[str, dict[str, Any]]] = [
        ("full", {}),
        ("full", filters),
        ("full", {**filters, **limit}),
        ("interval", {**walked, **limit}),
        ("greatest_file_size_from_each_event", {"num_each": number, **limit}),
        ("detections_only", limit),
        ("manual", {"image_ids": listed, **limit}),
        ("interval", {"minute_interval": gap}),
        ("interval", walked),
        ("greatest_file_size_from_each_event", {"num_each": number}),
        ("detections_only", {}),
        ("manual", {"image_ids": list(range(1000, 1030, 3))}),
        ("common_combined", filters),
        ("common_combined", {"minute_interval": gap, "max_num": number}),
        ("common_combined", {"minute_interval": gap, "max_num": number, **filters}),
        ("common_combined", {"max_num": number, "shuffle": False, **filters}),
    ]

    async with database.transaction() as db, db.transaction(force_rollback=True):
        await build(db, captures)
        for method, kwargs in cases:
            if method == "common_combined" and kwargs.get("max_num") is None:
                kwargs = {"shuffle": False, **kwargs}
            expected = getattr(sampling_model, method)(captures, sampler(method, kwargs))
            assert await sampled(db, method, kwargs) == expected, (method, kwargs)
        await check_lots(db, captures, filters, number, seed)
        await check_limits(db, captures, filters, number, most, seed)


async def check_lots(
    db: Connection, captures: list[Capture], filters: dict[str, Any], number: int | None, seed: int
) -> None:
    """What is drawn is of the right kind and number."""
    passing = sampling_model.full(captures, sampler("full", filters))
    for method, name in (("random", "size"), ("common_combined", "max_num")):
        drawn = await sampled(db, method, {name: number, **filters}, seed)
        assert drawn <= passing
        assert len(drawn) == min(len(passing), len(passing) if number is None else number)

    drawn = await sampled(db, "random_from_each_event", {"num_each": number}, seed)
    with_last = await sampled(db, "last_and_random_from_each_event", {"num_each": number}, seed)
    left, left_with_last = set(drawn), set(with_last)
    for session in sampling_model.sessions(captures):
        ids = {capture.id for capture in session}
        most = len(ids) if number is None else number
        assert len(drawn & ids) == min(len(ids), most)
        assert sampling_model.newest(session).id in with_last
        assert len(with_last & ids) == min(len(ids), most + 1)
        left -= ids
        left_with_last -= ids
    assert not left
    assert not left_with_last


async def check_limits(
    db: Connection,
    captures: list[Capture],
    filters: dict[str, Any],
    number: int | None,
    most: int | None,
    seed: int,
) -> None:
    """What is drawn with a limit is some of what is drawn without, from as many sessions as there can be."""
    count = len(captures) if most is None else most
    for method, kwargs in (
        ("random", {"size": number, **filters}),
        ("random_from_each_event", {"num_each": number}),
        ("last_and_random_from_each_event", {"num_each": number}),
    ):
        whole = await sampled(db, method, kwargs, seed)
        limited = await sampled(db, method, {**kwargs, "max_num": most}, seed)
        assert limited <= whole
        assert len(limited) == min(len(whole), count)
        if method == "random":
            continue
        sessions = sampling_model.sessions(captures)
        of_each = [len(limited & {capture.id for capture in session}) for session in sessions]
        there = [len(whole & {capture.id for capture in session}) for session in sessions]
        # no session has a second one while another, that could have one, has none
        assert all(
            one >= other - 1 or one == all_of_it
            for other in of_each
            for one, all_of_it in zip(of_each, there, strict=True)
        )
        if method.startswith("last"):
            lasts = {sampling_model.newest(session).id for session in sessions}
            assert len(limited & lasts) == min(len(lasts), count)
