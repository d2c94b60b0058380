"""Projects and their members (domain 1.1, 8)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from fastapi import Response
from psycopg.errors import ForeignKeyViolation

from api.auth import permissions
from api.crud import fields
from api.crud.fields import Boolean, Choice, Email, Group, Integer, Number, Reference, Text
from api.crud.filters import Sort
from api.crud.request_context import ContextDep, Reply, RequestContext
from api.crud.resource import Resource
from api.crud.view import View
from api.http import queries
from api.http.errors import Invalid, NotFound, PermissionDenied
from api.projects import responses
from db import project_rows, user_rows, writing
from db.connections import Connection, Row
from db.listing import Condition, Wanted
from monitoring.projects import FEATURE_FLAGS

SETTINGS = {
    "default_processing_pipeline_id": Reference(nullable=True, table="pipelines"),
    "session_time_gap_seconds": Integer(
        minimum=1, help_text="A longer pause between captures ends a session."
    ),
    "default_filters_score_threshold": Number(minimum=0.0, maximum=1.0),
}

OF_USER = queries.Whole(
    "user_id", "Only projects that this user owns or is a member of: the caller's own id.", maximum=2**63 - 1
)


class Projects(Resource):
    """Projects: what belongs together, whose it is, and who may see it."""

    path = "projects"
    one = "project"
    many = "projects"
    noun = "project"
    parameters = {"list": (OF_USER,)}
    listing = project_rows.PROJECTS
    item_schema = responses.ProjectInList
    detail_schema = responses.Project
    fields = {
        "name": Text(required=True, max_length=80),
        "description": Text(blank=True),
        "draft": Boolean(help_text="Visible to its members only."),
        "settings": Group(fields=SETTINGS),
        "feature_flags": Group(fields={name: Boolean() for name in FEATURE_FLAGS}),
    }
    project_field = ""
    orderings = {
        "name": Sort("t.name"),
        "created_at": Sort("t.created_at"),
        "updated_at": Sort("t.updated_at"),
    }
    searched = ("t.name", "t.description")
    default_limit = 40

    def item(self, row: Row, view: View) -> Any:
        return responses.project_in_list(row, view)

    def detail(self, row: Row, view: View) -> Any:
        return responses.project(row, view)

    def project_of(self, row: Row) -> int:
        return int(row["id"])

    def may_create(self, context: RequestContext, project_id: int | None) -> bool:
        return context.user is not None

    async def wanted(self, context: RequestContext, *, in_list: bool = False) -> Wanted:
        found = await super().wanted(context, in_list=in_list)
        user_id = OF_USER.read(context.request)
        if not in_list or user_id is None:
            return found
        if context.user is None or user_id != context.user.id:
            raise PermissionDenied
        sql = """(t.owner_id = %(member_id)s OR EXISTS (
            SELECT 1 FROM project_members m WHERE m.project_id = t.id AND m.user_id = %(member_id)s))"""
        return Wanted(
            found.project_id, (*found.conditions, Condition(sql, {"member_id": user_id})), found.order
        )

    async def check_may_create(self, context: RequestContext, values: Any, project_id: int | None) -> None:
        permissions.require_somebody(context.user)

    async def check(
        self, db: Connection, context: RequestContext, values: dict[str, Any], row: Row | None
    ) -> None:
        if await writing.missing(db, [("pipeline", "pipelines", _pipeline_of(values))], None):
            raise _no_pipeline(values)

    async def insert(self, db: Connection, context: RequestContext, values: dict[str, Any]) -> int:
        owner = permissions.require_somebody(context.user)
        with _naming_pipeline(values):
            project_id = await project_rows.insert(db, _columns(values), owner.id)
        # the caller is its manager from now on, also for the answer to this very request
        context.user = owner.with_role(project_id, "ProjectManager")
        return project_id

    async def update(self, db: Connection, context: RequestContext, row: Row, values: dict[str, Any]) -> None:
        columns = _columns(values)
        flags = columns.pop("feature_flags", None)
        with _naming_pipeline(values):
            await writing.update(db, "projects", row["id"], columns)
        if flags:
            await project_rows.set_flags(db, row["id"], orjson.dumps(flags).decode())


@contextmanager
def _naming_pipeline(values: dict[str, Any]) -> Iterator[None]:
    """Raises Invalid if the pipeline, whose id lies within the settings, has just been deleted."""
    try:
        yield
    except ForeignKeyViolation as error:
        if writing.broken_reference(error, "projects") != "default_processing_pipeline_id":
            raise
        raise _no_pipeline(values) from error


def _pipeline_of(values: dict[str, Any]) -> int | None:
    pipeline_id: int | None = values.get("settings", {}).get("default_processing_pipeline_id")
    return pipeline_id


def _no_pipeline(values: dict[str, Any]) -> Invalid:
    reason = fields.does_not_exist(_pipeline_of(values))
    return Invalid({"settings": [f"default_processing_pipeline_id: {reason}"]})


def _columns(values: dict[str, Any]) -> dict[str, Any]:
    settings = values.get("settings", {})
    return {**{name: each for name, each in values.items() if name != "settings"}, **settings}


ROLE_IDS = tuple(permissions.ROLES)


class Members(Resource):
    """Members of a project, and what they are there."""

    path = "projects/{project}/members"
    one = "member"
    many = "members"
    noun = "projectmembership"
    listing = project_rows.MEMBERS
    item_schema = responses.MemberInList
    detail_schema = responses.Member
    fields = {
        "email": Email(required=True, max_length=254),
        "role_id": Choice(required=True, choices=ROLE_IDS),
    }
    unique = {"pk_project_members": ("email", "This user is a member of the project already.")}
    project_field = ""
    orderings = {
        "created_at": Sort("t.created_at"),
        "updated_at": Sort("t.updated_at"),
        "role": Sort("t.role"),
    }

    def item(self, row: Row, view: View) -> Any:
        return responses.member_in_list(row, view)

    def detail(self, row: Row, view: View) -> Any:
        return responses.member(row, view)

    async def wanted(self, context: RequestContext, *, in_list: bool = False) -> Wanted:
        """Those of the project in the path, for who belongs to it: e-mail addresses are not for everybody."""
        found = await super().wanted(context, in_list=in_list)
        project_id = queries.row_id(context.request.path_params["project"])
        async with context.platform.database.autocommit() as db:
            project = await project_rows.PROJECTS.detail(db, context.viewer, project_id)
        if project is None:
            raise NotFound
        permissions.require_somebody(context.user)
        if not project["is_member"]:
            raise PermissionDenied
        return Wanted(project_id, found.conditions, found.order)

    async def create(self, context: ContextDep) -> Response:
        """Take somebody who has an account into the project."""
        wanted = await self.wanted(context)
        body = await context.body()
        permissions.require(context.user, "create_projectmembership", wanted.project_id)
        values = fields.parse(self.fields, body.values, form=body.form)

        async def work(db: Connection) -> Reply:
            assert wanted.project_id is not None
            user_id = await _user_named(db, values["email"])
            columns = {"project_id": wanted.project_id, "user_id": user_id, "role": values["role_id"]}
            with self.refusing_conflicts(context, {}):
                member_id = await writing.insert(db, "project_members", columns)
            row = await self.find(db, context, member_id)
            return Reply(self.detail(row, context.view), 201)

        return await context.write(work)

    async def update(self, db: Connection, context: RequestContext, row: Row, values: dict[str, Any]) -> None:
        if values.get("email", row["user_email"]) != row["user_email"]:
            raise Invalid({"email": ["A membership cannot pass to another user."]})
        if "role_id" in values:
            await writing.update(db, "project_members", row["id"], {"role": values["role_id"]})


async def _user_named(db: Connection, email: str) -> int:
    account = await user_rows.by_email(db, email)
    if account is None:
        raise Invalid({"email": ["There is no user with this email address."]})
    return account.id


resources = (Projects(), Members())
routers = tuple(resource.router() for resource in resources)
