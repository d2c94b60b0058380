"""What jobs of each type are asked to do in a chaos run: a maker a job type, by its key."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from psycopg.types.json import Jsonb

from monitoring import sampling
from tests.field import Field

Fields = dict[str, Any]
"""What a job is made with, besides its name and delay."""


@dataclass(frozen=True)
class Work:
    """What one job is to do, decided before anything runs."""

    job_type: str
    details: Mapping[str, Any] = field(default_factory=dict)
    cause: str | None = None
    """Why it must fail; null if it must not."""


class Maker(Protocol):
    """Draws works of one job type, makes what they need, and tells what came of them."""

    def plain(self, random: Random, *, large: bool, steady: bool) -> Work:
        """A work that succeeds; a steady one does the same whatever the id of its job is."""

    def bad(self, random: Random) -> Work:
        """A work that fails, with its cause."""

    async def prepare(self, field: Field, works: Sequence[Work]) -> list[Fields]:
        """Make the rows that the works need; gives the fields of each job. The same rows on each new database."""

    async def effects(self, field: Field, jobs: Sequence[Fields]) -> list[str]:
        """What there is of the effect of each job, as a text that is equal for equal effects."""

    def is_effect(self, message: str) -> bool:
        """Whether a log line is written by the effect, in its own transaction."""

    def done(self, stages: Mapping[str, str]) -> bool:
        """Whether a revoked job's effect must be there, by the states of its stages; else nothing of it may be."""


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
    ("interval", {"minute_interval": None}),
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

    async def prepare(self, field: Field, works: Sequence[Work]) -> list[Fields]:
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

    def is_effect(self, message: str) -> bool:
        return message.startswith("Added ")

    def done(self, stages: Mapping[str, str]) -> bool:
        return stages.get(self.key) == "SUCCESS"


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

    async def prepare(self, field: Field, works: Sequence[Work]) -> list[Fields]:
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

    def is_effect(self, message: str) -> bool:
        return message.endswith("after regrouping.")

    def done(self, stages: Mapping[str, str]) -> bool:
        return stages.get(self.key) == "SUCCESS"


MAKERS: dict[str, Maker] = {Populate.key: Populate(), Regroup.key: Regroup()}


class NoMaker(Exception):
    """A job type that the run would leave out."""


def require(keys: Sequence[str], makers: Mapping[str, Maker] = MAKERS) -> None:
    """Raises NoMaker if a job type has no maker: a run without it would promise too much."""
    missing = sorted(set(keys) - set(makers))
    if missing:
        raise NoMaker(f"no maker in tests/chaos/makers.py for: {', '.join(missing)}")


def of(work: Work) -> Maker:
    return MAKERS[work.job_type]
