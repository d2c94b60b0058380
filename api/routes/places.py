"""Stations with their sites and devices, and the storage that captures come from (domain 1.2, 8)."""

from typing import Any

from fastapi import Response
from typing_extensions import TypedDict

from api import permissions
from api.call import Answer, CallDep
from api.errors import ApiError, Invalid, NotFound
from api.fields import Number, Reference, Regex, Text, Url, object_schema, parse, request_body
from api.filters import TIMES, Sort
from api.filters import Row as RowFilter
from api.resource import Resource
from api.responses import json_response
from api.routes.jobs import started
from api.schemas import places as schema
from api.view import View
from db import station_rows, storage_rows
from db.connections import Connection, Row
from storage.places import InvalidRegex
from storage.probing import probe
from storage.sources import Source, StorageError, url_of

_NAME = Text(required=True, max_length=255)


TESTED = {
    "subdir": Text(nullable=True, blank=True, max_length=255),
    "regex_filter": Regex(nullable=True, blank=True, max_length=255),
}


class RegroupStarted(TypedDict):
    job_id: int
    deployment_id: int
    project_id: int


class Stations(Resource):
    """Stations: where a camera trap stands, and where its captures come from."""

    path = "deployments"
    one = "station"
    many = "stations"
    noun = "deployment"
    listing = station_rows.STATIONS
    item_schema = schema.StationInList
    detail_schema = schema.Station
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
        return schema.station_in_list(row, view)

    def detail(self, row: Row, view: View) -> Any:
        return schema.station(row, view)

    async def regroup(self, item_id: str, call: CallDep) -> Response:
        """Start a job that groups the station's captures into sessions."""

        async def act(db: Connection, row: Row) -> Answer:
            values = {
                "name": f"Regroup sessions for deployment {row['id']}",
                "project_id": row["project_id"],
                "deployment_id": row["id"],
                "job_type_key": "regroup_events",
            }
            job_id, then = await started(db, call, values)
            body = {"job_id": job_id, "deployment_id": row["id"], "project_id": row["project_id"]}
            return Answer(body, 202, then=then)

        return await self.act_on(call, item_id, "regroup_deployment", act)


class Sites(Resource):
    """Research sites, which stations belong to."""

    path = "deployments/sites"
    one = "site"
    many = "sites"
    noun = "site"
    listing = station_rows.SITES
    item_schema = schema.Site
    detail_schema = schema.Site
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
        return schema.site(row, view)


class Devices(Resource):
    """Devices: kinds of camera traps."""

    path = "deployments/devices"
    one = "device"
    many = "devices"
    noun = "device"
    listing = station_rows.DEVICES
    item_schema = schema.Device
    detail_schema = schema.Device
    fields = Sites.fields
    project_field = "project"
    columns = {"project": "project_id"}
    orderings = {"name": Sort("t.name"), **TIMES}
    searched = ("t.name",)

    def item(self, row: Row, view: View) -> Any:
        return schema.device(row, view)


class StorageSources(Resource):
    """Storage: buckets that captures lie in. Keys are taken and never given."""

    path = "storage"
    one = "storage source"
    many = "storage sources"
    noun = "s3storagesource"
    listing = storage_rows.STORAGE
    item_schema = schema.Storage
    detail_schema = schema.Storage
    fields = {
        "name": _NAME,
        "bucket": Text(required=True, max_length=255),
        "region": Text(nullable=True, blank=True, max_length=255),
        "prefix": Text(blank=True, max_length=255),
        "access_key": Text(blank=True, max_length=255, help_text="Taken, never given."),
        "secret_key": Text(blank=True, max_length=255, help_text="Taken, never given."),
        "endpoint_url": Url(nullable=True, blank=True, max_length=255),
        "public_base_url": Url(nullable=True, blank=True, max_length=255),
        "project": Reference(required=True, table="projects"),
    }
    project_field = "project"
    columns = {"project": "project_id"}
    orderings = {"name": Sort("t.name"), "bucket": Sort("t.bucket"), **TIMES}
    searched = ("t.name", "t.bucket")

    def item(self, row: Row, view: View) -> Any:
        return schema.storage(row, view)

    async def test(self, item_id: str, call: CallDep) -> Response:
        """Look whether the store can be reached, and whether there are captures where they should be."""
        wanted = await self.wanted(call)
        async with call.platform.database.single_statements() as db:
            row = await self.find(db, call, item_id, wanted)
            permissions.require(call.user, "test_s3storagesource", self.project_of(row))
            access = await storage_rows.access(db, row["id"])
        if access is None:
            raise NotFound
        given = parse(TESTED, (await call.body()).values)
        source = Source(**access)
        # without a connection to the database in hand: a store may take its time
        try:
            found = await probe(source, given.get("subdir"), given.get("regex_filter"))
            url = None if found.first is None else await url_of(source, found.first, row["public_base_url"])
        except InvalidRegex as error:
            raise Invalid({"regex_filter": [str(error)]}) from error
        except StorageError as error:
            raise ApiError(400, {"detail": str(error), "code": error.code}) from error
        return json_response(schema.storage_tested(found, url))


# what has more in its path comes first: /deployments/sites/ is no station
stations, sources = Stations(), StorageSources()
resources = (Sites(), Devices(), stations, sources)
routers = tuple(resource.router() for resource in resources)
routers[resources.index(stations)].add_api_route(
    "/{item_id}/regroup-sessions/",
    stations.regroup,
    methods=["POST"],
    status_code=202,
    operation_id="regroup_station",
    summary="Group a station's captures into sessions",
    responses={202: {"description": "The job that groups them.", "model": RegroupStarted}},
    response_model=None,
)
routers[resources.index(sources)].add_api_route(
    "/{item_id}/test/",
    sources.test,
    methods=["POST"],
    operation_id="test_storage_source",
    summary="Test the connection to a storage source",
    responses={200: {"description": "What was found.", "model": schema.StorageTested}},
    response_model=None,
    openapi_extra={"requestBody": request_body(object_schema(TESTED))},
)
