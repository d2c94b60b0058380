"""Lists of a noun, and one of its rows: what is seen, filtered, in order, a page at a time."""

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import Response

from api.crud import fields, filters, paging
from api.crud.declaration import Declaration
from api.crud.request_context import ContextDep, RequestContext
from api.crud.view import View
from api.http import queries
from api.http.errors import Invalid, NotFound
from api.http.responses import json_response
from db import writing
from db.connections import Connection, Row
from db.listing import Listing, Wanted


class Reading(Declaration):
    """List and read."""

    async def list(self, context: ContextDep) -> Response:
        """Those that the caller may see, a page at a time."""
        limit, offset = queries.page(context.request, self.default_limit)
        return await self.answer_page(context, self.listing, self.item, limit=limit, offset=offset)

    async def answer_page(
        self,
        context: RequestContext,
        listing: Listing,
        item: Callable[[Row, View], Any],
        *,
        limit: int,
        offset: int,
    ) -> Response:
        """One page of what the listing reads, each row as `item` shows it."""
        wanted = await self.wanted(context, in_list=True)
        viewer = context.viewer

        async def count() -> int:
            async with context.platform.database.autocommit() as db:
                return await listing.count(db, viewer, wanted)

        async def page() -> list[Row]:
            async with context.platform.database.autocommit() as db:
                return await listing.page(db, viewer, wanted, limit=limit, offset=offset)

        # side by side: counting a hundred thousand rows takes longer than reading twenty
        key = (listing.table, viewer, str(wanted.conditions), wanted.project_id)
        total, rows = await asyncio.gather(context.platform.counts.get(key, count), page())
        view = context.view
        return paging.envelope(
            context.request,
            [item(row, view) for row in rows],
            count=total,
            limit=limit,
            offset=offset,
            permissions=["create"] if self.may_create(context, wanted.project_id) else [],
        )

    async def wanted(self, context: RequestContext, *, in_list: bool = False) -> Wanted:
        """Which rows a request is about: project and filters, which narrow details and actions too."""
        project_id = await context.project_id()
        if in_list and self.needs_project:
            await self._check_project(context, project_id)
        conditions = filters.read(context.request, self.filters)
        if conditions:
            async with context.platform.database.autocommit() as db:
                await filters.check_rows(db, self.filters, conditions)
        order: tuple[str, ...] = ()
        if in_list:
            conditions += filters.search(context.request, self.searched) if self.searched else ()
            order = filters.ordering(context.request, self.orderings)
        return Wanted(project_id, conditions, order)

    async def _check_project(self, context: RequestContext, project_id: int | None) -> None:
        """Raises Invalid without a project, NotFound for one that the caller cannot see."""
        if project_id is None and not queries.last(context.request, "project_id"):
            raise Invalid({"project_id": [fields.REQUIRED]})
        named = [("project_id", "projects", project_id or 0)]
        async with context.platform.database.autocommit() as db:
            if await writing.missing(db, named, None, viewer=context.viewer):
                raise NotFound

    async def get(self, item_id: str, context: ContextDep) -> Response:
        """One of them."""
        wanted = await self.wanted(context)
        async with context.platform.database.autocommit() as db:
            row = await self.find(db, context, item_id, wanted)
        return json_response(self.detail(row, context.view))

    async def find(
        self, db: Connection, context: RequestContext, item_id: str | int, wanted: Wanted | None = None
    ) -> Row:
        """The row that a path names; raises NotFound if there is none that the caller may see."""
        number = queries.row_id(item_id)
        row = await self.listing.detail(db, context.viewer, number, wanted or Wanted(), **self.more(context))
        if row is None:
            raise NotFound
        return row
