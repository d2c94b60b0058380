"""Commands beside a running `nightjar up`: they use its servers, and nobody else's."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType

import psutil
import pytest

from commands import connection, running_stack
from commands.connection import Refused
from config import Settings
from embedded import postgres, temporal
from embedded.child import Child
from embedded.ports import LOOPBACK, free_port, is_free, listening
from embedded.postgres import EmbeddedPostgres
from embedded.temporal import EmbeddedTemporal
from tests.processes import ROOT
from tests.waiting import LONGEST, until


class Stranger(BaseHTTPRequestHandler):
    """Answers everything with 200, also /livez, and keeps what it was told."""

    heard: list[str]

    def do_GET(self) -> None:
        self.heard.append(self.headers.get("Authorization") or "")
        body = b'{"status": "ok", "instance": "somebody else"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *arguments: object) -> None:
        """Nothing on standard error."""


@contextmanager
def stranger(port: int) -> Iterator[list[str]]:
    """Another program at that port, if none is there; gives the tokens that it was sent."""
    heard: list[str] = []
    handler = type("Handler", (Stranger,), {"heard": heard})
    try:
        server = ThreadingHTTPServer((LOOPBACK, port), handler)
    except OSError:
        yield heard  # what holds the port is a stranger to us too
        return
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def clean(folder: Path, **more: str) -> dict[str, str]:
    """An environment that names no server, and keeps logins in that folder."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("NIGHTJAR_")}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "160",
        "XDG_CONFIG_HOME": str(folder / "config"),
        **more,
    }


async def nightjar(
    folder: Path, *words: str, status: int | None = 0, text: str = "", **more: str
) -> tuple[str, str]:
    """What a command in that folder prints and says beside it; it must end with that status, if one is given."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "cli",
        *words,
        cwd=folder,
        env=clean(folder, **more),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, beside = await process.communicate(text.encode())
    assert status in (None, process.returncode), (output + beside).decode()
    return output.decode(), beside.decode()


STRANGERS = ("config.py", "api.py", "worker.py", "db.py", "storage.py")
"""Modules of somebody else's in the folder, with names that ours have too."""


class Up:
    """A `nightjar up` in a folder of its own."""

    def __init__(self, folder: Path, process: asyncio.subprocess.Process, printed: str) -> None:
        self.folder = folder
        self.process = process
        self.printed = printed
        [self.api] = re.findall(r"^API: +(http://\S+?)/api/v2", printed, re.MULTILINE)
        [self.temporal] = re.findall(r"^Temporal: +(\S+)$", printed, re.MULTILINE)
        [self.ui] = re.findall(r"^Temporal Web UI: +(\S+)$", printed, re.MULTILINE)

    @property
    def state(self) -> Path:
        return self.folder / ".nightjar" / "running.json"

    async def killed(self) -> None:
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def up(folder: Path) -> AsyncIterator[Up]:
    folder.mkdir(exist_ok=True)
    for name in STRANGERS:
        (folder / name).write_text(f"raise SystemExit('{name} of this folder')\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # as the installed command does it
        "-m",
        "cli",
        "up",
        cwd=folder,
        env=clean(folder),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(2 * LONGEST):
            printed = b""
            while b"Ctrl-C" not in printed:
                line = await process.stdout.readline()
                assert line, printed.decode()
                printed += line
        yield Up(folder, process, printed.decode())
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.wait()


async def test_commands_in_two_folders_each_talk_to_the_stack_of_their_own(tmp_path: Path) -> None:
    ports = (8000, temporal.USUAL_PORT, temporal.USUAL_UI_PORT, postgres.USUAL_PORT)
    with stranger(8000) as heard, stranger(ports[1]), stranger(ports[2]), stranger(ports[3]):
        async with up(tmp_path / "one") as one, up(tmp_path / "two") as two:
            # no port is shared with anybody
            addresses = [
                *ports,
                *(int(at.rpartition(":")[2]) for it in (one, two) for at in (it.api, it.temporal, it.ui)),
            ]
            assert len(set(addresses)) == len(addresses)

            for stack, other in ((one, two), (two, one)):
                name = stack.folder.name
                found, _ = await nightjar(stack.folder, "doctor")
                assert "bad" not in found
                assert f"API: {stack.api}: ok" in found
                assert f"Temporal {stack.temporal} (`nightjar up` in {stack.folder / '.nightjar'})" in found
                assert other.temporal not in found
                assert stack.state.stat().st_mode & 0o777 == 0o600
                made, beside = await nightjar(
                    stack.folder,
                    "users",
                    "add",
                    f"{name}@example.org",
                    "--superuser",
                    "--password",
                    "sphinx at dusk",
                )
                assert "Made superuser" in made
                assert str(stack.folder) in beside
                words = ("login", "--email", f"{name}@example.org", "--password", "sphinx at dusk")
                assert f"Logged in to {stack.api};" in (await nightjar(stack.folder, *words))[0]

            for stack in (one, two):
                name = stack.folder.name
                users, _ = await nightjar(stack.folder, "users", "list")
                assert re.findall(r"(one|two)@example.org", users) == [name]
                jobs, beside = await nightjar(stack.folder, "jobs", "list", "--json")
                assert json.loads(jobs)["count"] == 0
                assert f"server {stack.api} of `nightjar up` in {stack.folder / '.nightjar'}" in beside
                # a token is needed for this: the one that was kept in this folder
                elsewhere, _ = await nightjar(tmp_path, "jobs", "--data-dir", f"{name}/.nightjar", "list")
                assert "0 of 0" in elsewhere

            # what the caller names is used, whatever runs here
            _, told = await nightjar(one.folder, "jobs", "--url", "http://127.0.0.1:9", "list", status=1)
            assert "http://127.0.0.1:9 cannot be reached" in told
            _, told = await nightjar(one.folder, "doctor", status=1, NIGHTJAR_TEMPORAL_ADDRESS="127.0.0.1:9")
    assert heard == []
    assert not one.state.exists()
    assert not two.state.exists()


async def test_what_a_killed_stack_has_left_is_not_used_and_the_next_one_replaces_it(tmp_path: Path) -> None:
    async with up(tmp_path / "moths") as first:
        await nightjar(first.folder, "users", "add", "m@example.org", "--password", "sphinx at dusk")
        await nightjar(first.folder, "login", "--email", "m@example.org", "--password", "sphinx at dusk")
        left = json.loads(first.state.read_text())
        await first.killed()
        port = int(first.api.rpartition(":")[2])

        async def gone() -> bool:
            return is_free(port)

        await until(gone, "the end of the API, which the system ends with its parent")
        with stranger(port) as heard:
            found, _ = await nightjar(first.folder, "doctor", status=1)
            assert "the last one was killed, what it left is not used" in found
            assert first.temporal not in found or first.temporal == f"{LOOPBACK}:{temporal.USUAL_PORT}"
            # whoever is there
            _, beside = await nightjar(first.folder, "jobs", "list", status=None)
            assert "http://127.0.0.1:8000, the default" in beside
        assert set(heard) <= {""}
    assert first.state.exists()

    async with up(first.folder) as second:
        assert json.loads(second.state.read_text())["instance"] != left["instance"]
        assert "bad" not in (await nightjar(second.folder, "doctor"))[0]
        # the accounts are those of the folder, and so is the token
        assert "0 of 0" in (await nightjar(second.folder, "jobs", "list"))[0]


async def test_the_api_keeps_its_port_while_it_is_started_again(tmp_path: Path) -> None:
    async with up(tmp_path) as stack:
        port = int(stack.api.rpartition(":")[2])
        [api] = [
            child
            for child in psutil.Process(stack.process.pid).children()
            if child.cmdline()[-2:] == ["-m", "api"]
        ]
        api.kill()
        psutil.wait_procs([api])

        with pytest.raises(OSError, match="in use"):
            socket.create_server((LOOPBACK, port))
        assert "0 of 0" in (await nightjar(tmp_path, "jobs", "list"))[0]


async def test_an_environment_that_names_half_of_the_servers_stops_a_worker(tmp_path: Path) -> None:
    stated = Settings(database_url="postgresql+psycopg://moth@127.0.0.1:9/moths")
    with running_stack.alone(tmp_path / ".nightjar"):
        running_stack.write(
            tmp_path / ".nightjar", "an id", "http://127.0.0.1:9", "http://127.0.0.1:9", stated
        )
        for command in ("worker", "api"):
            _, told = await nightjar(tmp_path, command, status=1, NIGHTJAR_TEMPORAL_ADDRESS="127.0.0.1:9")
            assert "NIGHTJAR_TEMPORAL_ADDRESS is set and NIGHTJAR_DATABASE_URL is not" in told


async def test_a_stranger_in_place_of_the_running_api_gets_no_token(tmp_path: Path) -> None:
    folder = tmp_path / ".nightjar"
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    with running_stack.alone(folder), stranger(port) as heard:
        connection.remember(folder / "credentials.json", url, "a token")
        _, told = await nightjar(tmp_path, "jobs", "list", status=1, NIGHTJAR_API_TOKEN="another token")
        assert "is just starting or stopping" in told

        running_stack.write(folder, "our id", url, url, Settings())
        _, told = await nightjar(tmp_path, "jobs", "list", status=1, NIGHTJAR_API_TOKEN="another token")

    assert f"another program answers at {url}" in told
    assert heard == [""]


async def test_a_token_is_for_the_server_that_it_was_kept_for(tmp_path: Path) -> None:
    ports = {free_port(), free_port()}
    one, two = (f"http://{LOOPBACK}:{port}" for port in ports)
    connection.remember(tmp_path / "config" / "nightjar" / "credentials.json", f"{one}/", "a token")
    with stranger(int(one.rpartition(":")[2])) as at_one, stranger(int(two.rpartition(":")[2])) as at_two:
        for url in (one, two, f"{one}/"):
            _, told = await nightjar(tmp_path, "jobs", "--url", url, "list", status=1)
            assert "does not answer as Nightjar does" in told
        _, told = await nightjar(tmp_path, "jobs", "list", status=1)

    assert f"server {one}, where `nightjar login` was last used" in told
    assert at_one == ["Token a token"] * 3
    assert at_two == [""]


def test_the_folder_of_somebody_else_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_stack.alone(tmp_path):
        running_stack.write(tmp_path, "an id", "http://127.0.0.1:9", "http://127.0.0.1:9", Settings())
        assert running_stack.find(tmp_path) is not None
        monkeypatch.setattr(os, "geteuid", lambda: 12345)
        with pytest.raises(Refused, match="somebody else"):
            running_stack.find(tmp_path)
    assert running_stack.find(tmp_path) is None


Server = Callable[[Path], AbstractContextManager[tuple[Child | None, list[int]]]]
"""Starts a server over a folder; gives its process and its ports."""


@contextmanager
def a_postgres(folder: Path) -> Iterator[tuple[Child | None, list[int]]]:
    server = EmbeddedPostgres(folder / "postgres", folder / "postgres.log")
    try:
        server.start(free_port())
        yield server.child, [server.port]
    finally:
        server.stop()


@contextmanager
def a_temporal(folder: Path) -> Iterator[tuple[Child | None, list[int]]]:
    server = EmbeddedTemporal(folder / "temporal.sqlite", folder / "temporal.log")
    try:
        server.start(free_port(), free_port())
        server.wait()
        yield server.child, [server.port, server.ui_port]
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("module", "server", "which"),
    [(postgres, a_postgres, 1), (temporal, a_temporal, 1), (temporal, a_temporal, 2)],
    ids=["PostgreSQL", "Temporal", "the Web UI"],
)
def test_a_server_whose_port_is_taken_just_before_it_starts_takes_another(
    module: ModuleType, server: Server, which: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[int] = []
    with ExitStack() as strangers:

        def choose(preferred: int = 0) -> int:
            """The port as it is chosen; a stranger is quicker at one of them."""
            chosen.append(free_port(preferred))
            if len(chosen) == which:
                strangers.enter_context(stranger(chosen[-1]))
            return chosen[-1]

        monkeypatch.setattr(module, "free_port", choose)
        with server(tmp_path) as (child, ports):
            assert child is not None
            assert child.running
            assert chosen[which - 1] not in ports
            assert not is_free(chosen[which - 1])


def test_a_port_that_is_held_is_nobody_elses() -> None:
    with listening() as ours, listening(ours.getsockname()[1]) as other:
        assert other.getsockname()[1] != ours.getsockname()[1]
        assert free_port(ours.getsockname()[1]) != ours.getsockname()[1]
