"""Users, what they say of themselves, their tokens, and the roles that there are (contract 1.9, domain 8)."""

import asyncio
from typing import Any

from fastapi import APIRouter, Response

from api.auth import permissions
from api.auth.authentication import hash_password
from api.auth.tokens import new_token
from api.crud import fields
from api.crud.fields import Email, Text
from api.crud.request_context import ContextDep, Reply, RequestContext
from api.crud.resource import Resource
from api.crud.view import View
from api.http.errors import Invalid, PermissionDenied
from api.http.responses import json_response
from api.users import responses
from db import user_rows, writing
from db.connections import Connection, Row

MIN_PASSWORD_LENGTH = 8
PROFILE = {"name": Text(blank=True, max_length=255)}


class Users(Resource):
    """Superusers see everybody, others themselves."""

    path = "users"
    one = "user"
    many = "users"
    noun = "user"
    listing = user_rows.USERS
    item_schema = responses.Me
    detail_schema = responses.Me
    made_schema = responses.MadeUser
    fields = {
        "email": Email(required=True, max_length=254),
        "password": Text(required=True, max_length=1024),
        "name": Text(blank=True, max_length=255),
    }
    unique = {"uq_users_email": ("email", "user with this email already exists.")}
    project_field = ""
    operations = frozenset({"list", "create", "get"})

    def item(self, row: Row, view: View) -> Any:
        return responses.user(row, view)

    async def check_may_create(self, context: RequestContext, values: Any, project_id: int | None) -> None:
        if not permissions.require_somebody(context.user).is_superuser:
            raise PermissionDenied

    async def create(self, context: ContextDep) -> Response:
        """Make a user, who can log in with the password; for superusers."""
        await self.check_may_create(context, {}, None)
        return await super().create(context)

    async def check(
        self, db: Connection, context: RequestContext, values: dict[str, Any], row: Row | None
    ) -> None:
        if len(values["password"]) < MIN_PASSWORD_LENGTH:
            message = (
                f"This password is too short. It must contain at least {MIN_PASSWORD_LENGTH} characters."
            )
            raise Invalid({"password": [message]})

    async def insert(self, db: Connection, context: RequestContext, values: dict[str, Any]) -> int:
        # slow on purpose, so not on the event loop
        password_hash = await asyncio.to_thread(hash_password, values["password"])
        columns = {"email": values["email"], "name": values.get("name", ""), "password_hash": password_hash}
        return await writing.insert(db, "users", columns)

    async def made(self, context: RequestContext, row: Row) -> Reply:
        return Reply({"email": row["email"], "id": row["id"]}, 201)


class Tokens(Resource):
    """A user may have several, each with a name, and take any of them back."""

    path = "users/me/tokens"
    one = "token"
    many = "tokens"
    noun = "token"
    listing = user_rows.TOKENS
    item_schema = responses.Token
    detail_schema = responses.Token
    made_schema = responses.MadeToken
    fields = {"name": Text(required=True, max_length=255)}
    operations = frozenset({"list", "create", "delete"})

    def item(self, row: Row, view: View) -> Any:
        return responses.token(row, view)

    def may_create(self, context: RequestContext, project_id: int | None) -> bool:
        return context.user is not None

    async def list(self, context: ContextDep) -> Response:
        """The caller's tokens, by name."""
        permissions.require_somebody(context.user)
        return await super().list(context)

    async def create(self, context: ContextDep) -> Response:
        """Make a token; the answer is the only place where it can be read. Takes no Idempotency-Key."""
        user = permissions.require_somebody(context.user)
        values = fields.parse(self.fields, (await context.body()).values)
        token, token_hash = new_token()
        async with context.platform.database.transaction() as db:
            token_id = await user_rows.add_token(db, user.id, values["name"], token_hash)
            row = await self.find(db, context, token_id)
        body = {**responses.token(row, context.view), "auth_token": token}
        return json_response(body, 201)

    async def delete(self, item_id: str, context: ContextDep) -> Response:
        """Take a token back."""
        permissions.require_somebody(context.user)

        async def work(db: Connection) -> Reply:
            row = await self.find(db, context, item_id)
            await writing.delete(db, "auth_tokens", row["id"])
            return Reply(None, 204)

        return await context.write(work)


users = Users()
own = APIRouter(prefix="/users", tags=["users"])

_ME: dict[int | str, dict[str, Any]] = {
    200: {"description": "The user whose token the request carries.", "model": responses.Me}
}


@own.get("/me/", operation_id="get_me", responses=_ME, response_model=None)
async def me(context: ContextDep) -> Response:
    """The user whose token the request carries."""
    user = permissions.require_somebody(context.user)
    row = {"id": user.id, "name": user.name, "image": user.image, "email": user.email}
    return json_response(responses.user(row, context.view))


async def change_me(context: ContextDep) -> Response:
    """Change what the caller says of themselves."""
    user = permissions.require_somebody(context.user)
    body = await context.body()
    values = fields.parse(PROFILE, body.values, partial=True, form=body.form)

    async def work(db: Connection) -> Reply:
        await writing.update(db, "users", user.id, values)
        row = await users.find(db, context, user.id)
        return Reply(responses.user(row, context.view))

    return await context.write(work)


_PROFILE = {"requestBody": fields.request_body(fields.object_schema(PROFILE))}
for _method, _operation_id in (("PUT", "replace_me"), ("PATCH", "edit_me")):
    own.add_api_route(
        "/me/",
        change_me,
        methods=[_method],
        operation_id=_operation_id,
        responses=_ME,
        response_model=None,
        openapi_extra=_PROFILE,
    )


@own.get(
    "/roles/",
    operation_id="list_roles",
    responses={200: {"description": "Every role.", "model": list[responses.RoleDescription]}},
    response_model=None,
)
async def list_roles(context: ContextDep) -> Response:
    """The roles that a member of a project can have."""
    return json_response(
        [
            {"id": role.key, "name": role.name, "description": role.description}
            for role in permissions.ROLES.values()
        ]
    )


# what has a word in its path comes before what has an id
tokens = Tokens()
resources = (tokens, users)
routers = (own, tokens.router(), users.router())
