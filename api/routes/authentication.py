"""Log in, log out, and who am I (contract 1.9)."""

import asyncio

from fastapi import APIRouter, Request, Response

from api import bodies, fields
from api.authentication import password_fits, token_of
from api.errors import Invalid, NotAuthenticated
from api.fields import Text
from api.platform import CallerDep, LinksDep, PlatformDep
from api.responses import json_response
from api.tokens import hash_token, new_token
from db import user_rows

router = APIRouter(tags=["authentication"])

CREDENTIALS = {"email": Text(max_length=254), "password": Text(max_length=1024)}
REFUSED = {"non_field_errors": ["Unable to log in with provided credentials."]}


@router.post("/auth/token/login/")
async def log_in(request: Request, platform: PlatformDep) -> Response:
    """A token for an e-mail address and its password."""
    body = await bodies.read(request)
    try:
        given = fields.parse(CREDENTIALS, body.values)
    except Invalid:
        raise Invalid(REFUSED) from None
    async with platform.database.single_statements() as db:
        account = await user_rows.by_email(db, given.get("email", ""))
    password_hash = None if account is None else account.password_hash
    # slow on purpose, so not on the event loop
    fits = await asyncio.to_thread(password_fits, given.get("password", ""), password_hash)
    if account is None or not fits:
        raise Invalid(REFUSED)
    token, token_hash = new_token()
    async with platform.database.transaction() as db:
        await user_rows.add_token(db, account.id, "login", token_hash)
    return json_response({"auth_token": token})


@router.post("/auth/token/logout/", status_code=204)
async def log_out(request: Request, platform: PlatformDep, caller: CallerDep) -> Response:
    """Take back the token that the request carries."""
    token = token_of(request)
    if caller is None or token is None:
        raise NotAuthenticated
    async with platform.database.transaction() as db:
        await user_rows.remove_token(db, hash_token(token))
    return Response(status_code=204)


@router.get("/users/me/")
async def me(caller: CallerDep, links: LinksDep) -> Response:
    """The user whose token the request carries."""
    if caller is None:
        raise NotAuthenticated
    return json_response(
        {
            "id": caller.id,
            "name": caller.name,
            "details": links.user(caller.id),
            "image": None,
            "identifications": [],
            "email": caller.email,
            "user_permissions": [],
        }
    )
