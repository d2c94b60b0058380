"""Lists as PostgreSQL reads them: nothing in a name of a file changes another."""

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from db.connections import driver_address
from db.syncing_rows import array
from storage.places import unfit

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).filter(
    lambda text: unfit(text) is None
)
AWKWARD = [
    "",
    "null",
    "NULL",
    '"',
    "\\",
    '\\"',
    "{}",
    "{,}",
    "a,b",
    " a ",
    "é",
    "\u2028",
    "\x85",
    "'",
    "%s",
    "😴",
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.none() | TEXTS | st.sampled_from(AWKWARD), max_size=20))
def test_texts_arrive_as_they_are(database_url: str, texts: list[str | None]) -> None:
    with psycopg.connect(driver_address(database_url)) as db:
        row = db.execute("SELECT CAST(%s AS text[])", (array(texts),)).fetchone()

    assert row == (texts,)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bigint", [0, -1, 2**62, None]),
        ("timestamp", [datetime(2024, 2, 29, 23, 59, 59), None, datetime(1999, 1, 1, microsecond=1)]),  # noqa: DTZ001
        ("timestamptz", [datetime(2024, 2, 29, tzinfo=UTC) + timedelta(microseconds=1)]),
        ("text", []),
    ],
)
def test_numbers_and_times_do_so_too(database_url: str, kind: str, values: list[Any]) -> None:
    with psycopg.connect(driver_address(database_url)) as db:
        row = db.execute(f"SELECT CAST(%s AS {kind}[])", (array(values),)).fetchone()

    assert row == (values,)
