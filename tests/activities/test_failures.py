"""What an error of an activity is for Temporal."""

import psycopg
import pytest
from temporalio.exceptions import ApplicationError

from activities.reporter import reporting
from activities.resources import Resources
from db.connections import Database
from jobs.runs import ClaimedRun
from tests.activities.attempts import STAGE, environment


@pytest.mark.parametrize(
    ("error", "attempt", "final"),
    [
        (ConnectionError("reset"), 9, False),
        (psycopg.OperationalError("server closed the connection"), 9, False),
        (psycopg.errors.ReadOnlySqlTransaction("a stand-by"), 9, False),
        (psycopg.errors.UndefinedColumn("not migrated yet"), 1, False),
        (psycopg.errors.UndefinedColumn("not migrated yet"), 3, True),
        (psycopg.errors.NumericValueOutOfRange("too large"), 1, True),
        (ZeroDivisionError("a defect"), 1, False),
        (ZeroDivisionError("a defect"), 3, True),
    ],
)
async def test_an_error_says_whether_trying_again_can_help(
    database: Database, run: ClaimedRun, error: Exception, attempt: int, final: bool
) -> None:
    async def body() -> None:
        async with reporting(Resources(database), STAGE, run):
            raise error

    with pytest.raises(ApplicationError) as caught:
        await environment(attempt).run(body)

    assert caught.value.non_retryable is final
    assert str(error) in str(caught.value)
