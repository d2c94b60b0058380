"""The rows of the demo projects, made by a few statements with seeded randomness. None commits."""

from collections.abc import Mapping
from dataclasses import dataclass

from db import project_rows, session_rows, station_rows, writing
from db.connections import Connection, every, one, value

PROJECT = "Insectarium de Montréal"
CAPTURE_SET = "Insectarium, End of every night"
STATIONS = ("Insectarium", "Jardin botanique", "Parc Frédéric-Back")
NIGHTS = 403
FIRST_NIGHT = "2022-05-01"
SEED = 1146

_FIND = """
SELECT p.id AS project_id, c.id AS set_id
FROM projects p JOIN source_image_collections c ON c.project_id = p.id AND c.name = %(capture_set)s
WHERE p.name = %(project)s AND p.active ORDER BY p.id LIMIT 1
"""
_ADD_PROJECT = """
INSERT INTO projects (name, description, owner_id)
VALUES (%(project)s, 'Moths at the lights of Montréal: a demonstration with made-up captures.', %(owner_id)s)
RETURNING id
"""
_ADD_STATIONS = """
INSERT INTO deployments (name, project_id, latitude, longitude)
SELECT s.name, %(project_id)s, 45.55 + s.n * 0.01, -73.56 - s.n * 0.01
FROM unnest(CAST(%(stations)s AS text[])) WITH ORDINALITY AS s (name, n)
"""
# the nights go round the stations; each begins between 20:00 and 22:00
_ADD_SESSIONS = """
INSERT INTO events (project_id, deployment_id, group_by, start)
SELECT %(project_id)s, d.id, night::date::text, night + interval '20 hours' + random() * interval '2 hours'
FROM generate_series(0, %(nights)s - 1) AS n
CROSS JOIN LATERAL (SELECT CAST(%(first_night)s AS timestamp) + (n / %(stations)s) * interval '1 day') AS t (night)
JOIN (
    SELECT id, row_number() OVER (ORDER BY id) - 1 AS place FROM deployments WHERE project_id = %(project_id)s
) d ON d.place = n %% %(stations)s
ORDER BY n
"""
# a capture every five minutes or so, for three to eight hours
_ADD_CAPTURES = """
INSERT INTO source_images (project_id, deployment_id, event_id, path, timestamp, width, height, size)
SELECT %(project_id)s, c.deployment_id, c.event_id,
       format('%%s/%%s.jpg', c.deployment_id, to_char(c.at, 'YYYYMMDDHH24MISS')), c.at,
       4096, 2160, 400000 + floor(random() * 1600000)
FROM (
    SELECT e.id AS event_id, e.deployment_id,
           date_trunc('second', e.start + n * interval '5 minutes' + random() * interval '1 minute') AS at
    FROM (
        SELECT *, 36 + floor(random() * 60)::int AS most
        FROM events WHERE project_id = %(project_id)s ORDER BY id
    ) e CROSS JOIN LATERAL generate_series(0, e.most) AS n
    ORDER BY e.id, n
) c
"""
_SET_ENDS = """
UPDATE events e SET start = c.first, "end" = c.last
FROM (
    SELECT event_id, min(timestamp) AS first, max(timestamp) AS last
    FROM source_images WHERE project_id = %(project_id)s GROUP BY event_id
) c WHERE c.event_id = e.id
"""
_ADD_SET = """
INSERT INTO source_image_collections (name, project_id, method, kwargs)
VALUES (%(capture_set)s, %(project_id)s, 'last_and_random_from_each_event', '{"num_each": 0}')
RETURNING id
"""


_ADD_OWNER = """
INSERT INTO project_members (project_id, user_id, role) VALUES (%(project_id)s, %(owner_id)s, 'ProjectManager')
"""


async def _ids(db: Connection, table: str, project_id: int) -> list[int]:
    statement = f"SELECT id FROM {table} WHERE project_id = %(project_id)s"
    return [row["id"] for row in await every(db, statement, {"project_id": project_id})]


async def _be_alone(db: Connection) -> None:
    """Two that start at once must not make a project twice."""
    await db.execute("SELECT pg_advisory_xact_lock(%(key)s)", {"key": SEED})


async def find_or_make(db: Connection, owner_id: int) -> tuple[int, int]:
    """The demo project and its capture set, by their ids; made if there are none yet."""
    names = {"project": PROJECT, "capture_set": CAPTURE_SET}
    await _be_alone(db)
    there = await one(db, _FIND, names)
    if there is not None:
        return there["project_id"], there["set_id"]
    await db.execute("SELECT setseed(0.1146)")
    project_id: int = await value(db, _ADD_PROJECT, {**names, "owner_id": owner_id})
    values = {"project_id": project_id, "nights": NIGHTS, "first_night": FIRST_NIGHT}
    await db.execute(_ADD_STATIONS, {**values, "stations": list(STATIONS)})
    await db.execute(_ADD_SESSIONS, {**values, "stations": len(STATIONS)})
    await db.execute(_ADD_CAPTURES, values)
    await db.execute(_SET_ENDS, values)
    await db.execute(_ADD_OWNER, {**values, "owner_id": owner_id})
    await session_rows.refresh(db, await _ids(db, "events", project_id))
    await station_rows.refresh(db, await _ids(db, "deployments", project_id))
    set_id: int = await value(db, _ADD_SET, {**names, **values})
    return project_id, set_id


SHEET_PROJECT = "Moths on a sheet"
SHEET_SET = "Last of every night"
SHEET_STATIONS = {
    "saraguay": ("Bois-de-Saraguay", 45.519, -73.744),
    "ile-bizard": ("Île Bizard", 45.509, -73.879),
    "mont-saint-hilaire": ("Mont Saint-Hilaire", 45.552, -73.151),
}
"""By the folder that the pictures of each lie in: its name, and where it stands."""

_FIND_SHEET = """
SELECT p.id AS project_id, s.id AS source_id, c.id AS set_id
FROM projects p
JOIN storage_sources s ON s.project_id = p.id
JOIN source_image_collections c ON c.project_id = p.id AND c.name = %(capture_set)s
WHERE p.name = %(project)s AND p.active ORDER BY p.id, s.id LIMIT 1
"""


@dataclass(frozen=True)
class Sheet:
    """The demo project that has pictures, by the ids of what is in it."""

    project_id: int
    source_id: int
    set_id: int


async def find_or_make_sheet(db: Connection, owner_id: int, store: Mapping[str, str | bool | None]) -> Sheet:
    """The project whose captures are yet to be synced; made if there is none yet.

    `store` says where the pictures lie now, as columns of the storage source.
    """
    await _be_alone(db)
    there = await one(db, _FIND_SHEET, {"project": SHEET_PROJECT, "capture_set": SHEET_SET})
    if there is None:
        return await _make_sheet(db, owner_id, store)
    await writing.update(db, "storage_sources", there["source_id"], store)
    return Sheet(**there)


async def _make_sheet(db: Connection, owner_id: int, store: Mapping[str, str | bool | None]) -> Sheet:
    about = "Moths at lamps around Montréal: a demonstration with drawn pictures."
    project_id = await writing.insert(
        db, "projects", {"name": SHEET_PROJECT, "description": about, "owner_id": owner_id}
    )
    of_project = {"project_id": project_id}
    await project_rows.set_role(db, project_id, owner_id, "ProjectManager")
    source_id = await writing.insert(db, "storage_sources", {"name": "Pictures", **of_project, **store})
    for folder, (name, latitude, longitude) in SHEET_STATIONS.items():
        place = {"data_source_id": source_id, "data_source_subdir": folder}
        where = {"latitude": latitude, "longitude": longitude}
        await writing.insert(db, "deployments", {"name": name, **of_project, **place, **where})
    method = {"method": "last_and_random_from_each_event", "kwargs": {"num_each": 0}}
    set_id = await writing.insert(db, "source_image_collections", {"name": SHEET_SET, **of_project, **method})
    return Sheet(project_id, source_id, set_id)
