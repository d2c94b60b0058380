"""How the command line talks to a server, and the tokens that `login` keeps."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from embedded import private_files

DEFAULT_URL = "http://127.0.0.1:8000"


class Refused(Exception):
    """The server said no, or nothing."""


def credentials_file() -> Path:
    """Where `login` keeps the address and the token, readable by its owner only."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "nightjar" / "credentials.json"


@dataclass(frozen=True)
class Credentials:
    """What `login` kept."""

    url: str | None = None
    token: str | None = None

    def token_for(self, url: str) -> str | None:
        """The token, if it is for that server: no other gets to see it."""
        return self.token if self.url == url.rstrip("/") else None


def read_credentials(path: Path) -> Credentials:
    """What is kept there; empty if nothing is. Raises Refused where the file is no good."""
    try:
        told = json.loads(path.read_text())
        return Credentials(str(told["url"]).rstrip("/"), str(told["token"]))
    except FileNotFoundError:
        return Credentials()
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"{path} is not what `nightjar login` writes: remove it, and log in again") from error


def remember(path: Path, url: str, token: str) -> None:
    """Keep a token, in a file that its owner only may read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    private_files.write(path, json.dumps({"url": url, "token": token}))


def request(method: str, url: str, **given: Any) -> httpx2.Response:
    """An answer; raises httpx2.HTTPError. No proxy gets to see what is for this machine."""
    here = (urlsplit(url).hostname or "") in ("localhost", "127.0.0.1", "::1")
    return httpx2.request(method, url, trust_env=not here, **given)


class Answer(dict[str, Any]):
    """A JSON object of a server. Raises Refused for a field that it lacks: then it is no server of ours."""

    def __init__(self, url: str, fields: dict[str, Any]) -> None:
        super().__init__(fields)
        self._url = url

    def __missing__(self, name: str) -> Any:
        raise Refused(f"{self._url} does not answer as Nightjar does: there is no {name!r}")


@dataclass
class Server:
    """The REST API of one server."""

    url: str
    token: str | None

    def __post_init__(self) -> None:
        self.url = self.url.rstrip("/")

    def call(self, method: str, path: str, body: Any = None, **parameters: Any) -> Any:
        """The JSON of an answer; raises Refused with the server's own words."""
        headers = {"Authorization": f"Token {self.token}"} if self.token else {}
        try:
            response = request(
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
            return self._told(response) if response.content else None
        raise Refused(f"{response.status_code}: {_words(response)}")

    def _told(self, response: httpx2.Response) -> Any:
        try:
            told = response.json()
        except ValueError as error:
            raise Refused(f"{self.url} does not answer as Nightjar does: this is no JSON") from error
        return Answer(self.url, told) if isinstance(told, dict) else told


def _words(response: httpx2.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        return response.text[:500]
    if isinstance(body, dict) and set(body) == {"detail"}:
        return str(body["detail"])
    return json.dumps(body)
