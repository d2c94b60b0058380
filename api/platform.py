"""What routes work with, opened once when the application starts, and who calls them."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from api.authentication import authenticate
from api.launcher import Launcher
from api.links import Links
from db.connections import Database
from db.job_pages import Viewer
from db.user_rows import User


@dataclass(frozen=True)
class Platform:
    """Connections, and the few settings that routes need."""

    database: Database
    launcher: Launcher
    time_zone: str

    def viewer(self, user: User | None) -> Viewer:
        """How that user sees rows."""
        return Viewer(
            user_id=None if user is None else user.id,
            sees_all=user is not None and user.is_superuser,
            zone=self.time_zone,
        )


def platform_of(request: Request) -> Platform:
    platform: Platform = request.app.state.platform
    return platform


PlatformDep = Annotated[Platform, Depends(platform_of)]


async def caller_of(request: Request, platform: PlatformDep) -> User | None:
    """Who calls; None for anonymous, who costs no query."""
    if "authorization" not in request.headers:
        return None
    async with platform.database.single_statements() as db:
        return await authenticate(db, request)


def links_of(request: Request) -> Links:
    return Links(request)


CallerDep = Annotated[User | None, Depends(caller_of)]
LinksDep = Annotated[Links, Depends(links_of)]
