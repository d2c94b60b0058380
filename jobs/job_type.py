"""What a kind of job is, apart from how it is run."""

from dataclasses import dataclass
from typing import Any

from jobs import delay
from jobs.runs import NewJob
from jobs.stages import Stage, StageSnapshot

KNOWN = {
    "ml": "ML pipeline",
    "populate_captures_collection": "Populate captures collection",
    "data_storage_sync": "Data storage sync",
    "regroup_events": "Regroup sessions",
    "data_export": "Data Export",
    "post_processing": "Post Processing",
    "unknown": "Unknown",
}
"""Every kind that the jobs API speaks of, by key, also those that do not run here (contract 3)."""

SUPERUSERS_ONLY = frozenset({"post_processing", "unknown"})
"""Those among them that no role may run (contract 1.8)."""


@dataclass(frozen=True)
class JobType:
    """A kind of job: its key is the name of its workflow type and stands in rows, so it never changes."""

    key: str
    name: str
    """What people read."""
    stages: tuple[Stage[Any, Any], ...]
    superusers_only: bool = False
    """Whether no role may run it; else project and data managers may."""
    title: str = "{type}"
    """What a job is called that nobody named: `{type}` is the name of the type, the rest are names of its inputs."""

    def new(self, project_id: int, **inputs: Any) -> NewJob:
        """A job of this type in a project, named by the title; `inputs` are those of JobInputs."""
        name = self.title.format(type=self.name, **inputs)
        return NewJob(job_type_key=self.key, name=name, project_id=project_id, **inputs)

    def snapshots(self, seconds_of_delay: int) -> list[StageSnapshot]:
        """The stages of a new run, in order: the delay, if there is one, and those of the type."""
        first = [delay.snapshot(seconds_of_delay)] if seconds_of_delay else []
        return [*first, *(stage.snapshot() for stage in self.stages)]
