"""The search attributes of every run: what operators filter by in the Temporal Web UI and CLI."""

from temporalio.common import SearchAttributeKey

JOB_ID = SearchAttributeKey.for_int("JobId")
JOB_TYPE = SearchAttributeKey.for_keyword("JobType")
JOB_STATUS = SearchAttributeKey.for_keyword("JobStatus")
JOB_PROGRESS = SearchAttributeKey.for_float("JobProgress")
PROJECT_ID = SearchAttributeKey.for_int("ProjectId")
STATION_ID = SearchAttributeKey.for_int("StationId")

ALL = (JOB_ID, JOB_TYPE, JOB_STATUS, JOB_PROGRESS, PROJECT_ID, STATION_ID)

TYPE_NAMES = {
    JOB_ID.name: "Int",
    JOB_TYPE.name: "Keyword",
    JOB_STATUS.name: "Keyword",
    JOB_PROGRESS.name: "Double",
    PROJECT_ID.name: "Int",
    STATION_ID.name: "Int",
}
"""Temporal's names of their types, as its command line takes them."""
