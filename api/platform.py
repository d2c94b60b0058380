"""What routes work with, opened once when the application starts."""

from dataclasses import dataclass, field

from api.auth.signed_files import Signer
from api.crud.count_cache import CountCache
from db import project_rows
from db.connections import Database
from dispatch.job_service import JobService
from storage.stores import Stores


@dataclass(frozen=True)
class Platform:
    """Connections, what is remembered between requests, and the few settings that routes need."""

    database: Database
    jobs: JobService
    time_zone: str
    login_attempts: int = 10
    stores: Stores = field(default_factory=Stores)
    signer: Signer | None = None
    instance: str | None = None
    counts: CountCache = field(default_factory=CountCache)
    _projects: set[int] = field(default_factory=set)

    async def existing_project(self, project_id: int | None) -> int | None:
        """The same id if there is, or was, such a project: one query for each project that there is."""
        if project_id is None or project_id in self._projects:
            return project_id
        async with self.database.autocommit() as db:
            if not await project_rows.exists(db, project_id):
                return None
        self._projects.add(project_id)
        return project_id
