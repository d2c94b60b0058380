"""The migrations: up from nothing, down to nothing, and the same as the tables."""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from db import schema
from db.connections import driver_address
from db.tables import Base
from embedded.stack import Stack

_numbers = itertools.count(1)


@pytest.fixture
def empty(servers: Stack) -> Iterator[str]:
    """A database with nothing in it."""
    name = f"empty_{next(_numbers)}"
    url = servers.postgres.url(name)
    assert schema.create_database(url)
    yield url
    admin = driver_address(servers.postgres.url("postgres"))
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def names(url: str, statement: str) -> set[str]:
    with psycopg.connect(driver_address(url)) as connection:
        return {row[0] for row in connection.execute(statement)}


def relations(url: str) -> set[str]:
    """Tables, indexes, sequences and views."""
    return names(url, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")


def routines(url: str) -> set[str]:
    """Functions and aggregates."""
    return names(url, "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace")


def types(url: str) -> set[str]:
    return names(
        url, "SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype <> 'c'"
    )


def triggers(url: str) -> set[str]:
    return names(url, "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal")


VERSION = {"alembic_version", "alembic_version_pkc"}


def test_an_empty_database_is_brought_to_the_newest_revision(empty: str) -> None:
    assert relations(empty) == set()
    assert schema.revisions(empty)[0] is None

    schema.migrate(empty)

    current, newest = schema.revisions(empty)
    assert current == newest
    assert current is not None
    assert set(Base.metadata.tables) <= relations(empty)


def test_the_migrations_make_the_tables_as_the_code_has_them(empty: str) -> None:
    schema.migrate(empty)

    engine = sa.create_engine(empty)
    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        drift = compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata)
    engine.dispose()

    assert drift == []


def test_going_all_the_way_down_leaves_nothing_behind(empty: str) -> None:
    schema.migrate(empty)
    assert routines(empty)
    assert triggers(empty)

    schema.migrate(empty, "base")

    assert schema.revisions(empty)[0] is None
    assert relations(empty) == VERSION
    assert routines(empty) == types(empty) - {"_alembic_version"} == triggers(empty) == set()


def test_down_and_up_again_gives_the_same_schema(empty: str) -> None:
    schema.migrate(empty)
    before = relations(empty), routines(empty), types(empty), triggers(empty)

    schema.migrate(empty, "base")
    schema.migrate(empty)

    assert (relations(empty), routines(empty), types(empty), triggers(empty)) == before
    current, newest = schema.revisions(empty)
    assert current == newest


def test_migrating_a_database_that_is_up_to_date_changes_nothing(empty: str) -> None:
    schema.migrate(empty)
    with psycopg.connect(driver_address(empty)) as connection:
        connection.execute("INSERT INTO projects (name) VALUES ('Moths')")

    schema.migrate(empty)

    assert names(empty, "SELECT name FROM projects") == {"Moths"}


def test_processes_that_migrate_at_once_wait_for_each_other(empty: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(schema.migrate, [empty] * 3))

    assert done == [None] * 3
    current, newest = schema.revisions(empty)
    assert current == newest


def test_a_database_that_is_there_is_not_made_again(empty: str) -> None:
    schema.migrate(empty)

    assert not schema.create_database(empty)
    assert "jobs" in relations(empty)


def test_sources_that_were_there_before_are_not_trusted_and_stay_when_going_back(empty: str) -> None:
    schema.migrate(empty, "0005")
    with psycopg.connect(driver_address(empty)) as connection:
        connection.execute("INSERT INTO storage_sources (name, bucket) VALUES ('NAS', 'moths')")

    schema.migrate(empty)

    assert names(empty, "SELECT trusted::text FROM storage_sources") == {"false"}
    schema.migrate(empty, "0005")
    assert names(empty, "SELECT name FROM storage_sources") == {"NAS"}
    columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 'storage_sources'"
    assert "trusted" not in names(empty, columns)


def test_turns_of_syncs_under_way_are_kept_when_they_get_columns_of_their_own(empty: str) -> None:
    schema.migrate(empty, "0006")
    with psycopg.connect(driver_address(empty)) as connection:
        connection.execute("INSERT INTO projects (name) VALUES ('Moths')")
        connection.execute("INSERT INTO deployments (name, project_id) SELECT 'Station', id FROM projects")
        for cursor in (
            '{"at": "x", "after": "key", "turn": true, "waits_for": null}',
            '{"at": "x", "turn": false, "waits_for": 1}',
        ):
            connection.execute(
                """WITH job AS (
                    INSERT INTO jobs (name, project_id, deployment_id, job_type_key, status, run)
                    SELECT 'Sync', project_id, id, 'data_storage_sync', 'STARTED', 1 FROM deployments RETURNING id
                )
                INSERT INTO job_stages (job_id, key, position, name, status, cursor)
                SELECT id, 'data_storage_sync', 0, 'Sync', 'STARTED', %s FROM job""",
                (cursor,),
            )
    read = "SELECT concat_ws(', ', {}) FROM job_stages"
    columns = read.format("turn_kind, turn_id = (SELECT id FROM deployments), waits_for, cursor")
    cursors = names(empty, read.format("cursor - 'waits_for', cursor ->> 'waits_for'"))

    schema.migrate(empty)

    assert names(empty, columns) == {
        'sync of station, t, {"at": "x", "after": "key"}',
        '1, {"at": "x"}',
    }
    schema.migrate(empty, "0006")
    assert names(empty, read.format("cursor - 'waits_for', cursor ->> 'waits_for'")) == cursors
