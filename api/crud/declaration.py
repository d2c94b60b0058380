"""What a noun of the API says of itself: its names, how its rows are read and written, fields, filters, permissions."""

from collections.abc import Mapping
from typing import Any, ClassVar

from api.auth import permissions
from api.crud.fields import Field
from api.crud.filters import Filter, Sort
from api.crud.request_context import RequestContext
from api.crud.view import View
from api.http import queries
from db import writing
from db.connections import Connection, Row
from db.listing import Listing
from dispatch.job_service import AfterCommit

READ_ONLY = frozenset({"list", "get"})
ALL = frozenset({"list", "create", "get", "replace", "edit", "delete"})


class Declaration:
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
    default_limit: ClassVar[int] = queries.DEFAULT_PAGE_ROWS
    operations: ClassVar[frozenset[str]] = ALL
    named_by: ClassVar[Mapping[str, str]] = {}
    """By column, the field that says which row it names, where it is not the field of that column."""
    unique: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """By name of the constraint: the field whose value another one has already, and what is said of it."""
    parameters: ClassVar[Mapping[str, tuple[queries.Query, ...]]] = {}
    """By operation, what it reads from its query besides filters, order and page."""
    needs_project: ClassVar[bool] = False
    """Whether the list is of one project only."""
    looks_ahead: ClassVar[bool] = False
    """Whether a change is prepared for."""

    def item(self, row: Row, view: View) -> Any:
        """One of a list."""
        raise NotImplementedError

    def detail(self, row: Row, view: View) -> Any:
        """One alone."""
        return self.item(row, view)

    async def prepare(self, context: RequestContext, values: Mapping[str, Any], row: Row | None) -> None:
        """Find out what `check` needs and what no transaction waits for (`context.known`); a row that is not locked."""

    async def check(
        self, db: Connection, context: RequestContext, values: dict[str, Any], row: Row | None
    ) -> None:
        """Raises Invalid for values that do not fit together, or what is there (`row`; null for a new one)."""

    async def insert(self, db: Connection, context: RequestContext, values: dict[str, Any]) -> int:
        return await writing.insert(db, self.listing.table, self.to_columns(values))

    async def make(
        self, db: Connection, context: RequestContext, values: dict[str, Any]
    ) -> tuple[int, AfterCommit | None]:
        """Add a row. Returns its id, and what is done once that is committed."""
        return await self.insert(db, context, values), None

    async def update(
        self, db: Connection, context: RequestContext, row: Row, values: dict[str, Any]
    ) -> AfterCommit | None:
        """Change a row. Returns what is done once that is committed."""
        await writing.update(db, self.listing.table, row["id"], self.to_columns(values))
        return None

    async def remove(self, db: Connection, context: RequestContext, row: Row) -> AfterCommit | None:
        """Remove a row. Returns what is done once that is committed."""
        await writing.delete(db, self.listing.table, row["id"])
        return None

    def project_of(self, row: Row) -> int | None:
        project_id: int | None = row["project_id"]
        return project_id

    def may_create(self, context: RequestContext, project_id: int | None) -> bool:
        return "create" in self.operations and permissions.may(
            context.user, f"create_{self.noun}", project_id
        )

    async def check_may_create(
        self, context: RequestContext, values: Mapping[str, Any], project_id: int | None
    ) -> None:
        permissions.require(context.user, f"create_{self.noun}", project_id)

    def more(self, context: RequestContext) -> dict[str, Any]:
        """Values that reading one row needs."""
        return {}

    def to_columns(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {self.columns.get(name, name): value for name, value in values.items()}
