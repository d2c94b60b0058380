"""Who calls: tokens and passwords (contract 1.9). Tokens are kept as hashes only."""

import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from fastapi import Request

from api.auth.tokens import hash_token
from api.http.errors import NotAuthenticated
from db import user_rows
from db.connections import Connection
from db.user_rows import User

_passwords = PasswordHasher()
# verified against when there is no such user, so that an answer takes as long for an unknown address
_NOBODY = _passwords.hash(secrets.token_hex(16))


def hash_password(password: str) -> str:
    """The argon2 hash of a password; takes tens of milliseconds, as it should."""
    return _passwords.hash(password)


def password_fits(password: str, password_hash: str | None) -> bool:
    """Whether that is the password; as slow for an account without one."""
    try:
        return _passwords.verify(password_hash or _NOBODY, password) and password_hash is not None
    except (VerifyMismatchError, VerificationError, InvalidHashError):
        return False


def token_of(request: Request) -> str | None:
    """The token that a request carries; None if it carries none, or another kind of credentials."""
    scheme, *parts = request.headers.get("authorization", "").split()[:3] or [""]
    if scheme.lower() != "token":
        return None
    if not parts:
        raise NotAuthenticated("Invalid token header. No credentials provided.")
    if len(parts) > 1:
        raise NotAuthenticated("Invalid token header. Token string should not contain spaces.")
    return parts[0]


async def authenticate(db: Connection, request: Request) -> User | None:
    """The user whose token the request carries; None for anonymous. Raises NotAuthenticated for a bad token."""
    token = token_of(request)
    if token is None:
        return None
    user = await user_rows.by_token(db, hash_token(token))
    if user is None:
        raise NotAuthenticated("Invalid token.")
    return user
