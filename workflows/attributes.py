"""The search attributes of every run, typed: what operators filter by in the Temporal Web UI and CLI."""

from temporalio.common import SearchAttributeKey

from jobs import search_attributes as names

JOB_ID = SearchAttributeKey.for_int(names.JOB_ID)
JOB_TYPE = SearchAttributeKey.for_keyword(names.JOB_TYPE)
JOB_STATUS = SearchAttributeKey.for_keyword(names.JOB_STATUS)
JOB_PROGRESS = SearchAttributeKey.for_float(names.JOB_PROGRESS)
PROJECT_ID = SearchAttributeKey.for_int(names.PROJECT_ID)
STATION_ID = SearchAttributeKey.for_int(names.STATION_ID)
