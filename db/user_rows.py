"""Every query on users and their tokens. None commits."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from db import writing
from db.connections import Connection, Row, every, one, value
from db.listing import Listing, times


@dataclass(frozen=True)
class User:
    """Who calls, with the role that they have in each project."""

    id: int
    email: str
    name: str
    is_superuser: bool
    roles: Mapping[int, str] = field(default_factory=dict)
    """Role by project id."""
    image: str | None = None

    def with_role(self, project_id: int, role: str) -> "User":
        """The same with one role more."""
        return replace(self, roles={**self.roles, project_id: role})


USERS = Listing(
    table="users",
    columns=f"""t.id, CAST(NULL AS bigint) AS project_id, t.email, t.name, t.image, t.is_superuser, t.is_active,
        {times("created_at", "updated_at")}""",
    seen="%(sees_all)s OR t.id = %(user_id)s",
    in_project="true",
)
TOKENS = Listing(
    table="auth_tokens",
    columns=f"t.id, CAST(NULL AS bigint) AS project_id, t.name, {times('created_at')}",
    seen="t.user_id = %(user_id)s",
    in_project="true",
)
"""A user's own; what the tokens are, nobody can read."""

# a project's owner is its ProjectManager (contract 1.8)
_BY_TOKEN = """
SELECT u.id, u.email, u.name, u.image, u.is_superuser,
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
    return User(row["id"], row["email"], row["name"], row["is_superuser"], roles, row["image"])


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


async def taken(db: Connection, email: str) -> bool:
    """Whether a user, active or not, has that e-mail address."""
    row = await one(db, "SELECT 1 AS one FROM users WHERE email = lower(%(email)s)", {"email": email})
    return row is not None


async def id_of(db: Connection, email: str) -> int | None:
    """The user, active or not, with that e-mail address."""
    row = await one(db, "SELECT id FROM users WHERE email = lower(%(email)s)", {"email": email})
    return None if row is None else int(row["id"])


async def change(db: Connection, user_id: int, values: Mapping[str, Any]) -> None:
    """Change what is given of a user."""
    await writing.update(db, "users", user_id, values)


_EVERYBODY = """
SELECT u.id, u.email, u.name, u.is_superuser, u.is_active,
       (SELECT count(*) FROM auth_tokens t WHERE t.user_id = u.id) AS tokens,
       coalesce((SELECT jsonb_object_agg(p.name || ' #' || p.id, m.role) FROM project_members m
                 JOIN projects p ON p.id = m.project_id WHERE m.user_id = u.id), '{}') AS roles
FROM users u ORDER BY u.id
"""


async def everybody(db: Connection) -> list[Row]:
    """All users, with their roles by project and how many tokens they have."""
    return await every(db, _EVERYBODY, {})


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


_ADD_TOKEN = """
INSERT INTO auth_tokens (user_id, name, key_hash) VALUES (%(user_id)s, %(name)s, %(key_hash)s) RETURNING id
"""
_REMOVE_TOKEN = "DELETE FROM auth_tokens WHERE key_hash = %(key_hash)s"


async def add_token(db: Connection, user_id: int, name: str, key_hash: str) -> int:
    """Give a user a token, of which only the hash is kept; gives its id."""
    token_id: int = await value(db, _ADD_TOKEN, {"user_id": user_id, "name": name, "key_hash": key_hash})
    return token_id


async def remove_token(db: Connection, key_hash: str) -> None:
    """Take a token back."""
    await db.execute(_REMOVE_TOKEN, {"key_hash": key_hash})


_REVOKE = """
WITH gone AS (
    DELETE FROM auth_tokens
    WHERE user_id = %(user_id)s AND (CAST(%(name)s AS text) IS NULL OR name = %(name)s) RETURNING 1
)
SELECT count(*) FROM gone
"""


async def revoke(db: Connection, user_id: int, name: str | None) -> int:
    """Take back the tokens of a user, all or those of a name; gives how many there were."""
    count: int = await value(db, _REVOKE, {"user_id": user_id, "name": name})
    return count


# logins that failed -------------------------------------------------------------------------------------------

WINDOW = timedelta(minutes=5)
_FAILED = """
INSERT INTO login_failures AS f (subject) VALUES (%(subject)s)
ON CONFLICT (subject) DO UPDATE SET
    failures = CASE WHEN f.since < now() - CAST(%(window)s AS interval) THEN 1 ELSE f.failures + 1 END,
    since = CASE WHEN f.since < now() - CAST(%(window)s AS interval) THEN now() ELSE f.since END
"""
_WAIT = """
SELECT CASE WHEN failures > %(most)s THEN extract(epoch FROM since + CAST(%(window)s AS interval) - now()) ELSE 0 END
    ::float AS seconds
FROM login_failures WHERE subject = %(subject)s
"""
_TAKE_BACK = "UPDATE login_failures SET failures = failures - 1 WHERE subject = %(subject)s AND failures > 0"
_FORGET = "DELETE FROM login_failures WHERE since < now() - CAST(%(window)s AS interval)"


async def note_attempt(db: Connection, subject: str, most: int) -> float:
    """Count a login as one that failed, before it is known: so many at once are no more than one by one.

    Gives the seconds that nobody may try to log in as, or from, the subject: 0 for at once.
    """
    await db.execute(_FAILED, {"subject": subject, "window": WINDOW})
    seconds: float = await value(db, _WAIT, {"subject": subject, "most": most, "window": WINDOW})
    return seconds


async def take_back_attempt(db: Connection, subject: str) -> None:
    """Count a login that succeeded no longer as one that failed."""
    await db.execute(_TAKE_BACK, {"subject": subject})


async def forget_failures(db: Connection, subject: str) -> None:
    """A login that succeeded makes good what failed before."""
    await db.execute("DELETE FROM login_failures WHERE subject = %(subject)s", {"subject": subject})


async def forget_old_failures(db: Connection) -> None:
    """Remove what counts no longer."""
    await db.execute(_FORGET, {"window": WINDOW})
