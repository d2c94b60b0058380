"""One request: who calls, for which project, with what body; and how its answer is written.

Everything that a request changes is committed in one transaction, together with the answer if the request carries
an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): a request that is sent again, because the answer was
lost or the process died, changes nothing twice.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request, Response
from psycopg.errors import DeadlockDetected

from api.auth.authentication import authenticate
from api.auth.permissions import require_somebody
from api.crud.view import View
from api.http import bodies, queries
from api.http.bodies import Body
from api.http.errors import InFlight, Invalid, KeyReused, PreconditionFailed
from api.http.links import Links
from api.http.responses import entity_tag, gzip_etag, json_response
from api.platform import Platform
from db import idempotency_rows
from db.connections import Connection
from db.idempotency_rows import Kept
from db.listing import Viewer
from db.user_rows import User
from dispatch.job_service import AfterCommit

T = TypeVar("T")
MAX_TRIES = 4
"""How often a transaction is done that deadlocks with others, such as the deletion of what it changes."""
REPLAYED = "Idempotency-Replayed"
"""Header of an answer that was given before."""


PROJECT = queries.Whole("project_id", "The project that the request is about.", maximum=2**63 - 1)
"""One that is not there is ignored."""


@dataclass(frozen=True)
class Reply:
    """What a request that changed something is answered, and what is done once that is committed."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    after_commit: AfterCommit | None = None

    @property
    def response(self) -> Response:
        if self.status == 204:
            return Response(status_code=204)
        return json_response(self.body, self.status, self.headers)


@dataclass
class RequestContext:
    """One request. `user` is null for anonymous."""

    request: Request
    platform: Platform
    user: User | None
    links: Links
    known: dict[str, Any] = field(default_factory=dict)
    """What was found out before the transaction, which waits for nothing but the database."""
    _body: Body | None = None

    @property
    def viewer(self) -> Viewer:
        """How the caller sees rows."""
        user = self.user
        return Viewer(
            user_id=None if user is None else user.id,
            sees_all=user is not None and user.is_superuser,
            zone=self.platform.time_zone,
        )

    @property
    def view(self) -> View:
        """For whom things are shown."""
        return View(self.user, self.links, self.platform.signer)

    async def body(self) -> Body:
        """What was sent; read once."""
        if self._body is None:
            self._body = await bodies.read(self.request)
        return self._body

    async def project_id(self) -> int | None:
        """The project that the request is about, by its query or else its body; one that is none is ignored."""
        number = PROJECT.read(self.request)
        if number is None and self.request.method not in ("GET", "HEAD"):
            given = (await self.body()).values.get("project_id")
            if isinstance(given, int | str) and not isinstance(given, bool) and str(given).isdecimal():
                number = int(given) if len(str(given)) < 20 else None
        return await self.platform.existing_project(number)

    def check_unchanged(self, representation: Any) -> None:
        """Raises PreconditionFailed if the caller's If-Match names another version (RFC 9110, 13.1.1).

        `representation` is what GET of the same address answers now.
        """
        given = self.request.headers.get("if-match")
        if given is None or given.strip() == "*":
            return
        tag = entity_tag(json_response(representation).body)
        if not {tag, gzip_etag(tag)} & {each.strip() for each in given.split(",")}:
            raise PreconditionFailed

    @property
    def is_conditional(self) -> bool:
        """Whether the caller wants to change one version only."""
        return "if-match" in self.request.headers

    async def write(self, work: Callable[[Connection], Awaitable[Reply]]) -> Response:
        """The response to what `work` does in one transaction; once only for one Idempotency-Key of a user.

        `work` may be called several times, each time after all that it did was undone: see `_in_transaction`.
        """
        key = self._idempotency_key()
        if key is None:
            return await self._done(await self._in_transaction(work))
        user_id, fingerprint = require_somebody(self.user).id, await self._fingerprint()

        async def work_once(db: Connection) -> tuple[Reply | None, Response]:
            if not await idempotency_rows.hold(db, user_id, key):
                raise InFlight
            kept = await idempotency_rows.find(db, user_id, key)
            if kept is not None:
                return None, _again(kept, fingerprint)
            reply = await work(db)
            response = reply.response
            headers = {"Location": reply.headers["Location"]} if "Location" in reply.headers else {}
            kept = Kept(fingerprint, reply.status, headers, bytes(response.body))
            await idempotency_rows.keep(db, user_id, key, kept)
            return reply, response

        reply, response = await self._in_transaction(work_once)
        return response if reply is None else await self._done(reply, response)

    async def _in_transaction(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """What `work` returns. Done again if PostgreSQL undid it, since it and others waited for each other."""
        for _ in range(MAX_TRIES - 1):
            with suppress(DeadlockDetected):
                async with self.platform.database.transaction() as db:
                    return await work(db)
        async with self.platform.database.transaction() as db:
            return await work(db)

    async def _done(self, reply: Reply, response: Response | None = None) -> Response:
        self.platform.counts.forget()
        if reply.after_commit is not None:
            await reply.after_commit()
        return response or reply.response

    def _idempotency_key(self) -> str | None:
        key = self.request.headers.get("idempotency-key")
        if key is None or self.request.method != "POST":
            return None
        if not 0 < len(key) <= 255 or not key.isascii() or not key.isprintable():
            raise Invalid({"Idempotency-Key": ["Expected 1 to 255 printable ASCII characters."]})
        return key

    async def _fingerprint(self) -> str:
        """What makes two requests the same: method, address and body, however it is written."""
        request, body = self.request, await self.body()
        values = json.dumps(body.values, sort_keys=True, default=str)
        asked = "\n".join((request.method, request.url.path, request.url.query, values))
        return hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()


def _again(kept: Kept, fingerprint: str) -> Response:
    if kept.fingerprint != fingerprint:
        raise KeyReused
    headers = {**kept.headers, REPLAYED: "true"}
    return Response(kept.body, kept.status, headers, media_type="application/json")


async def context_of(request: Request) -> RequestContext:
    """Who calls, for routes. Anonymous costs no query."""
    platform: Platform = request.app.state.platform
    user = None
    if "authorization" in request.headers:
        async with platform.database.autocommit() as db:
            user = await authenticate(db, request)
    return RequestContext(request, platform, user, Links(request))


ContextDep = Annotated[RequestContext, Depends(context_of)]
