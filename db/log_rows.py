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


APPEND = """
INSERT INTO job_logs (job_id, run, level, message, created_at)
SELECT %(job_id)s, %(run)s, line.level, line.message, line.at
FROM unnest(CAST(%(levels)s AS text[]), CAST(%(messages)s AS text[]), CAST(%(times)s AS timestamptz[]))
     WITH ORDINALITY AS line (level, message, at, n)
ORDER BY line.n
"""
"""Adds lines; `:levels`, `:messages` and `:times` are what `columns` makes."""


def columns(lines: Sequence[Line]) -> dict[str, list[object]]:
    """The lines as the arrays that a statement unnests, oldest first."""
    return {
        "levels": [line.level for line in lines],
        "messages": [line.message for line in lines],
        "times": [line.at for line in lines],
    }


async def append(db: Connection, job_id: int, run: int, lines: Sequence[Line]) -> None:
    """Add lines, oldest first, to the log of a job."""
    if lines:
        await db.execute(APPEND, {"job_id": job_id, "run": run, **columns(lines)})
