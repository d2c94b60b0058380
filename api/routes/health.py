"""Is the process up, and can it do its work? For orchestrators; no version prefix, no token."""

from fastapi import APIRouter, Response
from psycopg import Error as DatabaseError

from api.platform import PlatformDep
from api.responses import json_response
from db.connections import value

router = APIRouter(tags=["health"])


@router.get("/livez")
async def alive() -> Response:
    """The process answers."""
    return json_response({"status": "ok"})


@router.get("/readyz")
async def ready(platform: PlatformDep) -> Response:
    """The database answers; without Temporal requests are still taken, and carried over later."""
    try:
        async with platform.database.single_statements() as db:
            await value(db, "SELECT 1 AS one", {})
    except DatabaseError:
        return json_response({"status": "unavailable", "reasons": ["database"]}, 503)
    return json_response({"status": "ok"})
