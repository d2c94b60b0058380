"""What a browser is shown of an answer: the request, the headers and the JSON, with links that can be followed."""

import html
import json
import re
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.types import Message, Scope, Send

_LINK = re.compile(r"&quot;(https?://[^\s&]+(?:&amp;[^\s&]+)*)&quot;")
_SHOWN = (b"allow", b"content-type", b"vary", b"etag", b"link", b"retry-after", b"www-authenticate")

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="robots" content="noindex">
<meta name="viewport" content="width=device-width"><title>{title} | Nightjar</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }}
pre {{ background: #f6f6f4; border: 1px solid #ddd; padding: 1rem; overflow-x: auto; }}
h1 {{ font-size: 1.2rem; }}
@media (prefers-color-scheme: dark) {{
  body {{ background: #1b1b1a; color: #ddd; }} pre {{ background: #242423; border-color: #444; }} a {{ color: #8bf; }}
}}
</style></head><body>
<h1>{title}</h1>
<p><a href="{raw}">as JSON</a> · <a href="/api/v2/">all lists</a> · <a href="/api/v2/docs/">documentation</a></p>
<pre><strong>HTTP {status}</strong>
{headers}

{body}</pre>
</body></html>
"""
POLICY = b"default-src 'none'; style-src 'unsafe-inline'"


def as_page(scope: Scope, headers: list[tuple[bytes, bytes]], send: Send) -> Send:
    """Sends an answer in JSON as a page instead; any other as it is. `headers` are those that it will have too."""
    started: Message | None = None

    async def send_page(message: Message) -> None:
        nonlocal started
        if message["type"] == "http.response.start":
            kind = dict(message["headers"]).get(b"content-type", b"")
            if kind == b"application/json":
                started = message
                return
        elif started is not None:
            page = _page(scope, [*started["headers"], *headers], started["status"], message.get("body", b""))
            sent = [
                (name, value)
                for name, value in started["headers"]
                if name not in (b"content-length", b"content-type", b"etag")
            ]
            sent += [
                (b"content-type", b"text/html; charset=utf-8"),
                (b"content-length", str(len(page)).encode()),
                (b"content-security-policy", POLICY),
            ]
            await send({**started, "headers": sent})
            message = {"type": "http.response.body", "body": page}
            started = None
        await send(message)

    return send_page


def _as_json(scope: Scope) -> str:
    """The query of the same in JSON."""
    asked = QueryParams(scope["query_string"]).multi_items()
    return urlencode([*((name, value) for name, value in asked if name != "format"), ("format", "json")])


def _page(scope: Scope, headers: list[tuple[bytes, bytes]], status: int, body: bytes) -> bytes:
    path = scope["path"]
    text = json.dumps(json.loads(body), indent=4, ensure_ascii=False) if body else ""
    shown = "\n".join(
        f"<strong>{name.decode().title()}:</strong> {html.escape(value.decode('latin-1'))}"
        for name, value in sorted(headers)
        if name in _SHOWN and value != b"Accept-Encoding"
    )
    linked = _LINK.sub(r'&quot;<a href="\1">\1</a>&quot;', html.escape(text))
    page = PAGE.format(
        title=html.escape(f"{scope['method']} {path}"),
        raw=html.escape(f"{path}?{_as_json(scope)}"),
        status=status,
        headers=shown,
        body=linked,
    )
    return page.encode()
