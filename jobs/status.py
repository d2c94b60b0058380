"""Where a job, a run or a stage stands."""

from enum import StrEnum


class Status(StrEnum):
    """The states of the jobs API (contract 2.1)."""

    CREATED = "CREATED"
    """Saved, never asked to run."""
    PENDING = "PENDING"
    """Asked to run; no worker has claimed it yet."""
    STARTED = "STARTED"
    """A worker has claimed the run."""
    SUCCESS = "SUCCESS"
    """Done."""
    FAILURE = "FAILURE"
    """Ended by an error."""
    RETRY = "RETRY"
    """Declared by the API, never written here."""
    REVOKED = "REVOKED"
    """Cancelled."""
    CANCELING = "CANCELING"
    """Asked to stop; the run has not ended yet."""
    RECEIVED = "RECEIVED"
    """Declared by the API, never written here."""
    UNKNOWN = "UNKNOWN"
    """Declared by the API, never written here."""

    @property
    def is_active(self) -> bool:
        """True if a run has been asked for and is not over."""
        return self in ACTIVE


FINAL = frozenset({Status.SUCCESS, Status.FAILURE, Status.REVOKED})
"""A run in one of these is over for good."""
ACTIVE = frozenset({Status.PENDING, Status.STARTED, Status.CANCELING})
