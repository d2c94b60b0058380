"""The frame of list, create, read, change and delete, which every noun of the API has alike.

A noun says how its rows are read, which fields a client may send, which filters its list has, and who may do what;
the rest is here once: order of checks, transactions, conditional requests, paging, errors.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, ClassVar

from fastapi import APIRouter, Response
from psycopg.errors import UniqueViolation
from pydantic import create_model

from api.auth import permissions
from api.crud import fields, filters, paging
from api.crud.call import Answer, Call, CallDep, Then
from api.crud.fields import Field, Reference
from api.crud.filters import Filter, Sort
from api.crud.values import Permissions
from api.crud.view import View
from api.http import queries
from api.http.errors import ApiError, Invalid, NotFound
from api.http.responses import json_response
from db import writing
from db.connections import Connection, Row
from db.listing import Listing, Wanted

READ_ONLY = frozenset({"list", "get"})
ALL = frozenset({"list", "create", "get", "replace", "edit", "delete"})


def _page_of(schema: type) -> Any:
    """The envelope of a list of these."""
    return create_model(
        f"{schema.__name__}Page",
        count=(int, ...),
        next=(str | None, ...),
        previous=(str | None, ...),
        results=(list[schema], ...),  # type: ignore[valid-type]
        user_permissions=(Permissions, ...),
    )


class Resource:
    """One noun. Subclasses set the attributes, and override the methods where they differ."""

    path: ClassVar[str]
    """Below the prefix, such as `deployments/sites`."""
    one: ClassVar[str]
    """What a single thing is called, in names of operations: `site`."""
    many: ClassVar[str]
    noun: ClassVar[str]
    """What permissions call it: `create_site`."""
    listing: ClassVar[Listing]
    item_schema: ClassVar[type]
    other_item_schema: ClassVar[type | None] = None
    """What one of a list is where a parameter of the list says so."""
    detail_schema: ClassVar[type]
    made_schema: ClassVar[type | None] = None
    """What a create answers, where it is not what a read does."""
    fields: ClassVar[Mapping[str, Field]] = {}
    columns: ClassVar[Mapping[str, str]] = {}
    """The column of a field, where it has another name."""
    project_field: ClassVar[str] = "project_id"
    """The field that says whose it is."""
    filters: ClassVar[Mapping[str, Filter]] = {}
    orderings: ClassVar[Mapping[str, Sort]] = {}
    searched: ClassVar[tuple[str, ...]] = ()
    default_limit: ClassVar[int] = queries.DEFAULT_LIMIT
    operations: ClassVar[frozenset[str]] = ALL
    unique: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """By name of the constraint: the field whose value another one has already, and what is said of it."""
    parameters: ClassVar[Mapping[str, tuple[queries.Query, ...]]] = {}
    """By operation, what it reads from its query besides filters, order and page."""
    needs_project: ClassVar[bool] = False
    """Whether the list is of one project only."""
    looks_ahead: ClassVar[bool] = False
    """Whether a change is prepared for."""

    # what a noun says -----------------------------------------------------------------------------------------

    def item(self, row: Row, view: View) -> Any:
        """One of a list."""
        raise NotImplementedError

    def detail(self, row: Row, view: View) -> Any:
        """One alone."""
        return self.item(row, view)

    async def prepare(self, call: Call, values: Mapping[str, Any], row: Row | None) -> None:
        """Find out what `check` needs and what no transaction waits for (`call.known`); a row that is not locked."""

    async def check(self, db: Connection, call: Call, values: dict[str, Any], row: Row | None) -> None:
        """Raises Invalid for values that do not fit together, or what is there (`row`; null for a new one)."""

    async def insert(self, db: Connection, call: Call, values: dict[str, Any]) -> int:
        return await writing.insert(db, self.listing.table, self._to_columns(values))

    async def make(self, db: Connection, call: Call, values: dict[str, Any]) -> tuple[int, Then | None]:
        """Add a row; gives its id, and what is done once that is committed."""
        return await self.insert(db, call, values), None

    async def update(self, db: Connection, call: Call, row: Row, values: dict[str, Any]) -> Then | None:
        """Change a row; gives what is done once that is committed."""
        await writing.update(db, self.listing.table, row["id"], self._to_columns(values))
        return None

    async def remove(self, db: Connection, call: Call, row: Row) -> Then | None:
        """Remove a row; gives what is done once that is committed."""
        await writing.delete(db, self.listing.table, row["id"])
        return None

    def project_of(self, row: Row) -> int | None:
        project_id: int | None = row["project_id"]
        return project_id

    def may_create(self, call: Call, project_id: int | None) -> bool:
        return "create" in self.operations and permissions.may(call.user, f"create_{self.noun}", project_id)

    # routes ---------------------------------------------------------------------------------------------------

    def router(self) -> APIRouter:
        """The routes of the noun; those of its own actions are added by its module."""
        router = APIRouter(prefix=f"/{self.path}", tags=[self.many])
        page = _page_of(self.item_schema)
        if self.other_item_schema is not None:
            page = page | _page_of(self.other_item_schema)
        name, names = self.one.replace(" ", "_"), self.many.replace(" ", "_")
        detail = {"model": self.detail_schema}
        made = {"model": self.made_schema or self.detail_schema}
        routes: list[tuple[str, str, str, Callable[..., Any], str, int, Any]] = [
            ("list", "/", "GET", self.list, f"list_{names}", 200, {"model": page}),
            ("create", "/", "POST", self.create, f"create_{name}", 201, made),
            ("get", "/{item_id}/", "GET", self.get, f"get_{name}", 200, detail),
            ("replace", "/{item_id}/", "PUT", self.replace, f"replace_{name}", 200, detail),
            ("edit", "/{item_id}/", "PATCH", self.edit, f"edit_{name}", 200, detail),
            ("delete", "/{item_id}/", "DELETE", self.delete, f"delete_{name}", 204, {}),
        ]
        for operation, path, method, endpoint, operation_id, status, answer in routes:
            if operation in self.operations:
                router.add_api_route(
                    path,
                    endpoint,
                    methods=[method],
                    operation_id=operation_id,
                    summary=self._summary(operation),
                    description=(getattr(type(self), operation).__doc__ or "").strip(),
                    status_code=status,
                    responses={status: {"description": "Done.", **answer}},
                    response_model=None,
                    openapi_extra=self._openapi(operation),
                )
        return router

    def _summary(self, operation: str) -> str:
        noun = self.many if operation == "list" else f"a {self.one}"
        words = {"get": "Read", "list": "List", "replace": "Change", "edit": "Change part of"}
        return f"{words.get(operation, operation.capitalize())} {noun}"

    def _openapi(self, operation: str) -> dict[str, Any]:
        said = queries.openapi(self.parameters.get(operation, ()))
        if operation == "list":
            said["parameters"] = [*self._list_parameters(), *said["parameters"]]
        if operation in ("create", "replace", "edit"):
            schema = fields.object_schema(self.fields, partial=operation == "edit")
            said["requestBody"] = fields.request_body(schema)
        return said

    def _list_parameters(self) -> list[dict[str, Any]]:
        found = [queries.parameter(name, each.schema()) for name, each in self.filters.items()]
        if self.orderings:
            text = "Comma list, `-` for descending: " + ", ".join(self.orderings)
            found.append(queries.parameter("ordering", {"type": "string"}, text))
        if self.searched:
            found.append(queries.parameter("search", {"type": "string"}, "Words, all of which must occur."))
        project = queries.parameter(
            "project_id", {"type": "integer", "minimum": 1}, required=self.needs_project
        )
        return [project, *found, *queries.PAGING_PARAMETERS]

    async def list(self, call: CallDep) -> Response:
        """Those that the caller may see, a page at a time."""
        limit, offset = queries.page(call.request, self.default_limit)
        return await self.answer_page(call, self.listing, self.item, limit=limit, offset=offset)

    async def answer_page(
        self, call: Call, listing: Listing, item: Callable[[Row, View], Any], *, limit: int, offset: int
    ) -> Response:
        """One page of what the listing gives, each row as `item` shows it."""
        wanted = await self.wanted(call, in_list=True)
        viewer = call.viewer

        async def count() -> int:
            async with call.platform.database.autocommit() as db:
                return await listing.count(db, viewer, wanted)

        async def page() -> list[Row]:
            async with call.platform.database.autocommit() as db:
                return await listing.page(db, viewer, wanted, limit=limit, offset=offset)

        # side by side: counting a hundred thousand rows takes longer than reading twenty
        key = (listing.table, viewer, str(wanted.conditions), wanted.project_id)
        total, rows = await asyncio.gather(call.platform.counts.get(key, count), page())
        view = call.view
        return paging.envelope(
            call.request,
            [item(row, view) for row in rows],
            count=total,
            limit=limit,
            offset=offset,
            permissions=["create"] if self.may_create(call, wanted.project_id) else [],
        )

    async def wanted(self, call: Call, *, in_list: bool = False) -> Wanted:
        """Which rows a request is about: project and filters, which narrow details and actions too."""
        project_id = await call.project_id()
        if in_list and self.needs_project:
            await self._check_project(call, project_id)
        conditions = filters.read(call.request, self.filters)
        if conditions:
            async with call.platform.database.autocommit() as db:
                await filters.check_rows(db, self.filters, conditions)
        order: tuple[str, ...] = ()
        if in_list:
            conditions += filters.search(call.request, self.searched) if self.searched else ()
            order = filters.ordering(call.request, self.orderings)
        return Wanted(project_id, conditions, order)

    async def _check_project(self, call: Call, project_id: int | None) -> None:
        """Raises Invalid without a project, NotFound for one that the caller cannot see."""
        if project_id is None and not queries.last(call.request, "project_id"):
            raise Invalid({"project_id": [fields.REQUIRED]})
        named = [("project_id", "projects", project_id or 0)]
        async with call.platform.database.autocommit() as db:
            if await writing.missing(db, named, None, viewer=call.viewer):
                raise NotFound

    async def find(self, db: Connection, call: Call, item_id: str | int, wanted: Wanted | None = None) -> Row:
        """The row that a path names; raises NotFound if there is none that the caller may see."""
        number = queries.row_id(item_id)
        row = await self.listing.detail(db, call.viewer, number, wanted or Wanted(), **self.more(call))
        if row is None:
            raise NotFound
        return row

    def more(self, call: Call) -> dict[str, Any]:
        """Values that reading one row needs."""
        return {}

    async def find_to_change(self, db: Connection, call: Call, item_id: str, wanted: Wanted) -> Row:
        """The same for who changes it; with If-Match only the version that the caller knows, alone from here on."""
        if call.is_conditional:
            await self.listing.lock(db, queries.row_id(item_id))
        row = await self.find(db, call, item_id, wanted)
        if call.is_conditional:
            call.check_unchanged(self.detail(row, call.view))
        return row

    async def create(self, call: CallDep) -> Response:
        """Make one."""
        permissions.require_somebody(call.user)
        body = await call.body()
        values = await fields.parse_apart(self.fields, body.values, form=body.form)
        await self.prepare(call, values, None)

        async def act(db: Connection) -> Answer:
            project_id = values.get(self.project_field)
            await self.check_references(db, call, values, project_id)
            await self.check_may_create(call, values, project_id)
            await self.check(db, call, values, None)
            with self.refusing_what_is_taken():
                item_id, then = await self.make(db, call, values)
            row = await self.find(db, call, item_id)
            return replace(await self.made(call, row), then=then)

        return await call.write(act)

    @contextmanager
    def refusing_what_is_taken(self) -> Iterator[None]:
        """Raises Invalid where the database knows of another one, be it made at this very moment."""
        try:
            yield
        except UniqueViolation as error:
            taken = self.unique.get(error.diag.constraint_name or "")
            if taken is None:
                raise
            field, message = taken
            raise Invalid({field: [message]}) from error

    async def made(self, call: Call, row: Row) -> Answer:
        """The answer to a create."""
        body = self.detail(row, call.view)
        return Answer(body, 201, {"Location": body["details"]})

    async def check_may_create(self, call: Call, values: Mapping[str, Any], project_id: int | None) -> None:
        permissions.require(call.user, f"create_{self.noun}", project_id)

    async def get(self, item_id: str, call: CallDep) -> Response:
        """One of them."""
        wanted = await self.wanted(call)
        async with call.platform.database.autocommit() as db:
            row = await self.find(db, call, item_id, wanted)
        return json_response(self.detail(row, call.view))

    async def replace(self, item_id: str, call: CallDep) -> Response:
        """Change it; what is required must be sent, what is left out stays as it is."""
        return await self._change(item_id, call, partial=False)

    async def edit(self, item_id: str, call: CallDep) -> Response:
        """Change what is sent."""
        return await self._change(item_id, call, partial=True)

    async def _change(self, item_id: str, call: Call, *, partial: bool) -> Response:
        body = await call.body()
        wanted = await self.wanted(call)
        if self.looks_ahead:
            # whatever is wrong is said below, in its order
            with suppress(ApiError):
                await self._look_ahead(call, item_id, wanted, partial=partial)

        async def act(db: Connection) -> Answer:
            row = await self.find_to_change(db, call, item_id, wanted)
            project_id = self.project_of(row)
            permissions.require(call.user, f"update_{self.noun}", project_id)
            values = await fields.parse_apart(self.fields, body.values, partial=partial, form=body.form)
            await self.check_references(db, call, values, project_id)
            if values.get(self.project_field, project_id) != project_id:
                raise Invalid({self.project_field: [f"A {self.one} cannot move to another project."]})
            await self.check(db, call, values, row)
            with self.refusing_what_is_taken():
                then = await self.update(db, call, row, values)
            row = await self.find(db, call, row["id"])
            return Answer(self.detail(row, call.view), then=then)

        return await call.write(act)

    async def _look_ahead(self, call: Call, item_id: str, wanted: Wanted, *, partial: bool) -> None:
        """Prepare for a change by who may make it; raises ApiError if there will be none."""
        body = await call.body()
        async with call.platform.database.autocommit() as db:
            row = await self.find(db, call, item_id, wanted)
        permissions.require(call.user, f"update_{self.noun}", self.project_of(row))
        values = await fields.parse_apart(self.fields, body.values, partial=partial, form=body.form)
        await self.prepare(call, values, row)

    async def delete(self, item_id: str, call: CallDep) -> Response:
        """Remove it."""
        wanted = await self.wanted(call)

        async def act(db: Connection) -> Answer:
            row = await self.find_to_change(db, call, item_id, wanted)
            permissions.require(call.user, f"delete_{self.noun}", self.project_of(row))
            return Answer(None, 204, then=await self.remove(db, call, row))

        return await call.write(act)

    async def act_on(
        self,
        call: Call,
        item_id: str,
        permission: str | None,
        act: Callable[[Connection, Row], Any],
    ) -> Response:
        """An action on one of them by who holds the permission on its project."""
        wanted = await self.wanted(call)

        async def acting(db: Connection) -> Answer:
            row = await self.find_to_change(db, call, item_id, wanted)
            if permission is not None:
                permissions.require(call.user, permission, self.project_of(row))
            answer: Answer = await act(db, row)
            return answer

        return await call.write(acting)

    async def check_references(
        self, db: Connection, call: Call, values: Mapping[str, Any], project_id: int | None
    ) -> None:
        """Raises Invalid for fields that name rows which are not there, are of another project, or unseen."""
        named = [
            (name, field.table, values.get(name))
            for name, field in self.fields.items()
            if isinstance(field, Reference)
        ]
        absent = await writing.missing(db, named, project_id, viewer=call.viewer)
        if absent:
            raise Invalid({name: [fields.does_not_exist(values[name])] for name in absent})

    def _to_columns(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {self.columns.get(name, name): value for name, value in values.items()}
