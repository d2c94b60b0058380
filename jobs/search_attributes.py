"""The search attributes of every run, by name, with Temporal's names of their types."""

JOB_ID = "JobId"
JOB_TYPE = "JobType"
JOB_STATUS = "JobStatus"
JOB_PROGRESS = "JobProgress"
PROJECT_ID = "ProjectId"
STATION_ID = "StationId"

TYPE_NAMES = {
    JOB_ID: "Int",
    JOB_TYPE: "Keyword",
    JOB_STATUS: "Keyword",
    JOB_PROGRESS: "Double",
    PROJECT_ID: "Int",
    STATION_ID: "Int",
}
"""As Temporal's command line takes them."""
