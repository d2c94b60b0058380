"""Makes what tests work with: projects, stations, sessions, captures, sets and people, as rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from api.auth.authentication import hash_password
from api.auth.tokens import new_token
from db import user_rows, writing
from db.connections import Database, Row, every, value


@dataclass(frozen=True)
class Person:
    """A user, and a token of theirs."""

    id: int
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Token {self.token}"}


class Field:
    """One project after another, with what belongs to it."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def _value(self, statement: str, **values: Any) -> Any:
        async with self.database.transaction() as db:
            return await value(db, statement, values)

    async def row(self, table: str, **values: Any) -> int:
        """A row of any table; gives its id."""
        async with self.database.transaction() as db:
            return await writing.insert(db, table, values)

    async def read(self, statement: str, **values: Any) -> list[Row]:
        """What a statement gives, for what no answer says."""
        async with self.database.transaction() as db:
            return await every(db, statement, values)

    async def person(
        self, email: str, *, superuser: bool = False, password: str | None = None, **roles: int
    ) -> Person:
        """A user with a token; `roles` are project ids by role."""
        token, token_hash = new_token()
        password_hash = None if password is None else hash_password(password)
        async with self.database.transaction() as db:
            user_id = await user_rows.upsert(db, email, password_hash=password_hash, is_superuser=superuser)
            await user_rows.add_token(db, user_id, "test", token_hash)
            for role, project_id in roles.items():
                await db.execute(
                    "INSERT INTO project_members (project_id, user_id, role) VALUES (%s, %s, %s)",
                    (project_id, user_id, role),
                )
        return Person(user_id, token)

    async def project(self, name: str = "Moths", *, draft: bool = False) -> int:
        return int(
            await self._value(
                "INSERT INTO projects (name, draft) VALUES (%(name)s, %(draft)s) RETURNING id",
                name=name,
                draft=draft,
            )
        )

    async def station(self, project_id: int, name: str = "Station", site_id: int | None = None) -> int:
        return int(
            await self._value(
                """INSERT INTO deployments (name, project_id, research_site_id)
                VALUES (%(name)s, %(project_id)s, %(site_id)s) RETURNING id""",
                name=name,
                project_id=project_id,
                site_id=site_id,
            )
        )

    async def session(self, project_id: int | None, station_id: int, night: str) -> int:
        return int(
            await self._value(
                """INSERT INTO events (project_id, deployment_id, group_by, start)
                VALUES (%(project_id)s, %(station_id)s, %(night)s, '2024-06-01') RETURNING id""",
                project_id=project_id,
                station_id=station_id,
                night=night,
            )
        )

    async def captures(
        self,
        project_id: int,
        station_id: int | None,
        timestamps: Sequence[datetime | None],
        *,
        session_id: int | None = None,
        sizes: Sequence[int | None] | None = None,
    ) -> list[int]:
        """Captures in the order of the timestamps; gives their ids."""
        async with self.database.transaction() as db:
            cursor = await db.execute(
                """INSERT INTO source_images (project_id, deployment_id, event_id, path, timestamp, size)
                SELECT %(project_id)s, %(station_id)s, %(session_id)s, gen_random_uuid()::text, c.at, c.size
                FROM unnest(%(timestamps)s::timestamp[], %(sizes)s::bigint[]) WITH ORDINALITY AS c (at, size, n)
                ORDER BY c.n RETURNING id""",
                {
                    "project_id": project_id,
                    "station_id": station_id,
                    "session_id": session_id,
                    "timestamps": list(timestamps),
                    "sizes": [None] * len(timestamps) if sizes is None else list(sizes),
                },
            )
            return [row["id"] for row in await cursor.fetchall()]

    async def capture_set(
        self, project_id: int, method: str = "full", kwargs: dict[str, Any] | None = None, name: str = "Set"
    ) -> int:
        return int(
            await self._value(
                """INSERT INTO source_image_collections (name, project_id, method, kwargs)
                VALUES (%(name)s, %(project_id)s, %(method)s, %(kwargs)s) RETURNING id""",
                name=name,
                project_id=project_id,
                method=method,
                kwargs=Jsonb(kwargs or {}),
            )
        )

    async def pipeline(self, name: str, slug: str) -> int:
        return int(
            await self._value(
                "INSERT INTO pipelines (name, slug) VALUES (%(name)s, %(slug)s) RETURNING id",
                name=name,
                slug=slug,
            )
        )

    async def members(self, set_id: int) -> set[int]:
        """The captures in a set."""
        async with self.database.transaction() as db:
            cursor = await db.execute(
                "SELECT source_image_id AS id FROM source_image_collection_images WHERE collection_id = %s",
                (set_id,),
            )
            return {row["id"] for row in await cursor.fetchall()}

    async def small_set(
        self, nights: int = 5, method: str = "last_and_random_from_each_event", **kwargs: Any
    ) -> tuple[int, int]:
        """A project with that many nights of ten captures, and a set; gives the ids of both."""
        project_id = await self.project()
        station_id = await self.station(project_id)
        for night in range(nights):
            session_id = await self.session(project_id, station_id, f"2024-06-{night + 1:02}")
            times = [datetime(2024, 6, night + 1, 20, minute) for minute in range(10)]  # noqa: DTZ001
            await self.captures(project_id, station_id, times, session_id=session_id)
        return project_id, await self.capture_set(project_id, method, kwargs or {"num_each": 0})
