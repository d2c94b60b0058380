"""Storage sources: where captures come from, and whether they can be had there (domain 1.2, 3.6, 8)."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import Response

from api.auth import permissions
from api.crud.fields import (
    Reference,
    Regex,
    StoreAddress,
    Text,
    Url,
    object_schema,
    parse_apart,
    request_body,
)
from api.crud.filters import TIMES, Sort
from api.crud.request_context import ContextDep, RequestContext
from api.crud.resource import Resource
from api.crud.view import View
from api.http.errors import ApiError, Invalid, NotFound
from api.http.responses import json_response
from api.related import capture_url
from api.storage_sources import responses
from db import storage_rows
from db.connections import Connection, Row
from storage.egress import Reach
from storage.patterns import InvalidRegex
from storage.probing import probe
from storage.sources import Source, StorageError

PLACE = ("endpoint_url", "bucket", "prefix", "region", "access_key", "secret_key")
"""Fields that say where a source lies, and as whom its store is asked."""
NOWHERE: Row = {**dict.fromkeys(PLACE, ""), "trusted": False}
FOR_SUPERUSERS = "Only superusers can have a source {}."
VOUCHED_FOR = "A superuser vouches for where this source lies: only superusers can change that."

TESTED = {
    "subdir": Text(nullable=True, blank=True, max_length=255),
    "regex_filter": Regex(nullable=True, blank=True, max_length=255),
}


class StorageSources(Resource):
    """Storage: buckets that captures lie in. Keys are taken and never given."""

    path = "storage"
    one = "storage source"
    many = "storage sources"
    noun = "s3storagesource"
    listing = storage_rows.STORAGE
    item_schema = responses.Storage
    detail_schema = responses.Storage
    fields = {
        "name": Text(required=True, max_length=255),
        "bucket": Text(required=True, max_length=255),
        "region": Text(nullable=True, blank=True, max_length=255),
        "prefix": Text(blank=True, max_length=255),
        "access_key": Text(blank=True, max_length=255, help_text="Taken, never given."),
        "secret_key": Text(blank=True, max_length=255, help_text="Taken, never given."),
        "endpoint_url": StoreAddress(
            nullable=True,
            blank=True,
            max_length=255,
            help_text="Of an S3 store; empty for AWS. `file:///…` if the bucket is a folder of this server.",
        ),
        "public_base_url": Url(nullable=True, blank=True, max_length=255),
        "project": Reference(required=True, table="projects"),
    }
    project_field = "project"
    columns = {"project": "project_id"}
    orderings = {"name": Sort("t.name"), "bucket": Sort("t.bucket"), **TIMES}
    searched = ("t.name", "t.bucket")
    looks_ahead = True

    def item(self, row: Row, view: View) -> Any:
        return responses.storage(row, view)

    async def prepare(self, context: RequestContext, values: Mapping[str, Any], row: Row | None) -> None:
        """Look up the name of the store, if it is said where the source lies."""
        if row is not None and set(PLACE).isdisjoint(values):
            return
        address = {**(row or NOWHERE), **values}["endpoint_url"] or ""
        context.known[address] = await context.platform.stores.reach(Source("", endpoint_url=address))

    async def check(
        self, db: Connection, context: RequestContext, values: dict[str, Any], row: Row | None
    ) -> None:
        """Folders and private networks are for superusers, who vouch for what they write; folders lie under a root."""
        before = NOWHERE if row is None else await self._locked(db, row)
        after = {**before, **values}
        moved = [name for name in PLACE if (after[name] or "") != (before[name] or "")]
        source = Source(after["bucket"], after["prefix"], endpoint_url=after["endpoint_url"], trusted=True)
        reach = context.known.get(source.endpoint_url or "", Reach.UNKNOWN)
        if not source.endpoint_url:
            reach = Reach.ALLOWED
        if context.user is not None and context.user.is_superuser:
            if not set(PLACE).isdisjoint(values):
                same = "endpoint_url" not in moved
                unsure = reach is Reach.UNKNOWN and same and before["trusted"]
                values["trusted"] = source.is_folder or reach is Reach.PRIVATE or unsure
        elif moved:
            if before["trusted"]:
                raise Invalid({name: [VOUCHED_FOR] for name in moved})
            if reach is Reach.PRIVATE:
                what = "be a folder of the server" if source.is_folder else "in a network that is not public"
                raise Invalid({"endpoint_url": [FOR_SUPERUSERS.format(what)]})
        if source.is_folder and moved:
            await self._check_folder(context, source)

    async def _locked(self, db: Connection, row: Row) -> Row:
        """Where a source lies, keys and all; nobody moves it until the end of the transaction."""
        await self.listing.lock(db, row["id"])
        access = await storage_rows.access(db, row["id"])
        if access is None:
            raise NotFound
        return access

    async def _check_folder(self, context: RequestContext, source: Source) -> None:
        try:
            await asyncio.to_thread(context.platform.stores.folders.top, source)
        except StorageError as error:
            raise Invalid({"endpoint_url": [f"{error}."]}) from error

    async def test(self, item_id: str, context: ContextDep) -> Response:
        """Look whether the store can be reached, and whether there are captures where they should be."""
        wanted = await self.wanted(context)
        async with context.platform.database.autocommit() as db:
            row = await self.find(db, context, item_id, wanted)
            permissions.require(context.user, "test_s3storagesource", self.project_of(row))
            access = await storage_rows.access(db, row["id"])
        if access is None:
            raise NotFound
        given = await parse_apart(TESTED, (await context.body()).values)
        # without a connection to the database in hand: a store may take its time
        try:
            found = await probe(
                context.platform.stores, Source(**access), given.get("subdir"), given.get("regex_filter")
            )
        except InvalidRegex as error:
            raise Invalid({"regex_filter": [str(error)]}) from error
        except StorageError as error:
            raise ApiError(400, {"detail": str(error), "code": error.code}) from error
        async with context.platform.database.autocommit() as db:
            await storage_rows.mark_checked(db, row["id"])
        # no capture yet, so no address that names one; that of a file in a folder would
        first = {"path": found.first, "public_base_url": None, "source": access}
        folder = Source(**access).is_folder
        url = found.first if folder or found.first is None else capture_url(first, context.view)
        return json_response(responses.storage_tested(found, url))


sources = StorageSources()
resources = (sources,)
routers = (sources.router(),)
routers[0].add_api_route(
    "/{item_id}/test/",
    sources.test,
    methods=["POST"],
    operation_id="test_storage_source",
    summary="Test the connection to a storage source",
    responses={200: {"description": "What was found.", "model": responses.StorageTested}},
    response_model=None,
    openapi_extra={"requestBody": request_body(object_schema(TESTED))},
)
