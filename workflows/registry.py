"""Every type of job that runs here: the workflow and what the API must know of it."""

from jobs.job_type import JobType
from workflows import populate_captures_collection
from workflows.populate_captures_collection import PopulateCapturesCollection

WORKFLOWS: tuple[type, ...] = (PopulateCapturesCollection,)

JOB_TYPES: dict[str, JobType] = {
    job_type.key: job_type for job_type in (populate_captures_collection.JOB_TYPE,)
}
