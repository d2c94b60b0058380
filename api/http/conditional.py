"""ETags of what is read, and 304 for who has it already (RFC 9110, 13.1.2)."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.responses import entity_tag, gzip_etag


class Conditional:
    """Gives what is read a strong ETag, and answers 304 to who has it already (RFC 9110, 13.1.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        started: Message | None = None
        known = Headers(scope=scope).get("if-none-match")

        async def send_tagged(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = message
                if message["status"] == 200 and not _has_tag(message):
                    return
                started = None
            elif started is not None:
                if message.get("more_body"):
                    # a body in parts, such as a file: passed on as it is
                    await send(started)
                    started = None
                else:
                    first, started = _tagged(started, message, known), None
                    await send(first)
                    if first["status"] == 304:
                        message = {"type": "http.response.body", "body": b""}
            await send(message)

        await self.app(scope, receive, send_tagged)


def _has_tag(started: Message) -> bool:
    """Whether the route has given a validator of its own, as for a file."""
    return any(name == b"etag" for name, _ in started["headers"])


def _tagged(started: Message, body: Message, known: str | None) -> Message:
    tag = entity_tag(body.get("body", b""))
    headers = [*started["headers"], (b"etag", tag.encode())]
    have = [each.strip().removeprefix("W/") for each in (known or "").split(",")]
    # the validator of the very body that the caller has: the plain one, or the one as gzip
    same = next((each for each in have if each in (tag, gzip_etag(tag))), tag if "*" in have else None)
    if same is None:
        return {**started, "headers": headers}
    unfit = (b"content-length", b"content-type", b"etag")
    kept = [(name, value) for name, value in headers if name not in unfit]
    return {**started, "status": 304, "headers": [*kept, (b"etag", same.encode())]}
