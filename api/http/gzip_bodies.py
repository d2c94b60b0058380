"""Bodies as gzip, and their ETags."""

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.links import FILES
from api.http.responses import gzip_etag


class Gzip(GZipMiddleware):
    """Compresses responses, but no pictures: they are compressed already, and are fetched in parts."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(FILES):
            await self.app(scope, receive, send)
            return
        await super().__call__(scope, receive, send)


class GzipTags:
    """An encoded body is another one, and needs another ETag (RFC 9110, 8.8.3)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                if (b"content-encoding", b"gzip") in headers:
                    message["headers"] = [
                        (name, gzip_etag(value.decode()).encode() if name == b"etag" else value)
                        for name, value in headers
                    ]
            await send(message)

        await self.app(scope, receive, send_marked)
