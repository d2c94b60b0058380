"""One child process: started in its own session, logged to a file, gone when its parent is gone."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from embedded.ports import is_free

PR_SET_PDEATHSIG = 1


class ChildFailed(Exception):
    """A child process ended, or did not become ready in time."""

    def __init__(self, name: str, reason: str, log: Path) -> None:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else ""
        super().__init__(f"{name} {reason}; the end of {log}:\n{tail}")


def _die_with_parent() -> None:
    """Linux ends the child if the parent dies without a chance to do it (kill -9)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Child:
    """A process with a name, a command and a log file."""

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str | None] = field(default_factory=dict)
    """Variables besides those of the parent; None takes one away."""
    user: str | None = None
    ports: Sequence[int] = ()
    """Ports on the loopback interface that it binds itself."""
    inherits: Sequence[int] = ()
    """Descriptors that it has from its parent, under the same numbers."""
    stop_signal: signal.Signals = signal.SIGTERM
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={
                    name: value
                    for name, value in {**os.environ, **self.environment}.items()
                    if value is not None
                },
                pass_fds=self.inherits,
                # a session of its own: Ctrl-C reaches the parent alone, which stops children in order
                start_new_session=True,
                preexec_fn=_die_with_parent,
                user=self.user,
            )

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def listens(self) -> bool:
        """Whether this very process, and no other program, listens at all of its ports."""
        import psutil  # comes with the embedded servers; without them this module can still be imported

        try:
            sockets = psutil.Process(self.pid).net_connections("tcp4")
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            return False
        there = {each.laddr.port for each in sockets if each.status == psutil.CONN_LISTEN}
        return there.issuperset(self.ports)

    def lost_port(self) -> int | None:
        """One of its ports that another program has, while it does not run."""
        if self.running:
            return None
        return next((port for port in self.ports if not is_free(port)), None)

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Poll until the child is ready; raises ChildFailed if it ends or the time is up."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running:
                raise ChildFailed(self.name, "ended while starting", self.log)
            if time.monotonic() > deadline:
                raise ChildFailed(self.name, f"was not ready in {seconds:.0f} s", self.log)
            time.sleep(0.02)

    def stop(self, seconds: float = 15.0) -> None:
        """Ask the child to end; kill it if it has not ended in time."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(self.stop_signal)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
