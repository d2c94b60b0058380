"""Why a job is where it is, as the API says it."""

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import WithJsonSchema
from typing_extensions import TypedDict

from api.crud.values import Time
from diagnosis import explanation as diagnosed
from diagnosis.explanation import Actor, Cause
from jobs.status import Status

_Cause = Annotated[str, WithJsonSchema({"type": "string", "enum": [str(cause) for cause in Cause]})]
_Actor = Annotated[str, WithJsonSchema({"type": "string", "enum": [str(actor) for actor in Actor]})]


class Evidence(TypedDict):
    """One thing that is known; a time is text, as everywhere."""

    what: str
    value: str | int | float


class Explanation(TypedDict):
    """`summary` is one sentence for who waits for the job."""

    id: int
    status: str
    cause: _Cause
    summary: str
    since: Time | None
    action_by: _Actor
    evidence: list[Evidence]


def explanation(job_id: int, status: Status, said: diagnosed.Explanation, zone: str) -> Explanation:
    """What is said of a job, its times as wall clock of that zone."""
    here = ZoneInfo(zone)
    return {
        "id": job_id,
        "status": status,
        "cause": said.cause,
        "summary": said.summary,
        "since": None if said.since is None else _local(said.since, here),
        "action_by": said.action_by,
        "evidence": [{"what": each.what, "value": _value(each.value, here)} for each in said.evidence],
    }


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def _value(value: str | float | datetime, zone: ZoneInfo) -> str | int | float:
    return _local(value, zone).isoformat() if isinstance(value, datetime) else value
