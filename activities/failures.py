"""What an error of an activity is for Temporal: whether trying again can help, when, and in which words."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg import (
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
)
from temporalio import activity
from temporalio.exceptions import ApplicationError

from jobs.errors import AttemptSuperseded, JobError, ServiceUnavailable, TryAgainAfter

ATTEMPTS_AT_THE_UNEXPECTED = 3
"""An error that nobody foresaw is tried again this often: it may be a passing fault, or a defect."""

# what passes, or may. Of psycopg: connections, deadlocks, resources, time-outs, a server that has become read-only; a
# pool without a free connection is one of them
OUT_OF_REACH = (
    OperationalError,
    InterfaceError,
    InternalError,
    ConnectionError,
    TimeoutError,
    ServiceUnavailable,
)
# an attempt that was superseded is over for Temporal too, or else the one which took its place is
TRANSIENT = (*OUT_OF_REACH, AttemptSuperseded, TryAgainAfter)
FINAL = (JobError, DataError, IntegrityError, NotSupportedError)
"""What trying again cannot mend. A statement that does not fit the schema is neither: a migration may be under way."""


@dataclass
class Tries:
    """Which of the attempts that Temporal counts have tried to do the work."""

    waited: int = 0
    """The newest attempt that only waited for its turn: it and those before it have not."""

    def so_far(self, attempt: int) -> int:
        """How often the work was tried, `attempt` included; a number that was given out anew counts from 1."""
        return attempt - self.waited if self.waited < attempt else attempt


@contextmanager
def for_temporal(*, patient: bool = False) -> Iterator[Tries]:
    """Let an error leave as one of Temporal's, which says whether trying again can help, and when.

    With `patient` what nobody foresaw is tried again for good, not a few times only.
    """
    tries = Tries()
    try:
        yield tries
    except (ApplicationError, asyncio.CancelledError):
        raise
    except Exception as error:
        name, reason = type(error).__name__, first_line(error)
        if isinstance(error, TRANSIENT):
            again_after = error.again_after if isinstance(error, TryAgainAfter) else None
            raise ApplicationError(reason, type=name, next_retry_delay=again_after) from _alone(error)
        if isinstance(error, FINAL):
            raise ApplicationError(reason, type=name, non_retryable=True) from _alone(error)
        given_up = not patient and tries.so_far(activity.info().attempt) >= ATTEMPTS_AT_THE_UNEXPECTED
        raise ApplicationError(f"{name}: {reason}", type=name, non_retryable=given_up) from error


def _alone(error: Exception) -> Exception:
    """An error that is known, without what led to it: of a failure of more than 4 KB Temporal keeps nothing to show."""
    error.__cause__, error.__suppress_context__ = None, True
    return error.with_traceback(None)


def first_line(error: BaseException) -> str:
    """The first line of an error's text: the rest may be a statement with what was in it."""
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
