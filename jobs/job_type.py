"""What a kind of job is, apart from how it is run."""

from dataclasses import dataclass
from typing import Any

from jobs.stages import Stage, StageSnapshot


@dataclass(frozen=True)
class JobType:
    """A kind of job: its key is the name of its workflow type and stands in rows, so it never changes."""

    key: str
    name: str
    stages: tuple[Stage[Any, Any], ...]

    def snapshots(self) -> list[StageSnapshot]:
        """The stages of a new run, in order."""
        return [stage.snapshot() for stage in self.stages]
