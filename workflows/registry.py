"""Every type of job that runs here: the workflow and what the API must know of it."""

from jobs.job_type import KNOWN, JobType
from workflows import data_storage_sync, populate_captures_collection, regroup_events
from workflows.data_storage_sync import DataStorageSync
from workflows.populate_captures_collection import PopulateCapturesCollection
from workflows.regroup_events import RegroupEvents
from workflows.sweep import Sweep

WORKFLOWS: tuple[type, ...] = (DataStorageSync, PopulateCapturesCollection, RegroupEvents, Sweep)
"""What a worker runs: the job types, and the sweep."""

JOB_TYPES: dict[str, JobType] = {
    job_type.key: job_type
    for job_type in (
        data_storage_sync.JOB_TYPE,
        populate_captures_collection.JOB_TYPE,
        regroup_events.JOB_TYPE,
    )
}

TYPE_NAMES: dict[str, str] = {**KNOWN, **{key: job_type.name for key, job_type in JOB_TYPES.items()}}
"""What people read of a type of job, by key: what filters take, also for types that do not run here."""
