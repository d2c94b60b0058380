"""Which server the command line talks to, as whom: by option, environment, or what `login` kept."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

DEFAULT_URL = "http://127.0.0.1:8000"


class Refused(Exception):
    """The server said no, or nothing."""


def credentials_file() -> Path:
    """Where `login` keeps the address and the token, readable by its owner only."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "nightjar" / "credentials.json"


def remember(url: str, token: str) -> Path:
    path = credentials_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(json.dumps({"url": url, "token": token}))
    return path


@dataclass
class Server:
    """The REST API of one server."""

    url: str
    token: str | None

    @classmethod
    def chosen(cls, url: str | None, token: str | None) -> "Server":
        """Options win over what `login` kept; a kept token goes to the server that it is for, and no other."""
        path = credentials_file()
        kept: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        address = (url or kept.get("url") or DEFAULT_URL).rstrip("/")
        if token is None and kept.get("url", "").rstrip("/") == address:
            token = kept.get("token")
        return cls(address, token)

    def call(self, method: str, path: str, body: Any = None, **parameters: Any) -> Any:
        """The JSON of an answer; raises Refused with the server's own words."""
        headers = {"Authorization": f"Token {self.token}"} if self.token else {}
        try:
            response = httpx2.request(
                method,
                f"{self.url}/api/v2{path}",
                json=body,
                params={name: value for name, value in parameters.items() if value is not None},
                headers=headers,
                timeout=30,
            )
        except httpx2.HTTPError as error:
            raise Refused(f"{self.url} cannot be reached: {error}") from error
        if response.is_success:
            return response.json() if response.content else None
        raise Refused(f"{response.status_code}: {_words(response)}")


def _words(response: httpx2.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        return response.text[:500]
    if isinstance(body, dict) and set(body) == {"detail"}:
        return str(body["detail"])
    return json.dumps(body)
