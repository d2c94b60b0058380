"""Every type of job that runs here: the workflow and what the API must know of it."""

from typing import Protocol

from jobs.job_type import KNOWN, SUPERUSERS_ONLY, JobType
from workflows.data_storage_sync import DataStorageSync
from workflows.populate_captures_collection import PopulateCapturesCollection
from workflows.regroup_events import RegroupEvents
from workflows.sweep import Sweep


class JobWorkflow(Protocol):
    """A workflow that is a job type."""

    job_type: JobType


JOB_WORKFLOWS: tuple[type[JobWorkflow], ...] = (
    DataStorageSync,
    PopulateCapturesCollection,
    RegroupEvents,
)

WORKFLOWS: tuple[type, ...] = (*JOB_WORKFLOWS, Sweep)
"""What a worker runs: the job types, and the sweep."""

JOB_TYPES: dict[str, JobType] = {each.job_type.key: each.job_type for each in JOB_WORKFLOWS}

TYPE_NAMES: dict[str, str] = {**KNOWN, **{key: job_type.name for key, job_type in JOB_TYPES.items()}}
"""What people read of a type of job, by key: what filters take, also for types that do not run here."""

RUN_BY_MANAGERS = frozenset(
    key
    for key in TYPE_NAMES
    if not (JOB_TYPES[key].superusers_only if key in JOB_TYPES else key in SUPERUSERS_ONLY)
)
"""Types that project and data managers may run."""
