"""Create, change and delete, and a noun's own actions: one order of checks, each in one transaction."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from fastapi import Response
from psycopg.errors import ForeignKeyViolation, UniqueViolation

from api.auth import permissions
from api.crud import fields
from api.crud.fields import Reference
from api.crud.reading import Reading
from api.crud.request_context import ContextDep, Reply, RequestContext
from api.http import queries
from api.http.errors import ApiError, Invalid, NotFound
from db import writing
from db.connections import Connection, Row
from db.listing import Wanted


class Changing(Reading):
    """What writes; each answers with what is there then."""

    async def create(self, context: ContextDep) -> Response:
        """Make one."""
        permissions.require_somebody(context.user)
        body = await context.body()
        parsed = await fields.parse_apart(self.fields, body.values, form=body.form)
        await self.prepare(context, parsed, None)

        async def work(db: Connection) -> Reply:
            values = dict(parsed)  # which the checks may add to
            project_id = values.get(self.project_field)
            await self.check_references(db, context, values, project_id)
            await self.check_may_create(context, values, project_id)
            await self.check(db, context, values, None)
            with self.refusing_conflicts(context, values):
                item_id, after_commit = await self.make(db, context, values)
            row = await self.find(db, context, item_id)
            return replace(await self.made(context, row), after_commit=after_commit)

        return await context.write(work)

    @contextmanager
    def refusing_conflicts(self, context: RequestContext, values: Mapping[str, Any]) -> Iterator[None]:
        """Raises what is wrong where only the database knows it, be it since this very moment.

        Invalid for a value that another row has, or for the id of a row that is no more; NotFound if what the path
        names, or what that belongs to, is no more.
        """
        try:
            yield
        except UniqueViolation as error:
            taken = self.unique.get(error.diag.constraint_name or "")
            if taken is None:
                raise
            field, message = taken
            raise Invalid({field: [message]}) from error
        except ForeignKeyViolation as error:
            name = self._naming(writing.broken_reference(error, self.listing.table))
            if values.get(name) is not None:
                raise Invalid({name: [fields.does_not_exist(values[name])]}) from error
            if context.request.path_params:
                raise NotFound from error
            raise

    def _naming(self, column: str | None) -> str:
        """The field that says which row a column names."""
        names = {self.columns.get(name, name): name for name in self.fields}
        return {**names, **self.named_by}.get(column or "", "")

    async def made(self, context: RequestContext, row: Row) -> Reply:
        """The answer to a create."""
        body = self.detail(row, context.view)
        return Reply(body, 201, {"Location": body["details"]})

    async def replace(self, item_id: str, context: ContextDep) -> Response:
        """Change it; what is required must be sent, what is left out stays as it is."""
        return await self._change(item_id, context, partial=False)

    async def edit(self, item_id: str, context: ContextDep) -> Response:
        """Change what is sent."""
        return await self._change(item_id, context, partial=True)

    async def _change(self, item_id: str, context: RequestContext, *, partial: bool) -> Response:
        body = await context.body()
        wanted = await self.wanted(context)
        if self.looks_ahead:
            # whatever is wrong is said below, in its order
            with suppress(ApiError):
                await self._look_ahead(context, item_id, wanted, partial=partial)

        async def work(db: Connection) -> Reply:
            row = await self.find_to_change(db, context, item_id, wanted)
            project_id = self.project_of(row)
            permissions.require(context.user, f"update_{self.noun}", project_id)
            values = await fields.parse_apart(self.fields, body.values, partial=partial, form=body.form)
            await self.check_references(db, context, values, project_id)
            if values.get(self.project_field, project_id) != project_id:
                raise Invalid({self.project_field: [f"A {self.one} cannot move to another project."]})
            await self.check(db, context, values, row)
            with self.refusing_conflicts(context, values):
                after_commit = await self.update(db, context, row, values)
            row = await self.find(db, context, row["id"])
            return Reply(self.detail(row, context.view), after_commit=after_commit)

        return await context.write(work)

    async def _look_ahead(
        self, context: RequestContext, item_id: str, wanted: Wanted, *, partial: bool
    ) -> None:
        """Prepare for a change by who may make it; raises ApiError if there will be none."""
        body = await context.body()
        async with context.platform.database.autocommit() as db:
            row = await self.find(db, context, item_id, wanted)
        permissions.require(context.user, f"update_{self.noun}", self.project_of(row))
        values = await fields.parse_apart(self.fields, body.values, partial=partial, form=body.form)
        await self.prepare(context, values, row)

    async def delete(self, item_id: str, context: ContextDep) -> Response:
        """Remove it."""
        wanted = await self.wanted(context)

        async def work(db: Connection) -> Reply:
            row = await self.find_to_change(db, context, item_id, wanted)
            permissions.require(context.user, f"delete_{self.noun}", self.project_of(row))
            return Reply(None, 204, after_commit=await self.remove(db, context, row))

        return await context.write(work)

    async def run_action(
        self,
        context: RequestContext,
        item_id: str,
        permission: str | None,
        work: Callable[[Connection, Row], Awaitable[Reply]],
    ) -> Response:
        """An action on one of them by who holds the permission on its project."""
        wanted = await self.wanted(context)

        async def work_on_row(db: Connection) -> Reply:
            row = await self.find_to_change(db, context, item_id, wanted)
            if permission is not None:
                permissions.require(context.user, permission, self.project_of(row))
            with self.refusing_conflicts(context, {}):
                return await work(db, row)

        return await context.write(work_on_row)

    async def find_to_change(
        self, db: Connection, context: RequestContext, item_id: str, wanted: Wanted
    ) -> Row:
        """The same for who changes it; with If-Match only the version that the caller knows, alone from here on."""
        if context.is_conditional:
            await self.listing.lock(db, queries.row_id(item_id))
        row = await self.find(db, context, item_id, wanted)
        if context.is_conditional:
            context.check_unchanged(self.detail(row, context.view))
        return row

    async def check_references(
        self, db: Connection, context: RequestContext, values: Mapping[str, Any], project_id: int | None
    ) -> None:
        """Raises Invalid for fields that name rows which are not there, are of another project, or unseen."""
        named = [
            (name, field.table, values.get(name))
            for name, field in self.fields.items()
            if isinstance(field, Reference)
        ]
        absent = await writing.missing(db, named, project_id, viewer=context.viewer)
        if absent:
            raise Invalid({name: [fields.does_not_exist(values[name])] for name in absent})
