"""The state of the schema: bring it up to date, or say how far it is."""

import functools
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

# two processes that start at once must not both migrate: the second waits for the first
MIGRATION_LOCK = 0x6E69676874


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def migrate(url: str, revision: str = "head") -> None:
    """Upgrade (or, to an older revision, downgrade) the database in one transaction."""
    engine = sa.create_engine(url)
    config = _config()
    try:
        with engine.begin() as connection:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            config.attributes["connection"] = connection
            current = MigrationContext.configure(connection).get_current_revision()
            going_down = revision == "base" or (
                revision != "head" and current is not None and revision < current
            )
            (command.downgrade if going_down else command.upgrade)(config, revision)
    finally:
        engine.dispose()


def revisions(url: str) -> tuple[str | None, str]:
    """The revision that the database is at, and the newest there is."""
    engine = sa.create_engine(url, connect_args={"connect_timeout": 5})
    try:
        with engine.connect() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()
    return current, newest()


@functools.cache
def newest() -> str:
    """The newest revision there is."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None
    return head


def create_database(url: str) -> bool:
    """Make the database of that address if the server does not have it; true if it was made."""
    address = sa.make_url(url)
    engine = sa.create_engine(address.set(database="postgres"), isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            there = connection.execute(
                sa.text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": address.database}
            ).scalar()
            if there:
                return False
            quoted = engine.dialect.identifier_preparer.quote(address.database or "")
            connection.execute(sa.text(f"CREATE DATABASE {quoted}"))
            return True
    finally:
        engine.dispose()
