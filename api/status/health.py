"""Is the process up, and can it do its work? For orchestrators; no version prefix, no token."""

from importlib.metadata import version
from typing import NotRequired

from fastapi import APIRouter, Request, Response
from psycopg import Error as DatabaseError
from typing_extensions import TypedDict

from api.http.responses import json_response
from api.platform import Platform
from db import schema
from db.connections import value

router = APIRouter(tags=["health"])


class Alive(TypedDict):
    status: str


class Ready(TypedDict):
    """`ok`; `degraded` where requests are taken and carried over later; `unavailable`."""

    status: str
    reasons: list[str]


class Version(TypedDict):
    name: str
    version: str
    api: str
    database_revision: str
    instance: NotRequired[str]
    """Id of the `nightjar up` that it belongs to."""


@router.get("/livez", operation_id="get_livez", response_model=Alive)
async def alive() -> Response:
    """The process answers."""
    return json_response({"status": "ok"})


@router.get(
    "/readyz",
    operation_id="get_readyz",
    response_model=Ready,
    responses={503: {"description": "Requests would fail.", "model": Ready}},
)
async def ready(request: Request) -> Response:
    """Database and Temporal answer. Without Temporal requests are still taken, and carried over later."""
    platform: Platform = request.app.state.platform
    newest = schema.newest()
    try:
        async with platform.database.autocommit() as db:
            revision = await value(db, "SELECT max(version_num) AS revision FROM alembic_version", {})
    except DatabaseError as error:
        reason = f"the database cannot be used: {type(error).__name__}"
        return json_response({"status": "unavailable", "reasons": [reason]}, 503)
    if revision != newest:
        reason = f"the database is at revision {revision}, {newest} is needed: nightjar doctor --fix"
        return json_response({"status": "unavailable", "reasons": [reason]}, 503)
    if not await platform.jobs.launcher.reachable():
        reason = "Temporal cannot be reached: jobs are taken, and start when it is back"
        return json_response({"status": "degraded", "reasons": [reason]})
    return json_response({"status": "ok", "reasons": []})


@router.get("/version", operation_id="get_version", response_model=Version)
async def get_version(request: Request) -> Response:
    """What runs here."""
    platform: Platform = request.app.state.platform
    told = {
        "name": "nightjar",
        "version": version("nightjar"),
        "api": "v2",
        "database_revision": schema.newest(),
    }
    return json_response(told if platform.instance is None else {**told, "instance": platform.instance})
