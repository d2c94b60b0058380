"""What `nightjar up` runs over a data folder: written there by it, read by every other command."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING

import httpx2

from commands.connection import Refused, request
from embedded import private_files

if TYPE_CHECKING:
    from config import Settings

LOCK_SECONDS = 2.0
"""How long `up` tries for the lock: a command beside it holds the lock for a moment when it looks."""
SHARED = (
    "database_url",
    "temporal_address",
    "temporal_namespace",
    "task_queue",
    "storage_roots",
    "signing_key",
    "time_zone",
)
"""Settings that every process of one stack has alike."""


@dataclass(frozen=True)
class RunningStack:
    """The processes of one `nightjar up`."""

    instance: str
    """Random; its API tells it at /version."""
    pid: int
    started_at: str
    api_url: str
    temporal_ui: str
    settings: Mapping[str, str]
    """The shared settings that are set, by name."""
    folder: Path

    def __str__(self) -> str:
        return f"`nightjar up` in {self.folder}"

    @property
    def credentials(self) -> Path:
        """Where `login` keeps its token: the accounts are in this folder too, whichever port the API has today."""
        return self.folder / "credentials.json"

    def require_own_api(self) -> None:
        """Raises Refused unless it is this stack's API that answers at its address."""
        try:
            told = request("GET", f"{self.api_url}/version", timeout=10).json()
        except httpx2.HTTPError as error:
            raise Refused(f"{self.api_url}, the API of {self}, does not answer: {error}") from error
        except ValueError:
            told = None
        if not isinstance(told, dict) or told.get("instance") != self.instance:
            raise Refused(f"another program answers at {self.api_url}, not the API of {self}")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Two that served one folder would ruin it: raises SystemExit while another `up` does."""
    import fcntl  # where there is none, there is no embedded PostgreSQL either

    folder.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + LOCK_SECONDS
    with (folder / "lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise SystemExit(f"nightjar is running already on {folder}") from error
                time.sleep(0.05)
        remove(folder)  # what one that was killed has left
        yield


def write(folder: Path, instance: str, api_url: str, temporal_ui: str, settings: "Settings") -> RunningStack:
    """Say what runs over that folder, in a file that its owner only may read."""
    shared = {name: getattr(settings, name) for name in SHARED}
    made = RunningStack(
        instance=instance,
        pid=os.getpid(),
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        api_url=api_url,
        temporal_ui=temporal_ui,
        settings={name: _plain(value) for name, value in shared.items() if value is not None},
        folder=folder.resolve(),
    )
    told = {name: value for name, value in asdict(made).items() if name != "folder"}
    private_files.write(_file(folder), json.dumps(told, indent=2))
    return made


def _plain(value: object) -> str:
    secret = getattr(value, "get_secret_value", None)
    return str(value if secret is None else secret())


def remove(folder: Path) -> None:
    """Take back what `write` has said."""
    _file(folder).unlink(missing_ok=True)


def find(folder: Path) -> RunningStack | None:
    """What runs over that folder now; None if nothing does.

    Raises Refused where a stack is just starting or stopping, or where the file is no good.
    """
    if not _locked(folder):
        return None
    try:
        with _file(folder).open(encoding="utf-8") as file:
            _require_own(file, folder)
            told = json.load(file)
        return RunningStack(**told, folder=folder.resolve())
    except FileNotFoundError as error:
        raise Refused(f"`nightjar up` in {folder.resolve()} is just starting or stopping") from error
    except PermissionError as error:
        raise Refused(f"`nightjar up` in {folder.resolve()} was started by somebody else") from error
    except (ValueError, TypeError) as error:
        raise Refused(f"{_file(folder)} is not what `nightjar up` writes: {error}") from error


def left_behind(folder: Path) -> bool:
    """Whether an `up` that was killed has left its file there."""
    return _file(folder).exists() and not _locked(folder)


def _file(folder: Path) -> Path:
    return folder / "running.json"


def _locked(folder: Path) -> bool:
    """Whether an `up` holds the lock: the system takes it from one that was killed, whatever its pid is now."""
    try:
        lock = (folder / "lock").open()
    except FileNotFoundError:
        return False
    except PermissionError as error:
        raise Refused(f"{folder.resolve()} cannot be looked at: {error}") from error
    import fcntl

    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _require_own(file: IO[str], folder: Path) -> None:
    """A folder that others may write to, such as /tmp, could send passwords and tokens anywhere."""
    if os.fstat(file.fileno()).st_uid != os.geteuid():
        raise Refused(f"`nightjar up` in {folder.resolve()} was started by somebody else")
