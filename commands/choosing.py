"""Which servers a command works with: option, environment, the running stack of the folder, `login`, default."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from commands import connection, running_stack
from commands.connection import DEFAULT_URL, Refused, Server
from commands.running_stack import RunningStack

if TYPE_CHECKING:
    from config import Settings

# The settings are imported where they are needed: listing jobs need not wait for them to load.

USUAL_FOLDER = Path(".nightjar")
ADDRESSES = ("database_url", "temporal_address")

DataDir = Annotated[
    Path,
    typer.Option(
        "--data-dir",
        envvar="NIGHTJAR_DATA_DIR",
        help="Data folder of `nightjar up`: while it runs, its servers are those that nothing else names.",
    ),
]
ApiUrl = Annotated[str | None, typer.Option("--url", envvar="NIGHTJAR_API_URL", help="Address of the API.")]


def note(words: str) -> None:
    """A line for people, on standard error: what a program reads stays as it is."""
    Console(stderr=True).print(
        f"nightjar: {words}", style="dim", markup=False, highlight=False, soft_wrap=True
    )


@dataclass(frozen=True)
class ChosenServer:
    """The server of a command, and where a token for it is kept."""

    server: Server
    credentials: Path


def choose_server(url: str | None, token: str | None, folder: Path) -> ChosenServer:
    """The named server, else that of the running stack, else the one of the last login, else the usual one.

    A kept token goes to the server that it is for, and no other. Says which server it is, unless the caller named it.
    Raises Refused where another program answers in place of the running stack.
    """
    general = connection.credentials_file()
    kept = connection.read_credentials(general)
    if url:
        return ChosenServer(Server(url, token or kept.token_for(url)), general)
    stack = running_stack.find(folder)
    if stack is not None:
        stack.require_own_api()
        note(f"server {stack.api_url} of {stack}")
        own = connection.read_credentials(stack.credentials).token
        return ChosenServer(
            Server(stack.api_url, token or own or kept.token_for(stack.api_url)), stack.credentials
        )
    if kept.url:
        note(f"server {kept.url}, where `nightjar login` was last used")
        return ChosenServer(Server(kept.url, token or kept.token), general)
    note(f"server {DEFAULT_URL}, the default: no `nightjar up` runs in {folder.resolve()}")
    return ChosenServer(Server(DEFAULT_URL, token), general)


def named_by_environment(name: str) -> bool:
    """Whether the environment has that setting."""
    return f"NIGHTJAR_{name}".upper() in {each.upper() for each in os.environ}


@dataclass(frozen=True)
class ChosenSettings:
    """Settings, and where they come from."""

    settings: "Settings"
    stack: RunningStack | None
    """The stack that fills in what the environment leaves open; None if it leaves nothing open, or none runs."""

    def tell(self, *names: str) -> None:
        """Say which servers are used, as far as the environment does not name them."""
        for name in names:
            if not named_by_environment(name):
                note(self.words(name))

    def words(self, name: str) -> str:
        """A server, where it is and who says so."""
        if named_by_environment(name):
            origin = f"NIGHTJAR_{name.upper()}"
        else:
            origin = "the default" if self.stack is None else str(self.stack)
        if name == "database_url":
            # without the password
            return f"database {self.settings.database_url.rpartition('://')[2].rpartition('@')[2]} ({origin})"
        return f"Temporal {self.settings.temporal_address} ({origin})"


def choose_settings(folder: Path, *needed: str) -> ChosenSettings:
    """The settings of the environment, else those of the stack that runs over that folder, else the defaults.

    The stack counts if the environment leaves one of the needed settings open: both addresses, if none are given.
    """
    from config import Settings

    complete = all(named_by_environment(name) for name in needed or ADDRESSES)
    stack = None if complete else running_stack.find(folder)
    told = {} if stack is None else stack.settings
    values = {name: value for name, value in told.items() if not named_by_environment(name)}
    return ChosenSettings(Settings(data_dir=folder, **values), stack)  # type: ignore[arg-type]


def choose_matching_settings(folder: Path) -> ChosenSettings:
    """The same for a process that works: database and Temporal must belong together.

    Raises Refused where the environment names one of them and the running stack would name the other.
    """
    chosen = choose_settings(folder)
    named = [name for name in ADDRESSES if named_by_environment(name)]
    if chosen.stack is not None and named:
        [other] = set(ADDRESSES) - set(named)
        raise Refused(
            f"NIGHTJAR_{named[0].upper()} is set and NIGHTJAR_{other.upper()} is not, while {chosen.stack} runs: "
            "set both, or neither"
        )
    chosen.tell(*ADDRESSES)
    return chosen
