"""What a kind of job is, apart from how it is run."""

from dataclasses import dataclass
from typing import Any

from jobs import delay
from jobs.stages import Stage, StageSnapshot


@dataclass(frozen=True)
class JobType:
    """A kind of job: its key is the name of its workflow type and stands in rows, so it never changes."""

    key: str
    name: str
    stages: tuple[Stage[Any, Any], ...]

    def snapshots(self, seconds_of_delay: int) -> list[StageSnapshot]:
        """The stages of a new run, in order: the delay, if there is one, and those of the type."""
        first = [delay.snapshot(seconds_of_delay)] if seconds_of_delay else []
        return [*first, *(stage.snapshot() for stage in self.stages)]
