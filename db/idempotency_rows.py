"""Every query on Idempotency-Keys. None commits: an answer is kept in the transaction of what the request did."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from psycopg.types.json import Jsonb

from db.connections import Connection, one, value

KEPT = timedelta(hours=24)

# until the end of the transaction; a process that dies lets go of it
_HOLD = "SELECT pg_try_advisory_xact_lock(hashtextextended(%(key)s, %(user_id)s)) AS held"
_FIND = """
SELECT fingerprint, status, headers, body FROM idempotency_keys
WHERE user_id = %(user_id)s AND key = %(key)s AND created_at > now() - CAST(%(kept)s AS interval)
"""
_KEEP = """
INSERT INTO idempotency_keys (user_id, key, fingerprint, status, headers, body)
VALUES (%(user_id)s, %(key)s, %(fingerprint)s, %(status)s, %(headers)s, %(body)s)
ON CONFLICT (user_id, key) DO UPDATE
SET fingerprint = excluded.fingerprint, status = excluded.status, headers = excluded.headers,
    body = excluded.body, created_at = now()
"""
_FORGET = "DELETE FROM idempotency_keys WHERE created_at <= now() - CAST(%(kept)s AS interval)"


@dataclass(frozen=True)
class Kept:
    """An answer that was given, and the fingerprint of the request that it was given to."""

    fingerprint: str
    status: int
    headers: Mapping[str, str]
    body: bytes


async def hold(db: Connection, user_id: int, key: str) -> bool:
    """Take a user's key until the end of the transaction; false if another transaction has it."""
    held: bool = await value(db, _HOLD, {"user_id": user_id, "key": key})
    return held


async def find(db: Connection, user_id: int, key: str) -> Kept | None:
    """The answer kept under a key, if it is no older than a day."""
    row = await one(db, _FIND, {"user_id": user_id, "key": key, "kept": KEPT})
    return None if row is None else Kept(**row)


async def keep(db: Connection, user_id: int, key: str, answer: Kept) -> None:
    """Keep an answer."""
    values = {**vars(answer), "headers": Jsonb(dict(answer.headers)), "user_id": user_id, "key": key}
    await db.execute(_KEEP, values)


async def forget_old(db: Connection) -> None:
    """Remove what is kept no longer."""
    await db.execute(_FORGET, {"kept": KEPT})
