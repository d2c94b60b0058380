"""Log in and log out (contract 1.9)."""

import asyncio
import math

from fastapi import APIRouter, Response

from api.auth.authentication import password_fits, token_of
from api.auth.tokens import hash_token, new_token
from api.crud import fields
from api.crud.fields import Text
from api.crud.request_context import ContextDep
from api.http.errors import Invalid, NotAuthenticated, Throttled
from api.http.responses import json_response
from api.users.responses import AuthToken
from db import user_rows

router = APIRouter(prefix="/auth/token", tags=["authentication"])

CREDENTIALS = {"email": Text(max_length=254), "password": Text(max_length=1024)}
REFUSED = {"non_field_errors": ["Unable to log in with provided credentials."]}
ATTEMPTS_FACTOR_PER_ADDRESS = 5
"""So many more failures are borne from one network address, behind which many users may be."""


@router.post(
    "/login/",
    operation_id="log_in",
    responses={200: {"description": "A new token.", "model": AuthToken}},
    response_model=None,
    openapi_extra={"requestBody": fields.request_body(fields.object_schema(CREDENTIALS))},
)
async def log_in(context: ContextDep) -> Response:
    """A token for an e-mail address and its password. Who fails too often waits. Takes no Idempotency-Key."""
    body = await context.body()
    try:
        given = fields.parse(CREDENTIALS, body.values)
    except Invalid:
        raise Invalid(REFUSED) from None
    email, password = given.get("email", "").lower(), given.get("password", "")
    client = context.request.client
    account_name, origin = f"account {email}", f"address {client.host if client else ''}"
    most = context.platform.login_attempts
    async with context.platform.database.transaction() as db:
        wait = max(
            await user_rows.note_attempt(db, account_name, most),
            await user_rows.note_attempt(db, origin, most * ATTEMPTS_FACTOR_PER_ADDRESS),
        )
        if wait > 0:
            raise Throttled(math.ceil(wait))
        account = await user_rows.by_email(db, email)
    password_hash = None if account is None else account.password_hash
    # slow on purpose, so not on the event loop
    fits = await asyncio.to_thread(password_fits, password, password_hash)
    if account is None or not fits:
        raise Invalid(REFUSED)
    token, token_hash = new_token()
    async with context.platform.database.transaction() as db:
        await user_rows.forget_failures(db, account_name)
        await user_rows.take_back_attempt(db, origin)
        await user_rows.add_token(db, account.id, "login", token_hash)
    return json_response({"auth_token": token})


@router.post("/logout/", status_code=204, operation_id="log_out", response_model=None)
async def log_out(context: ContextDep) -> Response:
    """Take back the token that the request carries."""
    token = token_of(context.request)
    if context.user is None or token is None:
        raise NotAuthenticated
    async with context.platform.database.transaction() as db:
        await user_rows.remove_token(db, hash_token(token))
    return Response(status_code=204)
