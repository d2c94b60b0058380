"""How facts are told: errors without secrets, lengths of time, and what an explanation is known from."""

import re
from datetime import datetime

from diagnosis.explanation import Evidence
from diagnosis.facts import ActivityFacts, QueueFacts

MAX_ERROR_LENGTH = 300
"""Characters of an error that are told."""

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_QUERY = re.compile(r"(://[^\s?'\"]*\?)[^\s'\"]+")


def plain(message: str) -> str:
    """The first line of an error's text, without what may be secret: passwords and signatures in addresses."""
    line = message.strip().split("\n", 1)[0]
    line = _QUERY.sub(r"\1…", _CREDENTIALS.sub("***@", line))
    return line if len(line) <= MAX_ERROR_LENGTH else f"{line[: MAX_ERROR_LENGTH - 1]}…"


def how_long(seconds: float) -> str:
    """A length of time as people say it."""
    seconds = max(0.0, seconds)
    if seconds < 90:
        return f"{round(seconds)} s"
    for unit, length, until in (("min", 60, 5400), ("h", 3600, 172800)):
        if seconds < until:
            return f"{round(seconds / length)} {unit}"
    return f"{round(seconds / 86400)} days"


def counted(number: int, one: str) -> str:
    return f"{number} {one}" if number == 1 else f"{number} {one}s"


def queue_evidence(queue: QueueFacts, now: datetime) -> list[Evidence]:
    alive = queue.alive(now)
    found = [Evidence("task queue", queue.name), Evidence("waiting in the queue", queue.backlog)]
    if queue.backlog:
        found.append(Evidence("oldest in the queue waits", how_long(queue.backlog_age.total_seconds())))
    names = ", ".join(sorted({poller.identity for poller in alive})) or "none"
    found.append(Evidence("workers that asked for work in the last minute", names))
    if queue.pollers:
        found.append(Evidence("last time that a worker asked", max(poller.at for poller in queue.pollers)))
    return found


def activity_evidence(activity: ActivityFacts) -> list[Evidence]:
    found = [Evidence("stage", activity.key), Evidence("attempt", activity.attempt)]
    if activity.worker:
        found.append(Evidence("worker", activity.worker))
    if activity.failure:
        found.append(Evidence("last error", plain(activity.failure)))
    if activity.heartbeat_at is not None:
        found.append(Evidence("last sign of life", activity.heartbeat_at))
    return found
