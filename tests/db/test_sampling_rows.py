"""Which captures each sampling method chooses, and what becomes of the set (domain 2.1 to 2.3)."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from db import capture_set_rows, sampling_rows
from db.connections import Connection, every, value
from monitoring.sampling import sampler
from tests.field import Field


def at(text: str) -> datetime:
    """A wall clock time."""
    return datetime.fromisoformat(text)


EVENING = at("2024-06-01 20:00")


def minutes(*numbers: float) -> list[datetime]:
    """Times that many minutes after 20:00 of the first night."""
    return [EVENING + timedelta(minutes=number) for number in numbers]


async def fill(field: Field, set_id: int, project_id: int, method: str, seed: int, **kwargs: Any) -> int:
    async with field.database.transaction() as db:
        await capture_set_rows.lock(db, set_id)
        return await sampling_rows.replace(db, set_id, project_id, method, sampler(method, kwargs), seed)


async def chosen(field: Field, project_id: int, method: str, seed: int = 1, **kwargs: Any) -> list[int]:
    """What a method puts into a new set of the project, in order of ids."""
    set_id = await field.capture_set(project_id, method, kwargs)
    total = await fill(field, set_id, project_id, method, seed, **kwargs)
    members = await field.members(set_id)
    assert total == len(members)
    return sorted(members)


async def detect(field: Field, capture_id: int, bbox: str | None = "[1, 2, 3, 4]") -> None:
    """A detection on a capture; without a box the mark that nothing was found."""
    async with field.database.transaction() as db:
        await db.execute(
            "INSERT INTO detections (source_image_id, bbox) VALUES (%s, CAST(%s AS jsonb))",
            (capture_id, bbox),
        )


async def site(field: Field, project_id: int) -> int:
    async with field.database.transaction() as db:
        statement = "INSERT INTO sites (name, project_id) VALUES ('Site', %(project_id)s) RETURNING id"
        return int(await value(db, statement, {"project_id": project_id}))


@dataclass(frozen=True)
class Nights:
    """Two stations; the first has two sessions, the second one."""

    project: int
    e1: int
    """A station."""
    e2: int
    """Another."""
    sessions: tuple[int, int, int]
    """First night and next date of e1, the one of e2."""
    minute: dict[int, tuple[str, int]]
    """Station and minute by capture."""

    def of(self, captures: Sequence[int]) -> list[tuple[str, int]]:
        """When and where captures were taken."""
        return sorted(self.minute[capture] for capture in captures)


@pytest.fixture
async def nights(field: Field) -> Nights:
    project = await field.project()
    e1, e2 = await field.station(project, "e1"), await field.station(project, "e2")
    first = await field.session(project, e1, "2024-06-01")
    following = await field.session(project, e1, "2024-06-02")
    other = await field.session(project, e2, "2024-06-01")
    minute: dict[int, tuple[str, int]] = {}
    for name, station, session, numbers in (
        ("e1", e1, first, (0, 4, 9, 10, 14, 19, 20)),
        ("e1", e1, following, (300, 304, 310)),
        ("e2", e2, other, (0, 5, 10)),
    ):
        ids = await field.captures(project, station, minutes(*numbers), session_id=session)
        minute |= {capture: (name, number) for capture, number in zip(ids, numbers, strict=True)}
    return Nights(project, e1, e2, (first, following, other), minute)


E1_BY_TEN = [("e1", 0), ("e1", 10), ("e1", 20), ("e1", 300), ("e1", 310)]


# the reference case -----------------------------------------------------------------------------------------


async def test_an_interval_of_ten_minutes_is_walked_for_each_station_alone(
    field: Field, nights: Nights
) -> None:
    captures = await chosen(field, nights.project, "interval", minute_interval=10)

    assert nights.of(captures) == [*E1_BY_TEN, ("e2", 0), ("e2", 10)]


async def test_the_interval_is_ten_minutes_unless_another_is_given(field: Field, nights: Nights) -> None:
    captures = await chosen(field, nights.project, "interval")

    assert nights.of(captures) == [*E1_BY_TEN, ("e2", 0), ("e2", 10)]


async def test_an_interval_of_nothing_keeps_every_capture(field: Field, nights: Nights) -> None:
    for interval in (0, -5):
        captures = await chosen(field, nights.project, "interval", minute_interval=interval)
        assert captures == sorted(nights.minute)


async def test_sessions_that_are_excluded_are_not_walked(field: Field, nights: Nights) -> None:
    captures = await chosen(
        field, nights.project, "interval", minute_interval=10, exclude_events=[nights.sessions[2]]
    )

    assert nights.of(captures) == E1_BY_TEN


async def test_all_stations_combined_are_walked_as_one(field: Field, nights: Nights) -> None:
    captures = await chosen(field, nights.project, "common_combined", minute_interval=10)

    assert [minute for _, minute in sorted(nights.of(captures), key=lambda taken: taken[1])] == [
        0,
        10,
        20,
        300,
        310,
    ]


async def test_of_captures_at_the_same_minute_a_combined_walk_keeps_the_one_with_the_lower_id(
    field: Field, nights: Nights
) -> None:
    captures = await chosen(field, nights.project, "common_combined", minute_interval=10)

    assert nights.of(captures) == E1_BY_TEN


async def test_a_combined_walk_ends_with_the_greatest_number(field: Field, nights: Nights) -> None:
    captures = await chosen(field, nights.project, "common_combined", minute_interval=10, max_num=2)

    assert nights.of(captures) == [("e1", 0), ("e1", 10)]


async def test_the_last_of_each_session_and_no_other_are_three(field: Field, nights: Nights) -> None:
    captures = await chosen(field, nights.project, "last_and_random_from_each_event", num_each=0)

    assert nights.of(captures) == [("e1", 20), ("e1", 310), ("e2", 10)]


# interval ---------------------------------------------------------------------------------------------------


async def test_an_interval_does_not_begin_anew_with_a_session(field: Field) -> None:
    project = await field.project()
    station = await field.station(project)
    evening = await field.session(project, station, "2024-06-01")
    morning = await field.session(project, station, "2024-06-02")
    first = await field.captures(project, station, minutes(0, 5), session_id=evening)
    later = await field.captures(project, station, minutes(8, 12), session_id=morning)

    captures = await chosen(field, project, "interval", minute_interval=10)

    assert captures == [first[0], later[1]]


async def test_the_distance_is_measured_from_the_last_capture_kept(field: Field) -> None:
    project = await field.project()
    ids = await field.captures(project, await field.station(project), minutes(0, 9, 18, 19, 27, 28))

    captures = await chosen(field, project, "interval", minute_interval=10)

    assert captures == [ids[0], ids[2], ids[5]]


async def test_an_interval_may_be_part_of_a_minute(field: Field) -> None:
    project = await field.project()
    ids = await field.captures(project, await field.station(project), minutes(0, 0.4, 0.5, 0.9, 1.0))

    captures = await chosen(field, project, "interval", minute_interval=0.5)

    assert captures == [ids[0], ids[2], ids[4]]


async def test_an_interval_goes_by_time_and_not_by_id(field: Field) -> None:
    project = await field.project()
    ids = await field.captures(project, await field.station(project), minutes(12, 5, 0, 21))

    captures = await chosen(field, project, "interval", minute_interval=10)

    assert captures == [ids[0], ids[2]]


async def test_of_captures_at_the_same_time_an_interval_keeps_the_lowest_id(field: Field) -> None:
    project = await field.project()
    ids = await field.captures(project, await field.station(project), minutes(10, 0, 0, 10))

    captures = await chosen(field, project, "interval", minute_interval=1)

    assert captures == [ids[0], ids[1]]


async def test_an_interval_leaves_out_captures_without_time_or_station(field: Field) -> None:
    project = await field.project()
    station = await field.station(project)
    [dated, _undated] = await field.captures(project, station, [EVENING, None])
    await field.captures(project, None, [EVENING])

    for interval in (0, 10):
        assert await chosen(field, project, "interval", minute_interval=interval) == [dated]


async def test_an_interval_keeps_captures_without_a_session_when_others_are_excluded(field: Field) -> None:
    project = await field.project()
    station = await field.station(project)
    session = await field.session(project, station, "2024-06-01")
    [loose] = await field.captures(project, station, minutes(30))
    await field.captures(project, station, minutes(0, 60), session_id=session)

    assert await chosen(field, project, "interval", exclude_events=[session]) == [loose]


async def test_an_interval_excludes_nothing_by_an_empty_list(field: Field, nights: Nights) -> None:
    by_list = await chosen(field, nights.project, "interval", exclude_events=[])
    by_null = await chosen(field, nights.project, "interval", exclude_events=None)

    assert len(by_list) == 7
    assert by_null == by_list


async def test_an_interval_may_be_for_one_station(field: Field, nights: Nights) -> None:
    captures = await chosen(field, nights.project, "interval", deployment_id=nights.e2)

    assert nights.of(captures) == [("e2", 0), ("e2", 10)]


async def test_a_list_of_stations_wins_over_a_single_one(field: Field, nights: Nights) -> None:
    one = await chosen(field, nights.project, "interval", deployment_id=nights.e2, deployment_ids=[nights.e1])
    none = await chosen(field, nights.project, "interval", deployment_id=nights.e2, deployment_ids=[])

    assert nights.of(one) == E1_BY_TEN
    assert none == []


async def test_an_interval_begins_with_the_first_capture_that_passes_the_filters(
    field: Field, nights: Nights
) -> None:
    captures = await chosen(field, nights.project, "interval", hour_start=1, hour_end=2)

    assert nights.of(captures) == [("e1", 300), ("e1", 310)]


# filters ----------------------------------------------------------------------------------------------------


async def by_time(field: Field, *times: str | None) -> tuple[int, list[int]]:
    """A project with a station and captures at those times."""
    project = await field.project()
    station = await field.station(project)
    stamps = [None if time is None else at(time) for time in times]
    return project, await field.captures(project, station, stamps)


async def test_full_is_every_capture_of_the_project_and_no_other(field: Field, nights: Nights) -> None:
    elsewhere = await field.project("Bees")
    await field.captures(elsewhere, nights.e1, [EVENING], session_id=nights.sessions[0])
    loose = await field.captures(nights.project, None, [None])

    assert await chosen(field, nights.project, "full") == sorted([*nights.minute, *loose])


HOURS = ["00:00", "01:30", "07:59", "08:00", "15:59", "16:00", "20:15", "23:59"]


async def test_hours_are_whole_and_inclusive_and_wrap_past_midnight(field: Field) -> None:
    project, ids = await by_time(field, *(f"2024-06-01 {hour}" for hour in HOURS), None)
    expected: dict[tuple[int | None, int | None], list[str]] = {
        (8, 15): ["08:00", "15:59"],
        (8, 9): ["08:00"],
        (20, 1): ["00:00", "01:30", "20:15", "23:59"],
        (23, 0): ["00:00", "23:59"],
        (8, 8): HOURS,
        (0, 0): HOURS,
        (0, 23): HOURS,
        (16, None): ["16:00", "20:15", "23:59"],
        (None, 8): ["00:00", "01:30", "07:59", "08:00"],
        (0, None): HOURS,
        (None, 0): ["00:00"],
        (1700, 600): HOURS,
        (600, 1700): [],
        (1700, None): [],
        (None, -1): [],
        (-5, 30): HOURS,
        (2**62, 2**61): HOURS,
    }

    found = {
        (start, end): await chosen(field, project, "full", hour_start=start, hour_end=end)
        for start, end in expected
    }

    assert found == {key: [ids[HOURS.index(hour)] for hour in hours] for key, hours in expected.items()}


async def test_months_are_inclusive_and_do_not_wrap(field: Field) -> None:
    months = [1, 2, 6, 11, 12]
    project, ids = await by_time(field, *(f"2024-{month:02}-15 23:00" for month in months), None)
    expected: dict[tuple[int | None, int | None], list[int]] = {
        (2, 11): [2, 6, 11],
        (6, 6): [6],
        (11, 2): [],
        (11, None): [11, 12],
        (None, 2): [1, 2],
        (1, 12): months,
        (13, 99): [],
    }

    found = {
        (start, end): await chosen(field, project, "full", month_start=start, month_end=end)
        for start, end in expected
    }

    assert found == {key: [ids[months.index(month)] for month in each] for key, each in expected.items()}


async def test_months_and_hours_hold_in_every_year(field: Field) -> None:
    project, ids = await by_time(field, "2023-06-15 20:00", "2024-06-15 20:59", "2024-07-15 20:00")

    captures = await chosen(field, project, "full", month_start=6, month_end=6, hour_start=20, hour_end=21)

    assert captures == ids[:2]


async def test_dates_are_inclusive(field: Field) -> None:
    project, ids = await by_time(
        field,
        "2024-02-28 23:59:59.999999",
        "2024-02-29 00:00",
        "2024-02-29 23:59:59.999999",
        "2024-03-01 00:00",
        None,
    )
    expected: dict[tuple[str | None, str | None], list[int]] = {
        ("2024-02-29", "2024-02-29"): ids[1:3],
        ("2024-02-29", None): ids[1:4],
        (None, "2024-02-29"): ids[:3],
        ("2024-03-01", "2024-02-28"): [],
        ("0001-01-01", "9999-12-31"): ids[:4],
    }

    found = {
        (start, end): await chosen(field, project, "full", date_start=start, date_end=end)
        for start, end in expected
    }

    assert found == expected


async def test_captures_without_a_time_stay_unless_a_filter_asks_for_it(field: Field) -> None:
    project, [undated, dated] = await by_time(field, None, "2024-06-01 20:00")

    assert await chosen(field, project, "full") == [undated, dated]
    assert await chosen(field, project, "random", size=None) == [undated, dated]
    assert await chosen(field, project, "common_combined") == [undated, dated]
    assert await chosen(field, project, "common_combined", minute_interval=0) == [dated]


async def test_stations_are_chosen_by_a_list(field: Field, nights: Nights) -> None:
    await field.captures(nights.project, None, [EVENING])

    captures = await chosen(field, nights.project, "full", deployment_ids=[nights.e2, 987654321])

    assert nights.of(captures) == [("e2", 0), ("e2", 5), ("e2", 10)]


async def test_sessions_are_chosen_by_a_list(field: Field, nights: Nights) -> None:
    await field.captures(nights.project, nights.e1, minutes(301))

    captures = await chosen(field, nights.project, "full", event_ids=[nights.sessions[1], 987654321])

    assert nights.of(captures) == [("e1", 300), ("e1", 304), ("e1", 310)]


async def test_sites_are_chosen_by_a_list(field: Field) -> None:
    project = await field.project()
    meadow, forest = await site(field, project), await site(field, project)
    captures = [
        *await field.captures(project, await field.station(project, site_id=meadow), [EVENING, None]),
        *await field.captures(project, await field.station(project, site_id=forest), [EVENING]),
        *await field.captures(project, await field.station(project), [EVENING]),
        *await field.captures(project, None, [EVENING]),
    ]

    assert await chosen(field, project, "full", research_site_ids=[meadow]) == captures[:2]
    assert await chosen(field, project, "full", research_site_ids=[meadow, forest]) == captures[:3]


async def test_an_empty_list_selects_nothing(field: Field, nights: Nights) -> None:
    for method in ("full", "random", "interval", "common_combined"):
        for name in ("deployment_ids", "research_site_ids", "event_ids"):
            nothing: dict[str, Any] = {name: []}
            assert await chosen(field, nights.project, method, **nothing) == [], (method, name)


async def test_filters_hold_together(field: Field, nights: Nights) -> None:
    captures = await chosen(
        field,
        nights.project,
        "full",
        deployment_ids=[nights.e1],
        event_ids=[nights.sessions[0], nights.sessions[2]],
        hour_start=20,
        date_end="2024-06-01",
    )

    assert nights.of(captures) == [("e1", minute) for minute in (0, 4, 9, 10, 14, 19, 20)]


@pytest.mark.parametrize(
    ("method", "kwargs"),
    [("random", {"size": None}), ("interval", {"minute_interval": 0}), ("common_combined", {})],
)
async def test_other_methods_take_the_same_filters(
    field: Field, nights: Nights, method: str, kwargs: dict[str, Any]
) -> None:
    common: dict[str, Any] = {
        "hour_start": 20,
        "hour_end": 23,
        "month_start": 6,
        "month_end": 6,
        "date_start": "2024-06-01",
        "date_end": "2024-06-01",
        "deployment_ids": [nights.e1],
        "event_ids": [nights.sessions[0]],
    }

    captures = await chosen(field, nights.project, method, **kwargs, **common)

    assert nights.of(captures) == [("e1", minute) for minute in (0, 4, 9, 10, 14, 19, 20)]


# sessions ---------------------------------------------------------------------------------------------------

PER_SESSION = (
    "random_from_each_event",
    "last_and_random_from_each_event",
    "greatest_file_size_from_each_event",
)


async def test_the_default_number_from_each_session_is_the_methods_own(field: Field) -> None:
    project, _ = await field.small_set(nights=2)
    station = await field.station(project)
    session = await field.session(project, station, "2024-07-01")
    await field.captures(project, station, minutes(*range(12)), session_id=session)

    totals = {method: len(await chosen(field, project, method)) for method in PER_SESSION}

    assert totals == {
        "random_from_each_event": 10 + 10 + 10,
        "last_and_random_from_each_event": 3 * 2,
        "greatest_file_size_from_each_event": 3,
    }


async def test_no_more_are_taken_from_a_session_than_it_has(field: Field, nights: Nights) -> None:
    for method in PER_SESSION:
        assert len(await chosen(field, nights.project, method, num_each=5)) == 5 + (method[0] == "l") + 3 + 3


async def test_none_from_each_session_leaves_only_the_last(field: Field, nights: Nights) -> None:
    totals = [len(await chosen(field, nights.project, method, num_each=0)) for method in PER_SESSION]

    assert totals == [0, 3, 0]


async def test_null_from_each_session_means_all(field: Field, nights: Nights) -> None:
    for method in PER_SESSION:
        assert await chosen(field, nights.project, method, num_each=None) == sorted(nights.minute)


async def test_a_project_without_sessions_gives_nothing_from_each(field: Field) -> None:
    project = await field.project()
    await field.captures(project, await field.station(project), minutes(0, 1, 2))

    for method in PER_SESSION:
        assert await chosen(field, project, method, num_each=5) == []


@pytest.mark.parametrize("method", PER_SESSION)
async def test_captures_without_a_session_or_in_one_of_another_project_are_not_taken(
    field: Field, method: str
) -> None:
    project, elsewhere = await field.project(), await field.project("Bees")
    station = await field.station(project)
    ours = await field.session(project, station, "2024-06-01")
    theirs = await field.session(elsewhere, station, "2024-06-02")
    nobodys = await field.session(None, station, "2024-06-03")
    await field.session(project, station, "2024-06-04")  # without captures
    [capture] = await field.captures(project, station, [EVENING], session_id=ours)
    await field.captures(elsewhere, station, [EVENING + timedelta(hours=1)], session_id=ours)
    for session in (theirs, nobodys, None):
        await field.captures(project, station, [EVENING], session_id=session)

    assert await chosen(field, project, method, num_each=5) == [capture]


async def test_methods_that_do_not_go_by_session_take_captures_without_one(field: Field) -> None:
    project = await field.project()
    [capture] = await field.captures(project, await field.station(project), [EVENING])
    await detect(field, capture)

    for method in ("full", "random", "interval", "detections_only", "common_combined"):
        assert await chosen(field, project, method) == [capture], method
    assert await chosen(field, project, "manual", image_ids=[capture]) == [capture]


async def one_session(
    field: Field, times: Sequence[datetime | None], sizes: Sequence[int | None] | None = None
) -> tuple[int, list[int]]:
    project = await field.project()
    station = await field.station(project)
    session = await field.session(project, station, "2024-06-01")
    return project, await field.captures(project, station, times, session_id=session, sizes=sizes)


async def test_the_last_of_a_session_is_dated_if_any_is(field: Field) -> None:
    project, ids = await one_session(field, [None, *minutes(5, 9, 9, 1), None])

    assert await chosen(field, project, "last_and_random_from_each_event", num_each=0) == [ids[2]]


async def test_the_last_of_a_session_without_times_is_the_one_with_the_lowest_id(field: Field) -> None:
    project, ids = await one_session(field, [None, None, None])

    assert await chosen(field, project, "last_and_random_from_each_event", num_each=0) == [ids[0]]


async def test_beside_the_last_of_a_session_others_are_drawn(field: Field) -> None:
    project, ids = await one_session(field, minutes(*range(10)))

    draws = [
        await chosen(field, project, "last_and_random_from_each_event", seed=seed, num_each=2)
        for seed in range(20)
    ]

    assert all(len(draw) == 3 and draw[-1] == ids[-1] for draw in draws)
    assert len({tuple(draw) for draw in draws}) > 5


async def test_the_largest_of_a_session_are_those_of_known_size_and_lowest_id(field: Field) -> None:
    project, ids = await one_session(field, minutes(*range(6)), [None, 5, 9, 5, 1, None])

    by_number = {
        number: await chosen(field, project, "greatest_file_size_from_each_event", num_each=number)
        for number in (1, 2, 3, 4, 5)
    }

    order = [ids[2], ids[1], ids[3], ids[4], ids[0], ids[5]]
    assert by_number == {number: sorted(order[:number]) for number in (1, 2, 3, 4, 5)}


# manual, detections, combined -------------------------------------------------------------------------------


async def test_manual_takes_what_is_named_and_in_the_project(field: Field) -> None:
    project, elsewhere = await field.project(), await field.project("Bees")
    station = await field.station(project)
    ids = await field.captures(project, station, [EVENING, None, EVENING])
    foreign = await field.captures(elsewhere, station, [EVENING])

    captures = await chosen(
        field, project, "manual", image_ids=[ids[2], ids[1], ids[2], *foreign, 987654321, -1, 0]
    )

    assert captures == ids[1:]
    assert await chosen(field, project, "manual", image_ids=[]) == []


async def test_the_mark_that_nothing_was_found_is_no_detection(field: Field) -> None:
    project, elsewhere = await field.project(), await field.project("Bees")
    station = await field.station(project)
    both, marked, _unseen, json_null = await field.captures(project, station, minutes(0, 1, 2, 3))
    [foreign] = await field.captures(elsewhere, station, [EVENING])
    await detect(field, both, None)
    await detect(field, both)
    await detect(field, both)
    await detect(field, marked, None)
    await detect(field, json_null, "null")
    await detect(field, foreign)

    # a box that is JSON null is not the mark: only NULL is
    assert await chosen(field, project, "detections_only") == [both, json_null]


async def test_combined_without_interval_and_number_is_everything(field: Field, nights: Nights) -> None:
    for shuffle in (True, False, None):
        captures = await chosen(field, nights.project, "common_combined", shuffle=shuffle)
        assert captures == sorted(nights.minute)


async def test_combined_takes_the_first_of_the_usual_order_if_not_shuffled(field: Field) -> None:
    project = await field.project()
    one, other = await field.station(project, "B"), await field.station(project, "A")
    early, late = await field.session(project, one, "1"), await field.session(project, one, "2")
    [elsewhere] = await field.captures(project, other, minutes(0))
    [of_late] = await field.captures(project, one, minutes(1), session_id=late)
    second, first = await field.captures(project, one, minutes(9, 8), session_id=early)
    [undated] = await field.captures(project, one, [None], session_id=early)
    [without_session] = await field.captures(project, one, minutes(0))
    [without_station] = await field.captures(project, None, minutes(0))
    order = [first, second, undated, of_late, without_session, elsewhere, without_station]

    taken = [
        await chosen(field, project, "common_combined", max_num=number, shuffle=False) for number in range(9)
    ]

    assert taken == [sorted(order[:number]) for number in range(9)]


async def test_combined_and_shuffled_draws_the_number(field: Field, nights: Nights) -> None:
    draws = [
        await chosen(field, nights.project, "common_combined", seed=seed, max_num=4) for seed in range(20)
    ]

    assert {len(draw) for draw in draws} == {4}
    assert len({tuple(draw) for draw in draws}) > 10


async def test_a_combined_walk_does_not_need_a_station(field: Field) -> None:
    project = await field.project()
    ids = await field.captures(project, None, minutes(0, 5, 10))

    captures = await chosen(field, project, "common_combined", minute_interval=10, shuffle=True)

    assert captures == [ids[0], ids[2]]


# lots -------------------------------------------------------------------------------------------------------

DRAWN = [
    ("random", {"size": 5}),
    ("random_from_each_event", {"num_each": 2}),
    ("last_and_random_from_each_event", {"num_each": 2}),
    ("common_combined", {"max_num": 5}),
]


@pytest.mark.parametrize(("method", "kwargs"), DRAWN)
async def test_the_same_seed_draws_the_same_captures_and_another_seed_others(
    field: Field, nights: Nights, method: str, kwargs: dict[str, Any]
) -> None:
    seeds = (0, 1, 2, 3, 4, 5, 2**63 - 1, -(2**63))

    draws = [await chosen(field, nights.project, method, seed, **kwargs) for seed in seeds]
    again = [await chosen(field, nights.project, method, seed, **kwargs) for seed in seeds]

    assert draws == again
    assert len({tuple(draw) for draw in draws}) > 3


async def test_random_gives_the_number_asked_for_or_all_there_are(field: Field, nights: Nights) -> None:
    expected = {0: 0, 1: 1, 12: 12, 13: 13, 500: 13, None: 13}

    found = {size: len(await chosen(field, nights.project, "random", size=size)) for size in expected}

    assert found == expected


async def test_random_gives_a_hundred_unless_told(field: Field) -> None:
    project = await field.project()
    await field.captures(project, await field.station(project), minutes(*range(120)))

    assert len(await chosen(field, project, "random")) == 100


async def test_random_draws_from_what_passes_the_filters(field: Field, nights: Nights) -> None:
    captures = await chosen(field, nights.project, "random", size=100, deployment_ids=[nights.e2])

    assert nights.of(captures) == [("e2", 0), ("e2", 5), ("e2", 10)]


async def test_every_capture_and_every_pair_is_drawn_about_equally_often(field: Field) -> None:
    project = await field.project()
    ids = await field.captures(project, await field.station(project), minutes(*range(10)))
    set_id = await field.capture_set(project)
    seeds = 1000
    singles: Counter[int] = Counter()
    pairs: Counter[tuple[int, ...]] = Counter()
    async with field.database.transaction() as db:
        for seed in range(seeds):
            await sampling_rows.replace(db, set_id, project, "random", sampler("random", {"size": 2}), seed)
            pair = tuple(sorted(await members(db, set_id)))
            pairs[pair] += 1
            singles.update(pair)

    assert set(singles) == set(ids)
    # 200 and 22.2 are to be expected; four standard deviations are 51 and 19
    assert all(149 <= times <= 251 for times in singles.values())
    assert len(pairs) == 45
    assert max(pairs.values()) <= 42


# the set ----------------------------------------------------------------------------------------------------


async def members(db: Connection, set_id: int) -> set[int]:
    statement = "SELECT source_image_id FROM source_image_collection_images WHERE collection_id = %(id)s"
    return {row["source_image_id"] for row in await every(db, statement, {"id": set_id})}


async def rows(field: Field, set_id: int) -> dict[int, tuple[Any, ...]]:
    """Where the rows of a set lie, and which transaction wrote them."""
    statement = """SELECT source_image_id, ctid::text AS place, xmin::text AS writer
        FROM source_image_collection_images WHERE collection_id = %(id)s"""
    async with field.database.transaction() as db:
        found = await every(db, statement, {"id": set_id})
    return {row["source_image_id"]: (row["place"], row["writer"]) for row in found}


async def updated_at(field: Field, set_id: int) -> datetime:
    async with field.database.transaction() as db:
        statement = "SELECT updated_at FROM source_image_collections WHERE id = %(id)s"
        found: datetime = await value(db, statement, {"id": set_id})
        return found


async def test_members_that_are_not_chosen_again_go_and_the_rows_of_others_stay(
    field: Field, nights: Nights
) -> None:
    set_id = await field.capture_set(nights.project)
    e1 = {capture for capture, (name, _) in nights.minute.items() if name == "e1"}
    e2 = set(nights.minute) - e1
    await fill(field, set_id, nights.project, "full", 1, deployment_ids=[nights.e1])
    before = await rows(field, set_id)

    total = await fill(field, set_id, nights.project, "full", 1, date_start="2024-06-01", hour_start=20)

    after = await rows(field, set_id)
    night = {capture for capture in e1 if nights.minute[capture][1] < 240}
    assert total == len(night | e2) == 10
    assert set(after) == night | e2
    assert {capture: after[capture] for capture in night} == {capture: before[capture] for capture in night}


async def test_filling_again_writes_no_row_of_the_set_again(field: Field, nights: Nights) -> None:
    set_id = await field.capture_set(nights.project)
    await fill(field, set_id, nights.project, "full", 1)
    before = await rows(field, set_id)

    assert await fill(field, set_id, nights.project, "full", 2) == 13
    assert await rows(field, set_id) == before


async def test_an_empty_result_empties_the_set(field: Field, nights: Nights) -> None:
    set_id = await field.capture_set(nights.project)
    await fill(field, set_id, nights.project, "full", 1)

    assert await fill(field, set_id, nights.project, "full", 1, deployment_ids=[]) == 0
    assert await field.members(set_id) == set()


async def test_captures_that_left_the_project_leave_the_set(field: Field, nights: Nights) -> None:
    set_id = await field.capture_set(nights.project)
    await fill(field, set_id, nights.project, "full", 1)
    elsewhere = await field.project("Bees")
    gone = min(nights.minute)
    async with field.database.transaction() as db:
        await db.execute("UPDATE source_images SET project_id = %s WHERE id = %s", (elsewhere, gone))

    assert await fill(field, set_id, nights.project, "full", 1) == 12
    assert gone not in await field.members(set_id)


async def test_only_the_set_itself_is_touched(field: Field, nights: Nights) -> None:
    ours, other = await field.capture_set(nights.project), await field.capture_set(nights.project)
    await fill(field, other, nights.project, "full", 1)
    other_rows = await rows(field, other)
    times = await updated_at(field, ours), await updated_at(field, other)

    await fill(field, ours, nights.project, "interval", 1)
    await fill(field, ours, nights.project, "manual", 1, image_ids=[])

    assert await updated_at(field, ours) > times[0]
    assert await updated_at(field, other) == times[1]
    assert await rows(field, other) == other_rows


async def test_filling_is_undone_with_its_transaction(field: Field, nights: Nights) -> None:
    set_id = await field.capture_set(nights.project)
    before = await updated_at(field, set_id)

    async with field.database.transaction() as db:
        await sampling_rows.replace(db, set_id, nights.project, "full", sampler("full", {}), 1)
        assert len(await members(db, set_id)) == 13
        await db.rollback()

    assert await field.members(set_id) == set()
    assert await updated_at(field, set_id) == before


# locks ------------------------------------------------------------------------------------------------------


async def test_a_set_is_filled_by_one_transaction_at_a_time(field: Field, nights: Nights) -> None:
    set_id = await field.capture_set(nights.project)

    async with field.database.transaction() as first, field.database.transaction() as second:
        await capture_set_rows.lock(first, set_id)
        await second.execute("SET LOCAL lock_timeout = '100ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            await capture_set_rows.lock(second, set_id)
        await second.rollback()


async def test_different_sets_are_filled_at_the_same_time(field: Field, nights: Nights) -> None:
    one, other = await field.capture_set(nights.project), await field.capture_set(nights.project)

    async with field.database.transaction() as first, field.database.transaction() as second:
        await second.execute("SET LOCAL lock_timeout = '100ms'")
        for db, set_id in ((first, one), (second, other)):
            await capture_set_rows.lock(db, set_id)
            await sampling_rows.replace(db, set_id, nights.project, "full", sampler("full", {}), 1)

    assert await field.members(one) == await field.members(other) == set(nights.minute)
