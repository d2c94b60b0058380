"""Stations with their sites and devices, and the jobs about them (domain 1.2, 3.1, 4.1, 8)."""

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Response

from api.auth import permissions
from api.crud.fields import Number, Reference, Regex, Text
from api.crud.filters import TIMES, RowFilter, Sort
from api.crud.request_context import ContextDep, Reply, RequestContext
from api.crud.resource import Resource
from api.crud.view import View
from api.http import queries
from api.http.errors import NotFound, Refusal
from api.http.request_ids import current_request_id
from api.jobs.responses import JobStarted
from api.stations import responses
from db import grouping_rows, station_rows, writing
from db.connections import Connection, Row
from dispatch.job_service import AfterCommit, Outcome
from jobs.job_type import JobType
from workflows.data_storage_sync import JOB_TYPE as SYNC
from workflows.regroup_events import JOB_TYPE as REGROUP

_NAME = Text(required=True, max_length=255)


class Stations(Resource):
    """Stations: where a camera trap stands, and where its captures come from."""

    path = "deployments"
    one = "station"
    many = "stations"
    noun = "deployment"
    listing = station_rows.STATIONS
    item_schema = responses.StationInList
    detail_schema = responses.Station
    fields = {
        "name": _NAME,
        "description": Text(blank=True),
        "project_id": Reference(required=True, table="projects"),
        "device_id": Reference(nullable=True, table="devices"),
        "research_site_id": Reference(nullable=True, table="sites"),
        "data_source_id": Reference(nullable=True, table="storage_sources"),
        "data_source_subdir": Text(nullable=True, blank=True, max_length=255),
        "data_source_regex": Regex(nullable=True, blank=True, max_length=255),
        "latitude": Number(nullable=True, minimum=-90.0, maximum=90.0),
        "longitude": Number(nullable=True, minimum=-180.0, maximum=180.0),
    }
    filters = {
        "device": RowFilter("t.device_id", table="devices"),
        "research_site": RowFilter("t.research_site_id", table="sites"),
        "data_source": RowFilter("t.data_source_id", table="storage_sources"),
    }
    orderings = {
        "name": Sort("t.name"),
        "captures_count": Sort("t.captures_count"),
        "events_count": Sort("t.events_count"),
        "first_date": Sort("t.first_capture_timestamp", nullable=True),
        "last_date": Sort("t.last_capture_timestamp", nullable=True),
        **TIMES,
    }
    searched = ("t.name", "t.description")

    def item(self, row: Row, view: View) -> Any:
        return responses.station_in_list(row, view)

    def detail(self, row: Row, view: View) -> Any:
        return responses.station(row, view)

    async def update(
        self, db: Connection, context: RequestContext, row: Row, values: dict[str, Any]
    ) -> AfterCommit | None:
        """A station whose sessions are not what its captures say is grouped again (domain 4.1)."""
        await super().update(db, context, row, values)
        if not await grouping_rows.is_needed(db, row["id"]):
            return None
        return (await _start(db, context, REGROUP, row)).after_commit

    async def sync(self, item_id: str, context: ContextDep) -> Response:
        """Start a job that syncs the station's captures from its storage source."""

        async def work(db: Connection, row: Row) -> Reply:
            if row["data_source_id"] is None:
                raise Refusal("Deployment must have a data source to sync captures from")
            begun = await _start(db, context, SYNC, row)
            body = {"job_id": begun.job_id, "project_id": row["project_id"]}
            return Reply(body, after_commit=begun.after_commit)

        return await self.run_action(context, item_id, "sync_deployment", work)

    async def sync_all(self, context: ContextDep) -> Response:
        """Start a job for each station of a project that has a storage source."""
        permissions.require_somebody(context.user)
        project_id = await context.project_id()
        if project_id is None:
            if queries.last(context.request, "project_id"):
                raise NotFound
            raise Refusal("A project_id is required to sync all stations.")

        async def check_project(db: Connection) -> None:
            named = [("project_id", "projects", project_id)]
            if await writing.missing(db, named, None, viewer=context.viewer):
                raise NotFound

        async def work(db: Connection) -> Reply:
            await check_project(db)
            permissions.require(context.user, "sync_deployment", project_id)
            stations = await station_rows.with_source(db, project_id)
            if not stations:
                # that waited for who deletes some of them, or the project
                await check_project(db)
            begun = [await _start(db, context, SYNC, station) for station in stations]
            job_ids = [each.job_id for each in begun]
            body = {"job_ids": job_ids, "queued": len(job_ids), "project_id": project_id}
            return Reply(body, after_commit=lambda: _after(begun))

        return await context.write(work)

    async def regroup(self, item_id: str, context: ContextDep) -> Response:
        """Start a job that groups the station's captures into sessions."""

        async def work(db: Connection, row: Row) -> Reply:
            begun = await _start(db, context, REGROUP, row)
            body = {"job_id": begun.job_id, "deployment_id": row["id"], "project_id": row["project_id"]}
            return Reply(body, 202, after_commit=begun.after_commit)

        return await self.run_action(context, item_id, "regroup_deployment", work)


MAX_STARTS_PER_REQUEST = 50
"""Jobs that one request tells Temporal of; those after them are delivered by the outbox relay."""


async def _start(db: Connection, context: RequestContext, job_type: JobType, station: Row) -> Outcome:
    """Ask for a job of that type about a station."""
    new = job_type.new(station["project_id"], deployment_id=station["id"])
    return await context.platform.jobs.create(db, new, start=True, request_id=current_request_id())


async def _after(begun: Sequence[Outcome]) -> None:
    """Start the first of them."""
    starts = [each.after_commit for each in begun[:MAX_STARTS_PER_REQUEST] if each.after_commit is not None]
    await asyncio.gather(*(start() for start in starts))


class Sites(Resource):
    """Research sites, which stations belong to."""

    path = "deployments/sites"
    one = "site"
    many = "sites"
    noun = "site"
    listing = station_rows.SITES
    item_schema = responses.Site
    detail_schema = responses.Site
    fields = {
        "name": _NAME,
        "description": Text(blank=True),
        "project": Reference(required=True, table="projects"),
    }
    project_field = "project"
    columns = {"project": "project_id"}
    orderings = {"name": Sort("t.name"), **TIMES}
    searched = ("t.name",)

    def item(self, row: Row, view: View) -> Any:
        return responses.site(row, view)


class Devices(Resource):
    """Devices: kinds of camera traps."""

    path = "deployments/devices"
    one = "device"
    many = "devices"
    noun = "device"
    listing = station_rows.DEVICES
    item_schema = responses.Device
    detail_schema = responses.Device
    fields = Sites.fields
    project_field = "project"
    columns = {"project": "project_id"}
    orderings = {"name": Sort("t.name"), **TIMES}
    searched = ("t.name",)

    def item(self, row: Row, view: View) -> Any:
        return responses.device(row, view)


# what has more in its path comes first: /deployments/sites/ is no station
stations = Stations()
resources = (Sites(), Devices(), stations)
routers: tuple[APIRouter, ...] = tuple(resource.router() for resource in resources)
routers[resources.index(stations)].add_api_route(
    "/{item_id}/sync/",
    stations.sync,
    methods=["POST"],
    operation_id="sync_station",
    summary="Sync a station's captures from its storage source",
    responses={200: {"description": "The job that syncs them.", "model": JobStarted}},
    response_model=None,
)
syncs = APIRouter(prefix="/deployments", tags=["stations"])
syncs.add_api_route(
    "/sync-all/",
    stations.sync_all,
    methods=["POST"],
    operation_id="sync_all_stations",
    summary="Sync all stations of a project",
    responses={200: {"description": "The jobs that sync them.", "model": responses.SyncsStarted}},
    response_model=None,
    openapi_extra={
        "parameters": [queries.parameter("project_id", {"type": "integer", "minimum": 1}, required=True)]
    },
)
routers[resources.index(stations)].add_api_route(
    "/{item_id}/regroup-sessions/",
    stations.regroup,
    methods=["POST"],
    status_code=202,
    operation_id="regroup_station",
    summary="Group a station's captures into sessions",
    responses={202: {"description": "The job that groups them.", "model": responses.RegroupStarted}},
    response_model=None,
)
# before those whose paths have an id in the place of its word
routers = (syncs, *routers)
