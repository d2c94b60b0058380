"""What jobs of each type are asked to do in a chaos run: a maker a job type, by its key."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from psycopg.types.json import Jsonb

from jobs.errors import MissingSource, MissingStation, StoreRefuses
from monitoring import sampling
from storage.patterns import InvalidRegex, Pattern
from tests.chaos.work import Fields, Left, Maker, Work
from tests.field import Field

NIGHTS = {"small": (5, 10), "large": (300, 100)}
"""Nights of a project, and captures of each."""

STEADY: tuple[tuple[str, dict[str, Any]], ...] = (
    ("full", {}),
    ("interval", {"minute_interval": 3}),
    ("manual", {"image_ids": [2, 3, 5, 7, 11, 13, 17, 19]}),
    ("greatest_file_size_from_each_event", {"num_each": 2}),
    ("last_and_random_from_each_event", {"num_each": 0}),
    ("detections_only", {}),
    ("common_combined", {"minute_interval": 4}),
)
BY_LOT: tuple[tuple[str, dict[str, Any]], ...] = (
    ("random", {"size": 20}),
    ("random_from_each_event", {"num_each": 3}),
    ("last_and_random_from_each_event", {"num_each": 2}),
    ("common_combined", {"max_num": 12, "shuffle": True}),
)
LARGE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("full", {}),
    ("interval", {"minute_interval": 1}),
    ("greatest_file_size_from_each_event", {"num_each": 90}),
    ("random", {"size": 24_000}),
    ("random_from_each_event", {"num_each": 80}),
    ("common_combined", {"max_num": 22_000, "shuffle": True}),
)
_METHODS = {
    (False, False): STEADY + BY_LOT,
    (False, True): STEADY,
    (True, False): LARGE,
    (True, True): LARGE[:3],
}
"""By whether they are large, and whether they must be steady."""
BAD: tuple[tuple[str, dict[str, Any]], ...] = (
    ("starred", {}),
    ("random", {"size": -1}),
    ("random", {"sizes": 5}),
    ("interval", {"minute_interval": "soon"}),
    ("manual", {}),
)

_CAPTURES = """
WITH nights AS (
    INSERT INTO events (project_id, deployment_id, group_by, start)
    SELECT %(project_id)s, %(station_id)s, n::text, timestamp '2023-01-01 20:00' + n * interval '1 day'
    FROM generate_series(1, %(nights)s) AS n ORDER BY n
    RETURNING id, start
)
INSERT INTO source_images (project_id, deployment_id, event_id, path, timestamp, size)
SELECT %(project_id)s, %(station_id)s, nights.id, nights.id || '/' || n, nights.start + n * interval '1 minute',
       (nights.id * 1000 + n) * 7919 %% 100003
FROM nights CROSS JOIN generate_series(1, %(each)s) AS n ORDER BY nights.id, n
RETURNING id
"""
_DETECTIONS = """
INSERT INTO detections (source_image_id, bbox)
SELECT id, CASE WHEN id %% 6 = 0 THEN '[0, 0, 1, 1]'::jsonb END FROM source_images
WHERE project_id = %(project_id)s AND id %% 3 = 0
RETURNING id
"""
_FILL = """
WITH given AS (
    INSERT INTO source_image_collection_images (collection_id, source_image_id)
    SELECT %(set_id)s, id FROM source_images WHERE project_id = %(project_id)s ORDER BY id LIMIT %(most)s
    RETURNING source_image_id AS id
), counted AS (
    UPDATE source_image_collections SET images_count = (SELECT count(*) FROM given) WHERE id = %(set_id)s
)
SELECT count(*) AS filled FROM given
"""
# a sum, unlike an XOR, also tells of a member that is there twice
_MEMBERS = """
SELECT s.id, concat_ws(' ', count(m.source_image_id), 'members,', s.images_count, 'by the set, hash',
                       coalesce(sum(hashint8extended(m.source_image_id, 7)::numeric), 0)) AS effect
FROM source_image_collections s LEFT JOIN source_image_collection_images m ON m.collection_id = s.id
WHERE s.id = ANY(%(ids)s) GROUP BY s.id
"""


class Populate:
    """Capture sets of every sampling method, each of one job alone; some hold captures beforehand."""

    key = "populate_captures_collection"
    marks: Mapping[str, str] = {key: "^Added "}

    def plain(self, random: Random, *, large: bool, steady: bool) -> Work:
        method, kwargs = random.choice(_METHODS[large, steady])
        before = random.choice((0, 0, 4, 9))
        size = "large" if large else "small"
        return Work(self.key, {"size": size, "method": method, "kwargs": kwargs, "before": before})

    def bad(self, random: Random) -> Work:
        method, kwargs = random.choice(BAD)
        details = {"size": "small", "method": method, "kwargs": kwargs, "before": random.choice((0, 4))}
        try:
            sampling.sampler(method, kwargs)
        except sampling.SamplingError as error:
            return Work(self.key, details, cause=str(error))
        raise AssertionError(f"{method} {kwargs} is not bad at all")

    async def prepare(self, field: Field, folder: Path, works: Sequence[Work]) -> list[Fields]:
        projects = {size: await self._project(field, size) for size in NIGHTS}
        return [await self._set(field, work, *projects[work.details["size"]]) for work in works]

    async def _project(self, field: Field, size: str) -> tuple[int, list[int]]:
        nights, each = NIGHTS[size]
        project_id = await field.project(f"{size.capitalize()} project")
        station_id = await field.station(project_id)
        rows = await field.read(
            _CAPTURES, project_id=project_id, station_id=station_id, nights=nights, each=each
        )
        await field.read(_DETECTIONS, project_id=project_id)
        return project_id, sorted(row["id"] for row in rows)

    async def _set(self, field: Field, work: Work, project_id: int, captures: list[int]) -> Fields:
        kwargs = dict(work.details["kwargs"])
        if "image_ids" in kwargs:  # by place, until the captures are there
            kwargs["image_ids"] = [captures[place] for place in kwargs["image_ids"]]
        set_id = await field.row(
            "source_image_collections",
            name="Set",
            project_id=project_id,
            method=work.details["method"],
            kwargs=Jsonb(kwargs),
        )
        await field.read(_FILL, set_id=set_id, project_id=project_id, most=work.details["before"])
        return {"project_id": project_id, "source_image_collection_id": set_id}

    async def effects(self, field: Field, jobs: Sequence[Fields]) -> list[str]:
        ids = [job["source_image_collection_id"] for job in jobs]
        found = {row["id"]: row["effect"] for row in await field.read(_MEMBERS, ids=ids)}
        return [found.get(set_id, "no set") for set_id in ids]

    def may_leave(self, left: Left) -> bool:
        return left.all_or_nothing(self.key)


# bursts of captures, three hours apart, at stations of their own; some captures have no time, some the time of another
_STATIONS = """
WITH wanted AS (
    SELECT * FROM unnest(CAST(%(nights)s AS int[]), CAST(%(each)s AS int[])) WITH ORDINALITY AS w (nights, each, n)
), stations AS (
    INSERT INTO deployments (project_id, name) SELECT %(project_id)s, n::text FROM wanted ORDER BY n RETURNING id, name
), filled AS (
    INSERT INTO source_images (project_id, deployment_id, path, timestamp)
    SELECT %(project_id)s, stations.id, burst || '/' || place,
           CASE WHEN place %% 11 > 0 THEN timestamp '2023-01-01 20:00' + burst / 2 * interval '1 day'
               + burst %% 2 * interval '3 hours' + place / 2 * interval '1 minute' END
    FROM stations JOIN wanted ON wanted.n = stations.name::int
    CROSS JOIN generate_series(1, wanted.nights * 2) AS burst CROSS JOIN generate_series(1, wanted.each) AS place
    ORDER BY wanted.n, burst, place
)
SELECT id FROM stations ORDER BY name::int
"""
_SESSIONS = """
SELECT d.id, concat_ws(' ', d.events_count, 'sessions,', count(e.id), 'there,', sum(e.captures_count), 'captures,', (
    SELECT coalesce(sum(hashtextextended(concat_ws(' ', i.path, e.group_by, e.start, e."end"), 7)::numeric), 0)
    FROM source_images i JOIN events e ON e.id = i.event_id WHERE i.deployment_id = d.id
)) AS effect
FROM deployments d LEFT JOIN events e ON e.deployment_id = d.id WHERE d.id = ANY(%(ids)s) GROUP BY d.id
"""


class Regroup:
    """Stations whose captures have no sessions yet, each of one job alone."""

    key = "regroup_events"
    marks: Mapping[str, str] = {key: r"after regrouping\.$"}

    def plain(self, random: Random, *, large: bool, steady: bool) -> Work:
        size = "large" if large else "small"
        details = {
            "size": size,
            "nights": 60 if large else random.randint(1, 5),
            "each": random.randint(10, 25),
        }
        return Work(self.key, details)

    def bad(self, random: Random) -> Work:
        cause = "No deployment provided for regroup events job"
        return Work(self.key, {"size": "small", "nights": 0, "each": 0}, cause)

    async def prepare(self, field: Field, folder: Path, works: Sequence[Work]) -> list[Fields]:
        project_id = await field.project("Regrouped project")
        stations = await field.read(
            _STATIONS,
            project_id=project_id,
            nights=[work.details["nights"] for work in works],
            each=[work.details["each"] for work in works],
        )
        return [
            {"project_id": project_id, "deployment_id": None if work.cause else station["id"]}
            for work, station in zip(works, stations, strict=True)
        ]

    async def effects(self, field: Field, jobs: Sequence[Fields]) -> list[str]:
        ids = [job["deployment_id"] for job in jobs]
        found = {row["id"]: row["effect"] for row in await field.read(_SESSIONS, ids=ids)}
        return [found.get(station_id, "no station") for station_id in ids]

    def may_leave(self, left: Left) -> bool:
        return left.all_or_nothing(self.key)


@dataclass(frozen=True)
class StoredFile:
    """A file of a few bytes, under the root of its bucket."""

    key: str
    size: int
    at: datetime | None
    """What its name says of when it was taken."""

    @property
    def counts(self) -> bool:
        """Whether it is a picture with something in it."""
        return self.key.endswith(".jpg") and self.size > 0

    @property
    def is_capture(self) -> bool:
        return self.counts and self.at is not None

    @property
    def line(self) -> str:
        return f"{self.key} {self.size} {self.at}"


PICTURE = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"
"""The smallest picture that there is; what comes after it in a file does not matter."""
BUCKET, PREFIX = "bucket", "captures"
FOLDERS = {"small": 8, "large": 2}
"""How many folders there are; stations share them."""


@cache
def files_in(folder: str) -> tuple[StoredFile, ...]:
    """What lies in a folder, in the order of its keys; some files are empty, some are no pictures or tell no time."""
    random = Random(folder)
    large = folder.startswith("large")
    nights, each = (60, 90) if large else (random.randint(1, 5), random.randint(10, 25))
    step, found = 97 if large else 11, []
    for number in range(nights * each):
        night, place = divmod(number, each)
        at = datetime(2023, 1, 1, 20) + timedelta(days=night, minutes=place // 2)  # noqa: DTZ001
        names = {3: f"DSC_{number}.jpg", 5: f"{at:%Y%m%d%H%M%S}-{number}.txt"}
        name = names.get(number % step, f"{at:%Y%m%d%H%M%S}-{number}.jpg")
        size = 0 if number % step == 7 else len(PICTURE) + number % 50
        key = f"{PREFIX}/{folder}/night-{night:02}/{name}"
        found.append(StoredFile(key, size, None if number % step == 3 else at))
    return tuple(sorted(found, key=lambda each: each.key))


def errors_of(files: Sequence[StoredFile]) -> tuple[str, ...]:
    """What a sync of those logs as errors."""
    bad = [each for each in files if each.counts and not each.is_capture]
    return tuple(f"No timestamp parsed from filename: {each.key}" for each in bad)


def write_files(bucket: Path, folder: str) -> None:
    for each in files_in(folder):
        path = bucket / each.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PICTURE.ljust(each.size)[: each.size])
        os.utime(path, (1_700_000_000, 1_700_000_000))


def hash_of(lines: Sequence[str]) -> str | None:
    return hashlib.md5("\n".join(lines).encode(), usedforsecurity=False).hexdigest() if lines else None


_SYNCED = """
SELECT d.id, (
    SELECT jsonb_object_agg(p ->> 'key', p -> 'value')
    FROM jobs j JOIN job_stages s ON s.job_id = j.id AND s.key = 'data_storage_sync'
    CROSS JOIN jsonb_array_elements(s.params) p WHERE j.deployment_id = d.id
) AS figures, jsonb_build_object(
    'captures', count(i.id),
    'hash', md5(string_agg(concat_ws(' ', i.path, i.size, i.timestamp), E'\n' ORDER BY i.path COLLATE "C")),
    'sessions', md5(string_agg(concat_ws(' ', i.path, e.group_by, e.start, e."end", e.captures_count), E'\n'
                               ORDER BY i.path COLLATE "C") FILTER (WHERE e.id IS NOT NULL)),
    'measured', (
        SELECT jsonb_agg(m.group_by ORDER BY m.id) FROM (
            SELECT e.id, e.group_by FROM events e JOIN source_images i ON i.event_id = e.id
            WHERE e.deployment_id = d.id GROUP BY e.id HAVING bool_and((i.width, i.height) IS NOT DISTINCT FROM (1, 1))
        ) m
    ),
    'measured_captures', count(i.width),
    'checked', d.data_source_last_checked IS NOT NULL,
    'counts', jsonb_build_array(d.captures_count, d.data_source_total_files, d.data_source_total_size,
                                d.first_capture_timestamp, d.last_capture_timestamp),
    'events_count', d.events_count
) AS rows
FROM deployments d LEFT JOIN source_images i ON i.deployment_id = d.id LEFT JOIN events e ON e.id = i.event_id
WHERE d.id = ANY(%(ids)s) GROUP BY d.id
"""
_FIGURES = ("files_listed", "total_files", "failed", "changed", "missing")
"""Those that are the same however often a sync is begun again."""

NOWHERE = 2
"""Id of a storage source whose folder is not there."""


class Sync:
    """Stations whose captures are files that have not been synced yet, each of one job alone."""

    key = "data_storage_sync"
    grouping = "regroup_sessions"
    measuring = "measure_captures"
    marks: Mapping[str, str] = {key: "^Finished syncing captures ", grouping: r"after sync regroup\.$"}

    def plain(self, random: Random, *, large: bool, steady: bool) -> Work:
        size = "large" if large else "small"
        folder = f"{size}-{random.randrange(FOLDERS[size])}"
        details = {"size": size, "folder": folder, "station": {"data_source_id": 1}}
        return Work(self.key, details, errors=errors_of(files_in(folder)))

    def bad(self, random: Random) -> Work:
        station, cause = random.choice(_BAD_STATIONS)
        return Work(self.key, {"size": "small", "folder": "small-0", "station": station}, cause)

    async def prepare(self, field: Field, folder: Path, works: Sequence[Work]) -> list[Fields]:
        project_id = await field.project("Synced project")
        bucket = folder / BUCKET
        for name in {work.details["folder"] for work in works}:
            write_files(bucket, name)
        place = {"prefix": PREFIX, "endpoint_url": f"file://{folder}", "trusted": True}
        source = {"project_id": project_id, **place}
        await field.row("storage_sources", name="Files", bucket=BUCKET, **source)
        nowhere = await field.row("storage_sources", name="Nowhere", bucket="nowhere", **source)
        assert nowhere == NOWHERE
        return [await self._station(field, work, project_id) for work in works]

    async def _station(self, field: Field, work: Work, project_id: int) -> Fields:
        station = work.details["station"]
        if station is None:
            return {"project_id": project_id, "deployment_id": None}
        values = {"name": "Station", "data_source_subdir": work.details["folder"], **station}
        return {
            "project_id": project_id,
            "deployment_id": await field.row("deployments", project_id=project_id, **values),
        }

    async def effects(self, field: Field, jobs: Sequence[Fields]) -> list[str]:
        ids = [job["deployment_id"] for job in jobs]
        found = {row["id"]: row for row in await field.read(_SYNCED, ids=ids)}
        return [_told(found[station_id]) if station_id in found else "no station" for station_id in ids]

    def may_leave(self, left: Left) -> bool:
        """Whether it is what the stages that are done leave, and of the one under way a beginning."""
        if left.effect == left.before:
            return not left.done(self.key) and not left.errors
        there, whole = json.loads(left.effect), json.loads(left.whole)
        before = json.loads(left.before)
        if not left.done(self.key):
            many = there["files_listed"]
            named = sorted(left.errors) == sorted(errors_of(files_in(left.work.details["folder"])[:many]))
            return named and bool(there == {**before, **listed(left.work, many)})
        if sorted(left.errors) != sorted(left.work.errors):
            return False
        if not left.done(self.grouping):
            ungrouped = {name: before[name] for name in ("sessions", "measured", "measured_captures")}
            return bool(there == {**whole, **ungrouped, "events_count": 0})
        measured = there["measured"] or []
        # all captures of a session in one transaction, one session after the other
        if not left.done(self.measuring) and len(measured) < len(whole["measured"]):
            each = files_in(left.work.details["folder"])
            taken = [f"{file.at:%Y-%m-%d}" for file in each if file.is_capture]
            so_far = whole["measured"][: len(measured)]
            whole |= {"measured": so_far or None, "measured_captures": sum(day in so_far for day in taken)}
        return bool(there == whole)


def listed(work: Work, many: int) -> dict[str, Any]:
    """What is there of the effect when so many files have been listed."""
    files = files_in(work.details["folder"])[:many]
    captures = [each for each in files if each.is_capture]
    return {
        "files_listed": len(files),
        "total_files": len(captures),
        "failed": sum(each.counts for each in files) - len(captures),
        "captures": len(captures),
        "hash": hash_of([each.line for each in captures]),
    }


def _told(row: Mapping[str, Any]) -> str:
    figures = row["figures"] or {}
    return json.dumps({**row["rows"], **{name: figures.get(name) or 0 for name in _FIGURES}}, sort_keys=True)


def _bad_stations() -> list[tuple[dict[str, Any] | None, str]]:
    """What makes a sync fail: columns of its station, null for none, and the cause."""
    nowhere = f"Storage source #{NOWHERE} Nowhere"
    causes: list[tuple[dict[str, Any] | None, str]] = [
        (None, str(MissingStation("data storage sync"))),
        ({"name": "No source"}, str(MissingSource("No source"))),
        (
            {"data_source_id": NOWHERE},
            str(StoreRefuses(nowhere, "NoSuchBucket", "There is no such folder")),
        ),
    ]
    try:
        Pattern("[a")
    except InvalidRegex as error:
        causes.append(({"data_source_id": 1, "data_source_regex": "[a"}, f"data_source_regex: {error}"))
    return causes


_BAD_STATIONS = _bad_stations()

ALL: tuple[Maker, ...] = (
    Populate(),
    Regroup(),
    Sync(),
)
MAKERS: dict[str, Maker] = {maker.key: maker for maker in ALL}


class NoMaker(Exception):
    """A job type that the run would leave out."""


def require(keys: Sequence[str], makers: Mapping[str, Maker] = MAKERS) -> None:
    """Raises NoMaker if a job type has no maker: a run without it would promise too much."""
    missing = sorted(set(keys) - set(makers))
    if missing:
        raise NoMaker(f"no maker in tests/chaos/makers.py for: {', '.join(missing)}")


def of(work: Work) -> Maker:
    return MAKERS[work.job_type]
