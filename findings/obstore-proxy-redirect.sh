#!/usr/bin/env bash
# obstore 0.12.1 behind an HTTP proxy that wants credentials, listing a plain-http store that sends on to another host.
#
# Guess: whatever goes through the proxy carries the credentials of `proxy_url`.
# Seen:  the first request does; the one that follows the redirect to another host goes through the same proxy without
#        them, and the proxy refuses it (407). A redirect on the same host keeps them.
# So:    behind such a proxy a store's redirect to another host looks like a refusal by the proxy. We say so in words.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check obstore==0.12.1 2>/dev/null
cat > "$folder/try.py" <<'PY'
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from urllib.parse import urlsplit

import obstore
from obstore.store import S3Store

LISTING = b"""<?xml version="1.0"?><ListBucketResult><Name>b</Name><KeyCount>0</KeyCount>
<IsTruncated>false</IsTruncated></ListBucketResult>"""
seen = []
elsewhere = "localhost"


class Proxy(BaseHTTPRequestHandler):
    """Refuses who brings no credentials, and plays the store itself: /moved and /same send on, all else is a listing."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        address = urlsplit(self.path)
        known = "Proxy-Authorization" in self.headers
        seen.append((address.hostname, known))
        if not known:
            self.answer(407, b"", {"Proxy-Authenticate": "Basic"})
        elif address.path.startswith("/moved"):
            self.answer(307, b"", {"Location": f"http://{elsewhere}:1/b"})
        elif address.path.startswith("/same"):
            self.answer(307, b"", {"Location": "http://127.0.0.1:1/b"})
        else:
            self.answer(200, LISTING, {"Content-Type": "application/xml"})

    def answer(self, status, body, headers):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
threading.Thread(target=server.serve_forever, daemon=True).start()


def listed(path):
    seen.clear()
    store = S3Store(
        "b",
        endpoint=f"http://127.0.0.1:1/{path}",
        region="us-east-1",
        skip_signature=True,
        client_options={
            "allow_http": True,
            "proxy_url": f"http://me:secret@127.0.0.1:{server.server_address[1]}",
        },
        retry_config={"max_retries": 0},
    )
    try:
        outcome = f"{sum(len(page) for page in obstore.list(store))} objects"
    except Exception as error:
        outcome = "407" if "407" in str(error) else type(error).__name__
    return outcome, list(seen)


print("obstore", version("obstore"))
same, moved = listed("same"), listed("moved")
print("redirect on the same host:", same)
print("redirect to another host: ", moved)
assert same == ("0 objects", [("127.0.0.1", True), ("127.0.0.1", True)]), "changed: the same host"
assert moved == ("407", [("127.0.0.1", True), ("localhost", False)]), "changed: another host"
PY
"$folder/venv/bin/python" "$folder/try.py"
