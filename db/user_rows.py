"""Every query on users and their tokens. None commits."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from db.connections import Connection, one, value


@dataclass(frozen=True)
class User:
    """Who calls, with the role that they have in each project."""

    id: int
    email: str
    name: str
    is_superuser: bool
    roles: Mapping[int, str] = field(default_factory=dict)
    """Role by project id."""


# a project's owner is its ProjectManager (contract 1.8)
_BY_TOKEN = """
SELECT u.id, u.email, u.name, u.is_superuser, u.is_active,
       coalesce((SELECT jsonb_object_agg(m.project_id, m.role) FROM project_members m
                 WHERE m.user_id = u.id AND m.role IS NOT NULL), '{}')
    || coalesce((SELECT jsonb_object_agg(p.id, 'ProjectManager') FROM projects p WHERE p.owner_id = u.id), '{}')
       AS roles
FROM auth_tokens t JOIN users u ON u.id = t.user_id
WHERE t.key_hash = %(key_hash)s AND u.is_active
"""


async def by_token(db: Connection, key_hash: str) -> User | None:
    """The active user whose token has that hash."""
    row = await one(db, _BY_TOKEN, {"key_hash": key_hash})
    if row is None:
        return None
    roles = {int(project_id): role for project_id, role in row["roles"].items()}
    return User(row["id"], row["email"], row["name"], row["is_superuser"], roles)


@dataclass(frozen=True)
class Account:
    """What a login needs of a user."""

    id: int
    password_hash: str | None


_BY_EMAIL = "SELECT id, password_hash FROM users WHERE email = lower(%(email)s) AND is_active"


async def by_email(db: Connection, email: str) -> Account | None:
    """The active user with that e-mail address, in any case of letters."""
    row = await one(db, _BY_EMAIL, {"email": email})
    return None if row is None else Account(**row)


_UPSERT = """
INSERT INTO users (email, name, password_hash, is_superuser, is_staff)
VALUES (lower(%(email)s), %(name)s, %(password_hash)s, %(is_superuser)s, %(is_superuser)s)
ON CONFLICT (email) DO UPDATE
SET password_hash = coalesce(excluded.password_hash, users.password_hash), updated_at = now()
RETURNING id
"""


async def upsert(
    db: Connection,
    email: str,
    *,
    name: str = "",
    password_hash: str | None = None,
    is_superuser: bool = False,
) -> int:
    """The id of the user with that address, who is made if there is none yet."""
    values = {"email": email, "name": name, "password_hash": password_hash, "is_superuser": is_superuser}
    user_id: int = await value(db, _UPSERT, values)
    return user_id


_ADD_TOKEN = "INSERT INTO auth_tokens (user_id, name, key_hash) VALUES (%(user_id)s, %(name)s, %(key_hash)s)"
_REMOVE_TOKEN = "DELETE FROM auth_tokens WHERE key_hash = %(key_hash)s"
_REMOVE_NAMED = "DELETE FROM auth_tokens WHERE user_id = %(user_id)s AND name = %(name)s"


async def add_token(db: Connection, user_id: int, name: str, key_hash: str) -> None:
    """Give a user a token, of which only the hash is kept."""
    await db.execute(_ADD_TOKEN, {"user_id": user_id, "name": name, "key_hash": key_hash})


async def remove_token(db: Connection, key_hash: str) -> None:
    """Take a token back."""
    await db.execute(_REMOVE_TOKEN, {"key_hash": key_hash})


async def remove_tokens_named(db: Connection, user_id: int, name: str) -> None:
    """Take back the tokens of a user that have that name."""
    await db.execute(_REMOVE_NAMED, {"user_id": user_id, "name": name})
