"""Both servers over one data folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from embedded import postgres, temporal
from embedded.postgres import EmbeddedPostgres
from embedded.temporal import EmbeddedTemporal


@dataclass
class Stack:
    """PostgreSQL and Temporal, started side by side and stopped in order."""

    postgres: EmbeddedPostgres
    temporal: EmbeddedTemporal

    def start(self, *, usual_ports: bool = True) -> None:
        """Start both and wait until both can be used; without `usual_ports` on any that are free."""
        ports = (
            (postgres.USUAL_PORT, temporal.USUAL_PORT, temporal.USUAL_UI_PORT) if usual_ports else (0, 0, 0)
        )
        # children are started by this thread, which lives as long as they should (see embedded.child)
        self.temporal.start(ports[1], ports[2])
        self.postgres.start(ports[0])
        self.temporal.wait()

    def stop(self) -> None:
        self.temporal.stop()
        self.postgres.stop()


def stack(data: Path, search_attributes: Mapping[str, str]) -> Stack:
    """The servers whose data and logs are under that folder."""
    folder = data.resolve()
    return Stack(
        EmbeddedPostgres(folder / "postgres", folder / "logs" / "postgres.log"),
        EmbeddedTemporal(folder / "temporal.sqlite", folder / "logs" / "temporal.log", search_attributes),
    )
