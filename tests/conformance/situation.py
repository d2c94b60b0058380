"""Rebuilds the state that the recorded server was in, under the same ids, so that answers can be compared."""

from collections.abc import Iterable, Mapping
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from api.auth.authentication import hash_password
from api.auth.tokens import new_token
from db import station_rows, user_rows
from db.connections import Connection, Database
from storage.sources import Source
from tests.conformance.bucket import BUCKET, RECORDED
from tests.conformance.comparing import as_meant
from tests.golden import GOLDEN, recorded

ZONE = "America/New_York"
"""Of the times that were recorded."""

DAY, LONG_AGO = "2026-11-23", "2020-11-23"
"""When it was recorded, and when it happened here."""

ADMIN = 3
PEOPLE = {"manager": 4, "mldm": 5, "researcher": 6, "member": 7, "outsider": 8}
ROLES = {4: "ProjectManager", 5: "MLDataManager", 6: "Researcher", 7: "BasicMember"}
PROJECT, DRAFT = 2, 3
CAPTURES = 215

# sessions: the station, when they begin and end, how many captures they have, and on how many something was found
SESSIONS = {
    1: (4, "1999-12-31T23:59:59", "1999-12-31T23:59:59", 1, 1),
    2: (4, "2023-08-01T22:30:00", "2023-08-02T02:35:00", 52, 3),
    3: (4, "2023-08-02T22:30:00", "2023-08-03T02:35:00", 50, 20),
    4: (4, "2023-08-03T22:30:00", "2023-08-04T02:35:00", 50, 12),
    5: (4, "2023-08-04T22:30:00", "2023-08-05T02:35:00", 50, 0),
    6: (5, "2023-08-01T22:30:00", "2023-08-01T23:30:00", 6, 0),
    7: (5, "2023-08-02T22:30:00", "2023-08-02T23:30:00", 6, 0),
}
# captures that occur in answers
SEEN = {
    1: (2, "station-1/night-0/2023-08-01-22-35-00_0001.jpg", "2023-08-01T22:35:00", None),
    13: (2, "station-1/night-0/20230801T232000-0010.jpg", "2023-08-01T23:20:00", None),
    201: (1, "station-1/odd/19991231235959.jpg", "1999-12-31T23:59:59", 2506),
    204: (6, "station-2/20230801223000.jpg", "2023-08-01T22:30:00", 2511),
}
SETS: dict[int, tuple[str, dict[str, Any]]] = {
    4: ("full", {}),
    5: ("random", {"size": 17}),
    6: ("interval", {"minute_interval": 30}),
    7: ("manual", {}),
    8: ("random_from_each_event", {"num_each": 2}),
    9: ("last_and_random_from_each_event", {"num_each": 2}),
    10: ("greatest_file_size_from_each_event", {"num_each": 2}),
    11: ("detections_only", {}),
    12: ("common_combined", {}),
    13: ("full_hours", {"hour_start": 23, "hour_end": 1}),
}
# jobs that no recorded answer shows, but their counts include
UNSEEN: dict[int, dict[str, Any]] = {
    2: {"job_type_key": "data_storage_sync", "deployment_id": 5},
    4: {"job_type_key": "data_storage_sync", "deployment_id": 6},
    6: {"job_type_key": "data_storage_sync", "deployment_id": 5},
    7: {"job_type_key": "data_storage_sync", "deployment_id": 6, "status": "FAILURE"},
    **{set_id + 6: {"source_image_collection_id": set_id} for set_id in range(4, 14)},
    13: {"source_image_collection_id": 7, "status": "FAILURE"},
    **{job_id: {"source_image_collection_id": 4, "status": "CREATED"} for job_id in range(42, 47)},
    **{job_id: {"source_image_collection_id": 4} for job_id in (48, 49)},
}
# jobs that no recorded list shows
OVER = (
    "job_detail_data_storage_sync",
    "job_detail_data_storage_sync_failed_nosource",
    "job_detail_regroup_events_failed",
)


def jobs_in(value: Any) -> Iterable[dict[str, Any]]:
    """The jobs of an answer, wherever they stand."""
    if isinstance(value, dict):
        if "progress" in value and "job_type" in value:
            yield value
        for inner in value.values():
            yield from jobs_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from jobs_in(inner)


class Situation:
    """The rows of the recorded server in a database of ours, and tokens of its people."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.tokens: dict[str, str] = {}
        self.jobs: dict[int, dict[str, Any]] = {}

    # rows -----------------------------------------------------------------------------------------------------

    async def put(self, table: str, *rows: Mapping[str, Any]) -> None:
        """Add rows; times are said in the zone of the recordings."""
        async with self.database.transaction() as db:
            await db.execute(f"SET LOCAL TIME ZONE '{ZONE}'")
            for row in rows:
                await _insert(db, table, row)

    async def next_id(self, table: str, number: int) -> None:
        """The next row of a table gets that id."""
        async with self.database.transaction() as db:
            statement = sql.SQL("ALTER TABLE {} ALTER id RESTART WITH {}")
            await db.execute(statement.format(sql.Identifier(table), sql.Literal(number)))

    async def person(self, name: str, user_id: int, email: str, **more: Any) -> None:
        """A user, who can send requests from now on."""
        await self.put("users", {"id": user_id, "email": email, **more})
        await self.token(name, user_id)

    async def token(self, name: str, user_id: int) -> None:
        key, key_hash = new_token()
        async with self.database.transaction() as db:
            await user_rows.add_token(db, user_id, "test", key_hash)
        self.tokens[name] = key

    # what was there -------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """A superuser with one project, as it is when it was just made."""
        await self.person(
            "admin",
            ADMIN,
            "antenna@insectai.org",
            is_superuser=True,
            password_hash=hash_password("localadmin"),
        )
        project = recorded("projects_detail").body
        flags = {"async_pipeline_workers": True}
        await self.put(
            "projects",
            {
                **{name: project[name] for name in ("id", "name", "description", "created_at", "updated_at")},
                "owner_id": ADMIN,
                "feature_flags": flags,
            },
        )
        await self.put(
            "project_members",
            {"id": 2, "project_id": PROJECT, "user_id": ADMIN, "role": "BasicMember"},
        )
        await self.next_id("project_members", 3)
        await self.put("devices", {"id": 2, "name": "Default Device", "project_id": PROJECT})
        await self.put("sites", {"id": 2, "name": "Default Site", "project_id": PROJECT})
        await self.put(
            "deployments",
            {
                "id": 3,
                "name": "Default Station",
                "project_id": PROJECT,
                "latitude": 0,
                "longitude": 0,
                "device_id": 2,
                "research_site_id": 2,
            },
        )
        await self.put("source_image_collections", {"id": 2, "name": "All Images", "project_id": PROJECT})

    async def settle(self, source: Source = RECORDED) -> None:
        """People, and stations whose captures are still where the storage source has them."""
        await self.begin()
        for name, user_id in PEOPLE.items():
            await self.person(name, user_id, f"{name}@example.org")
        members = [
            {"project_id": PROJECT, "user_id": user_id, "role": role} for user_id, role in ROLES.items()
        ]
        await self.put("project_members", *members)
        await self.put("projects", {"id": DRAFT, "name": "Second project", "draft": True, "owner_id": ADMIN})
        await self.put(
            "storage_sources", {"id": 2, "name": "Golden bucket", "project_id": PROJECT, **vars(source)}
        )
        await self._stations()

    async def fill(self) -> None:
        """The same with captures, sets and models."""
        await self.settle()
        await self._captures()
        sets = [
            {"id": set_id, "name": f"Set {name}", "project_id": PROJECT, "kwargs": kwargs}
            | {"method": "full" if name == "full_hours" else name}
            for set_id, (name, kwargs) in SETS.items()
        ]
        await self.put("source_image_collections", *sets)
        await self._models()

    async def _stations(self) -> None:
        place = {"latitude": 45.5, "longitude": -73.5, "project_id": PROJECT}
        stored = {**place, "data_source_id": 2}
        await self.put(
            "deployments",
            {"id": 4, "name": "Golden station-1", "data_source_subdir": "station-1", **stored},
            {"id": 5, "name": "Golden station-2", "data_source_subdir": "station-2", **stored},
            {"id": 6, "name": "Wrong URL", **stored},
            {"id": 7, "name": "No source", **place, "latitude": 1, "longitude": 2},
            {"id": 8, "name": "Default Station", "project_id": DRAFT},
        )

    async def _captures(self) -> None:
        sessions, captures, detections = [], [], []
        free = (number for number in reversed(range(1, CAPTURES + 1)) if number not in SEEN)
        for session_id, (station, start, end, count, found) in SESSIONS.items():
            sessions.append(
                {"id": session_id, "project_id": PROJECT, "deployment_id": station, "group_by": start[:10]}
                | {"start": start, "end": end, "captures_count": count}
            )
            own = [number for number, seen in SEEN.items() if seen[0] == session_id]
            own += [next(free) for _ in range(count - len(own))]
            for capture_id in own:
                _, path, at, size = SEEN.get(capture_id, (0, f"{capture_id}.jpg", end, None))
                captures.append(
                    {"id": capture_id, "project_id": PROJECT, "deployment_id": station, "size": size}
                    | {"event_id": session_id, "path": f"demo/{path}", "timestamp": at}
                    | {"width": 320, "height": 240, "public_base_url": BUCKET}
                )
            boxes: list[list[int] | None] = [[1, 1, 2, 2]] * found
            if session_id in (5, 6):
                # looked at, and nothing there
                boxes = [None] * 2
            at = "2026-11-23T09:09:25.178177"
            detections += [
                {"source_image_id": number, "bbox": box, "created_at": at}
                for number, box in zip(own, boxes, strict=False)
            ]
        await self.put("events", *sessions)
        await self.put("source_images", *captures)
        await self.put("detections", *detections)
        async with self.database.transaction() as db:
            await station_rows.refresh(db, [4, 5])

    async def fill_set(self) -> None:
        """Put all captures into the set of everything."""
        members = [{"collection_id": 4, "source_image_id": number} for number in range(1, CAPTURES + 1)]
        await self.put("source_image_collection_images", *members)
        async with self.database.transaction() as db:
            await db.execute(
                "UPDATE source_image_collections SET images_count = %s WHERE id = 4", (CAPTURES,)
            )

    async def forget_detections(self) -> None:
        """Nothing has been looked at."""
        async with self.database.transaction() as db:
            await db.execute("DELETE FROM detections")

    async def _models(self) -> None:
        pipelines = recorded("ml_pipelines_list").body["results"]
        names = ("id", "name", "slug", "description", "stages", "created_at", "updated_at")
        for pipeline in pipelines:
            await self.put("pipelines", {name: pipeline[name] for name in names})
            for position, each in enumerate(pipeline["algorithms"]):
                labels = (each["category_map"] or {"id": None})["id"]
                names_of_model = ("id", "name", "key", "description", "uri", "version", "version_name")
                model = {name: each[name] for name in (*names_of_model, "task_type")}
                if labels is not None:
                    await self.put("category_maps", {"id": labels})
                await self.put("algorithms", {**model, "category_map_id": labels})
                await self.put(
                    "pipeline_algorithms",
                    {"pipeline_id": pipeline["id"], "algorithm_id": each["id"], "position": position},
                )
            for config in pipeline["project_pipeline_configs"]:
                await self.put(
                    "project_pipeline_configs",
                    {"id": config["id"], "project_id": PROJECT, "pipeline_id": pipeline["id"]},
                )
        services = {each["id"]: each for each in pipelines[0]["processing_services"]}
        for service in services.values():
            await self.service(service, [pipeline["id"] for pipeline in pipelines], [PROJECT])

    async def service(self, service: Mapping[str, Any], pipelines: list[int], projects: list[int]) -> None:
        """A processing service, with what it offers and for whom."""
        names = ("id", "name", "endpoint_url", "last_seen", "last_seen_live")
        await self.put("processing_services", {name: service[name] for name in names})
        for pipeline_id in pipelines:
            await self.put(
                "processing_service_pipelines",
                {"processing_service_id": service["id"], "pipeline_id": pipeline_id},
            )
        for project_id in projects:
            await self.put(
                "processing_service_projects",
                {"processing_service_id": service["id"], "project_id": project_id},
            )

    async def services_before(self) -> None:
        """The one service that was there at the beginning, and works for both projects."""
        [service] = recorded("ml_services_list").body["results"]
        async with self.database.transaction() as db:
            await db.execute("DELETE FROM processing_services")
        await self.service(service, [each["id"] for each in service["pipelines"]], service["projects"])

    async def exports(self) -> None:
        """The files that were made, and the jobs that made them."""
        names = ("id", "format", "filters", "filters_display", "file_url", "record_count", "file_size")
        for export in recorded("exports_list").body["results"]:
            row = {name: export[name] for name in names}
            await self.put("data_exports", {**row, "project_id": PROJECT, "user_id": export["user"]["id"]})

    # jobs -----------------------------------------------------------------------------------------------------

    async def hold(self, name: str, newest: int) -> None:
        """The jobs that there were when that answer was recorded, up to the newest, as the answer shows them."""
        if not self.jobs:
            self.jobs = dict(_known_jobs())
            await self.exports()
        jobs = {**self.jobs, **{job["id"]: _row(job) for job in jobs_in(recorded(name).body)}}
        async with self.database.transaction() as db:
            await db.execute("DELETE FROM jobs")
        for job_id in sorted(jobs):
            if job_id <= newest:
                stages = jobs[job_id].get("stages", [])
                row = {key: value for key, value in jobs[job_id].items() if key != "stages"}
                await self.put("jobs", row)
                await self.put("job_stages", *stages)


def _known_jobs() -> Iterable[tuple[int, dict[str, Any]]]:
    for job_id, columns in UNSEEN.items():
        kind = {"job_type_key": "populate_captures_collection", "status": "SUCCESS"}
        at = f"2026-11-23T09:08:{job_id:02}.500000"
        row = {"id": job_id, "name": "Populate", "project_id": PROJECT, "created_at": at, **kind, **columns}
        yield job_id, row
    for name in (*OVER, *sorted(path.stem for path in GOLDEN.glob("jobs_list*.json"))):
        for job in jobs_in(recorded(name).body):
            yield job["id"], _row(job)


def _row(job: Mapping[str, Any]) -> dict[str, Any]:
    """A job as the recorded answer has it, as a row with its stages."""
    names = ("id", "name", "delay", "limit", "shuffle", "status", "dispatch_mode")
    times = ("created_at", "updated_at", "started_at", "finished_at")
    links = ("deployment", "source_image_collection", "source_image_single", "pipeline", "data_export")
    row = {name: as_meant(job[name]) for name in (*names, *times)}
    row |= {f"{name}_id": job[name]["id"] for name in links if job[name] is not None}
    row |= {"project_id": job["project"]["id"], "job_type_key": job["job_type"]["key"]}
    stages = [
        {**stage, "job_id": job["id"], "position": position, "updated_at": job["created_at"]}
        for position, stage in enumerate(as_meant(job["progress"]["stages"]))
    ]
    return {**row, "stages": stages}


async def _insert(db: Connection, table: str, row: Mapping[str, Any]) -> None:
    values = [_value(each) for each in row.values()]
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join([sql.Placeholder()] * len(row)),
    )
    await db.execute(statement, values)


def _value(value: Any) -> Any:
    if isinstance(value, dict | list):
        return Jsonb(value)
    # long ago, so that no answer depends on the day of the test
    return value.replace(DAY, LONG_AGO) if isinstance(value, str) else value
