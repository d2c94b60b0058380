"""Every query on the log lines of jobs. None commits: whoever opened the transaction decides that."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from db.connections import Connection


@dataclass(frozen=True)
class Line:
    """One line of a job's log."""

    message: str
    level: str = "INFO"
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        # PostgreSQL's text has no NUL; a file name or an error from far away may
        object.__setattr__(self, "message", self.message.replace("\x00", "\\x00"))


JOB_NAME = "\x01"
"""Stands for the job's name in lines that `appending` adds to a job whose name is not known before."""


def appending(jobs: str) -> str:
    """A statement that adds lines to the log of each of `jobs` (an item with `id`, `run`, `name`, `request_id`).

    `:levels`, `:messages` and `:times` are what `columns` makes. A null `name` replaces nothing.
    """
    return f"""
    INSERT INTO job_logs (job_id, run, level, message, created_at, context)
    SELECT job.id, job.run, line.level, coalesce(replace(line.message, '{JOB_NAME}', job.name), line.message), line.at,
           CASE WHEN job.request_id IS NOT NULL THEN jsonb_build_object('request_id', job.request_id) END
    FROM {jobs} job,
         unnest(CAST(%(levels)s AS text[]), CAST(%(messages)s AS text[]), CAST(%(times)s AS timestamptz[]))
         WITH ORDINALITY AS line (level, message, at, n)
    ORDER BY line.n
    """


APPEND = appending(
    "(SELECT CAST(%(job_id)s AS bigint) AS id, CAST(%(run)s AS int) AS run, CAST(NULL AS text) AS name,"
    " CAST(%(request_id)s AS text) AS request_id)"
)


def columns(lines: Sequence[Line]) -> dict[str, list[object]]:
    """The lines as the arrays that a statement unnests, oldest first."""
    return {
        "levels": [line.level for line in lines],
        "messages": [line.message for line in lines],
        "times": [line.at for line in lines],
    }


async def append(
    db: Connection, job_id: int, run: int, lines: Sequence[Line], *, request_id: str | None = None
) -> None:
    """Add lines, oldest first, to the log of a job, with the HTTP request that they come from."""
    if lines:
        values = {"job_id": job_id, "run": run, "request_id": request_id, **columns(lines)}
        await db.execute(APPEND, values)
