"""What passes between a program, the workflow of a job and its activities: ids, counts and short texts.

Every field of a payload has a default or is there from the first release: payloads are kept in histories,
and an old one must still be readable.
"""

from dataclasses import dataclass, field, fields
from typing import Any

from jobs.stages import StageSnapshot
from jobs.status import Status


@dataclass(kw_only=True)
class JobInputs:
    """What a job works on and how, by the names of the jobs API; each job type says what it needs of it."""

    deployment_id: int | None = None
    source_image_collection_id: int | None = None
    source_image_single_id: int | None = None
    pipeline_id: int | None = None
    delay: int = 0
    """Seconds to wait before the work."""
    limit: int | None = None
    """Captures to process at most; null for all."""
    shuffle: bool = True
    params: dict[str, Any] | None = None


INPUTS = tuple(each.name for each in fields(JobInputs))
"""Their names, which are those of their columns too."""


@dataclass
class NewJob(JobInputs):
    """A job that is to be made."""

    job_type_key: str
    name: str
    project_id: int


@dataclass
class JobRequest(JobInputs):
    """What a workflow is started with.

    The API gives `job_id` and `run`. A program gives the fields of the jobs API instead (`project_id` and what
    the job type needs): the row of the job is then made when the run is claimed. A program may also give the
    `job_id` of a job that is not running, without `run`, to run it once more.
    """

    job_id: int | None = None
    run: int | None = None
    project_id: int | None = None
    name: str | None = None


@dataclass
class ClaimedRun(JobInputs):
    """The run that a workflow may now do, with what its stages need to know."""

    job_id: int
    run: int
    name: str
    project_id: int
    paused: bool = False
    """True if it was paused before it was claimed."""


@dataclass
class PauseRequest:
    """That a run is to be paused, or to go on; with neither only the question whether it is paused."""

    job_id: int
    run: int
    pause: bool | None = None


@dataclass
class StageReport:
    """What a workflow itself says of a stage that has no activity (the delay)."""

    job_id: int
    run: int
    snapshot: StageSnapshot
    lines: list[str] = field(default_factory=list)


@dataclass
class Closing:
    """How a run ended."""

    job_id: int
    run: int
    status: Status
    reason: str | None = None
    """Why it failed; null otherwise."""


@dataclass
class JobResult:
    """What a workflow gives back: the job as it ended."""

    job_id: int
    run: int
    status: Status
    stages: list[StageSnapshot] = field(default_factory=list)

    def values(self, stage_key: str) -> dict[str, Any]:
        """The figures of a stage by param key, such as `captures_added`."""
        return next(stage.values() for stage in self.stages if stage.key == stage_key)
